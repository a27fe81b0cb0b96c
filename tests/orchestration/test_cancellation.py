"""Whatever a run has started is gone when its client is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from aura_py.errors import RunCancelled
from aura_py.events import (
    Event,
    ModelCallCompleted,
    OrchestratorToolCompleted,
    RunFailed,
    Synthesizing,
    TaskCompleted,
    TaskStarted,
)
from tests.orchestration.harness import (
    Rule,
    answer,
    call,
    collect,
    config,
    coordinator,
    open_harness,
    parallel,
    plan,
    step,
    submit,
    worker,
)

WAVE = plan(parallel(step("quick"), step("slow", "beta")), step("later"))
FINISH = coordinator("continue", answer())

PHASES: dict[str, tuple[list[Rule], Callable[[Event], bool], dict[str, str]]] = {
    "in planning": (
        [
            coordinator("plan", hang=True, after_tool="read_artifact"),
            coordinator("plan", call("read_artifact", filename="x")),
        ],
        lambda e: isinstance(e, OrchestratorToolCompleted),
        {},
    ),
    "in a wave": (
        [coordinator("plan", WAVE), worker(hang=True, worker="beta"), worker(submit()), FINISH],
        lambda e: isinstance(e, TaskCompleted),
        {"0": "complete", "1": "running", "2": "pending"},
    ),
    "in the second wave": (
        [coordinator("plan", WAVE), worker(hang=True, user="task:\n\nlater"), worker(submit()), FINISH],
        lambda e: isinstance(e, TaskStarted) and e.task_id == 2,
        {"0": "complete", "1": "complete", "2": "running"},
    ),
    "in the decision": (
        [coordinator("plan", plan(step("a"))), worker(submit()), coordinator("continue", hang=True)],
        lambda e: isinstance(e, Synthesizing),
        {"0": "complete"},
    ),
}


@pytest.mark.parametrize("phase", PHASES)
async def test_a_client_that_goes_leaves_no_task_behind_and_a_manifest(phase: str, tmp_path: Path) -> None:
    rules, reached, statuses = PHASES[phase]
    before = asyncio.all_tasks()
    descriptors = len(os.listdir("/proc/self/fd"))
    async with open_harness() as harness:
        idle = asyncio.all_tasks()
        run = harness.start(config(rules, memory_dir=tmp_path), session="s")
        await collect(run, reached)
        run.cancel(RunCancelled("The client has gone."))
        rest = await collect(run)
        await run.closed()
        assert isinstance(rest[-1], RunFailed)
        await asyncio.sleep(0)  # the ending of the run's own task
        assert asyncio.all_tasks() == idle
        assert harness.engine.live == ()
    assert asyncio.all_tasks() == before
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    directory = next(
        path for path in (tmp_path / "anonymous" / "team" / "s").iterdir() if path.is_dir() and not path.is_symlink()
    )
    manifest = orjson.loads((directory / "manifest.json").read_bytes())
    assert (manifest["status"], manifest["outcome"]) == ("cancelled", "cancelled")
    assert {str(t["task_id"]): t["status"] for t in manifest["task_summaries"]} == statuses
    assert not (directory / "run.lock").exists()


async def test_a_killed_run_has_left_its_last_finished_iteration(tmp_path: Path) -> None:
    rules = [
        coordinator("plan", plan(step("a"))),
        worker(submit("r", "first summary")),
        coordinator("continue", hang=True),
    ]
    async with open_harness() as harness:
        run = harness.start(config(rules, memory_dir=tmp_path), session="s")
        events = await collect(run, lambda event: isinstance(event, Synthesizing))
        directory = next(
            path
            for path in (tmp_path / "anonymous" / "team" / "s").iterdir()
            if path.is_dir() and not path.is_symlink()
        )
        manifest = orjson.loads((directory / "manifest.json").read_bytes())
        run.cancel(RunCancelled("x"))
        await run.closed()
    assert manifest["task_summaries"][0]["result_preview"] == "first summary"
    assert manifest["usage"]["output_tokens"] == sum(
        e.usage.output for e in events if isinstance(e, ModelCallCompleted)
    )
