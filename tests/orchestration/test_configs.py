"""The orchestration configurations in ``configs/`` load without a warning, and the offline one does its work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aura_py.config import load
from aura_py.events import IterationCompleted, PlanCreated, TaskCompleted
from tests.orchestration.harness import open_harness

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"


@pytest.fixture(scope="module")
def math_url() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "examples/quickstart/desk_server.py")], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()


@pytest.mark.parametrize("name", ["orchestration-math", "orchestration-sre"])
def test_each_configuration_loads_without_a_warning(name: str) -> None:
    loaded = load(CONFIGS / f"{name}.toml", env={}, strict=True)
    assert loaded.warnings == ()
    assert loaded.agents[0].orchestrated


async def test_the_math_team_calculates_in_steps_that_need_each_other(math_url: str) -> None:
    settings = load(CONFIGS / "orchestration-math.toml", env={"MATH_MCP_URL": math_url}).agents[0]
    async with open_harness() as harness:
        transcript = await harness.run(settings, "What is (12 + 30) * 2?")
    assert transcript.text == "The result is 84."
    assert transcript.one(PlanCreated).waves == {0: 1, 1: 2, 2: 3}
    assert [event.result for event in transcript.all(TaskCompleted)] == [
        "12 + 30 = 42",
        "42 * 2 = 84",
        "The result is 84.",
    ]


async def test_the_math_team_plans_again_when_a_step_fails(math_url: str) -> None:
    settings = load(CONFIGS / "orchestration-math.toml", env={"MATH_MCP_URL": math_url}).agents[0]
    async with open_harness() as harness:
        transcript = await harness.run(settings, "What is (12 + 30) / 0?")
    assert transcript.text == "A division by zero has no result."
    assert [event.will_replan for event in transcript.all(IterationCompleted)] == [True, False]
