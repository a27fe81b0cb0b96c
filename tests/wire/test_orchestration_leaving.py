"""Clients that leave and processes that are killed, in every phase of an orchestration."""

from __future__ import annotations

import functools
import json
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from tests.mcp.conftest import running
from tests.orchestration.harness import Rule, answer, call, coordinator, parallel, plan, step, submit
from tests.orchestration.harness import worker as work
from tests.wire.process import AuraServer
from tests.wire.teams import ask, asked, team

WAVE = plan(parallel(step("quick"), step("slow", "beta")), step("later"))
SLOW = work(call("slow_task", task_id="{{ model }}-wave", duration_seconds=60), worker="beta")
PHASES: dict[str, tuple[list[Rule], str, dict[int, str]]] = {
    "planning": (
        [
            coordinator("plan", hang=True, after_tool="read_artifact"),
            coordinator("plan", call("read_artifact", filename="x.txt")),
        ],
        "tool_call_completed",
        {},
    ),
    "wave": ([coordinator("plan", WAVE), SLOW, work(submit())], "task_completed", {0: "complete", 1: "running"}),
    "decision": (
        [
            coordinator("plan", plan(step("a")), usage={"input": 1000, "output": 20}),
            work(submit(), usage={"input": 300, "output": 4}),
            coordinator("continue", hang=True),
        ],
        "synthesizing",
        {0: "complete"},
    ),
    "answer": (
        [
            coordinator("plan", plan(step("a"))),
            work(submit()),
            coordinator("continue", answer("word " * 3000)),
        ],
        "text",
        {0: "complete"},
    ),
}


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with running("mock", "--http", "0") as (url, _):
        yield url


@pytest.fixture(scope="module")
def harness(mock: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AuraServer, Path]]:
    directory = tmp_path_factory.mktemp("leaving")
    (directory / "agents").mkdir()
    for name, (rules, _, _) in PHASES.items():
        model: dict[str, object] = {"model": name, **({"tokens_per_second": 200} if name == "answer" else {})}
        text = team(name, rules, url=mock, memory=directory / "memory", model=model)
        (directory / "agents" / f"{name}.toml").write_text(text)
    server = AuraServer.start(directory / "agents", directory, env={"AURA_CUSTOM_EVENTS": "true"})
    yield server, directory / "memory"
    server.stop()


async def until(holds: Callable[[], bool]) -> None:
    """Other processes have no event to wait for."""
    with anyio.fail_after(20):
        while not await anyio.to_thread.run_sync(holds):  # noqa: ASYNC110
            await anyio.sleep(0.02)


def manifest(session: Path) -> dict[str, Any]:
    try:
        value = json.loads((session / "latest" / "manifest.json").read_bytes())
    except OSError:
        return {}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("phase", PHASES)
async def test_a_client_that_leaves_leaves_nothing_at_work(
    harness: tuple[AuraServer, Path], mock: str, phase: str
) -> None:
    server, memory = harness
    sessions = memory / "anonymous" / phase
    _, last, statuses = PHASES[phase]
    process = psutil.Process(server.process.pid)
    await _leave(server.url, phase, last, f"first-{phase}")  # connections that are kept are open from here on
    await until(lambda: manifest(sessions / f"first-{phase}").get("status") == "cancelled")
    idle, children = server.open_files(), len(process.children(recursive=True))
    for number in range(3):
        await _leave(server.url, phase, last, f"{phase}-{number}")
        session = sessions / f"{phase}-{number}"
        await until(functools.partial(_cancelled, session))
        transcript = manifest(session)
        assert (transcript["status"], transcript["outcome"]) == ("cancelled", "cancelled")
        tasks = {task["task_id"]: task["status"] for task in transcript["task_summaries"]}
        assert {task: tasks[task] for task in statuses} == statuses
        assert not list(session.rglob("run.lock"))
    if phase == "decision":
        assert transcript["usage"] == {"input_tokens": 1300, "output_tokens": 24}
    if phase == "wave":
        await until(lambda: bool(_fetched(f"{mock.removesuffix('/mcp')}/cancellations?id=wave-wave")["cancelled"]))
    await until(lambda: server.open_files() <= idle)
    assert len(process.children(recursive=True)) == children


def _cancelled(session: Path) -> bool:
    return manifest(session).get("status") == "cancelled" and not list(session.rglob("run.lock"))


def _fetched(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=5) as reply:
        value = json.loads(reply.read())
    assert isinstance(value, dict)
    return value


async def _leave(url: str, model: str, last: str, session: str) -> None:
    async with asked(url, model, "Go", metadata={"chat_session_id": session}) as (heard, frames):
        async for _ in frames:
            if heard.positions(last):
                return
    raise AssertionError("the stream ended before the client left")


async def test_a_killed_process_leaves_what_was_done_and_the_next_run_is_told(mock: str, tmp_path: Path) -> None:
    rules = [
        coordinator("plan", answer("I remember."), system="quick summary"),
        coordinator("plan", WAVE),
        work(hang=True, worker="beta"),
        work(submit("found", "quick summary"), after_tool="mock_tool"),
        work(call("mock_tool", message="m")),
    ]
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "team.toml").write_text(team("team", rules, url=mock, memory=tmp_path / "memory"))
    env = {"AURA_CUSTOM_EVENTS": "true"}
    session = tmp_path / "memory" / "anonymous" / "team" / "s"
    server = AuraServer.start(tmp_path / "agents", tmp_path, env=env)
    async with asked(server.url, "team", "Go", metadata={"chat_session_id": "s"}) as (heard, frames):
        async for _ in frames:
            if heard.positions("task_completed"):
                break
        await until(lambda: manifest(session)["task_summaries"][0]["status"] == "complete")
        server.signal(signal.SIGKILL)
        server.process.wait(20)
    assert server.process.stdout is not None
    server.process.stdout.close()
    left = manifest(session)
    assert [task["status"] for task in left["task_summaries"]] == ["complete", "running", "pending"]
    assert left["task_summaries"][0]["result_preview"] == "quick summary"
    (calls,) = session.glob("*-*/iteration-1/task-0.attempt-1.tool-calls.json")
    assert [record["tool"] for record in json.loads(calls.read_bytes())] == ["mock_tool"]
    again = AuraServer.start(tmp_path / "agents", tmp_path, env=env)
    try:
        heard = await ask(again.url, "team", "And?", metadata={"chat_session_id": "s"})
    finally:
        again.stop()
    assert heard.text == "I remember."
