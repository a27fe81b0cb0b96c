from __future__ import annotations

import os
import re
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import orjson
import pytest

from aura_py.config.models import AgentConfig
from aura_py.errors import RunCancelled
from aura_py.events import Notice, OrchestratorToolCompleted, RunFinished, TaskCompleted, TaskStarted
from aura_py.orchestration import run_directory
from aura_py.orchestration.naming import (
    is_run_id,
    is_uuid7,
    output_name,
    result_name,
    safe_artifact,
    safe_component,
    sanitise,
)
from aura_py.orchestration.prior_runs import prior_runs, read_manifest, runs_json
from aura_py.orchestration.run_directory import RunDirectory, UnsafeNameError
from aura_py.orchestration.run_retention import LOCK, is_running, sweep_runs
from tests.orchestration.harness import (
    Rule,
    Transcript,
    answer,
    ask,
    call,
    collect,
    config,
    coordinator,
    open_harness,
    plan,
    step,
    submit,
    worker,
)
from tests.servers.forking import server_command

FINISH = coordinator("continue", answer("all done", summary="it is done"))
PLAIN = [coordinator("plan", plan(step("first"), step("second", "beta"))), worker(submit()), FINISH]


async def play(settings: AgentConfig, **options: Any) -> Transcript:
    async with open_harness() as harness:
        return await harness.run(settings, **options)


def run_of(session: Path) -> Path:
    return session / os.readlink(session / "latest")


def sessions(memory: Path, owner: str = "anonymous") -> Path:
    """The sessions that an owner has with the agent of these tests."""
    return memory / owner / "team"


def load(path: Path) -> Any:
    return orjson.loads(path.read_bytes())


def shape(value: Any) -> Any:
    """The structure of a stored document: what varies from run to run is replaced by its kind."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, str) and is_run_id(value):
        return "<uuid>"
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return "<time>"
    return "<int>" if isinstance(value, int) and not isinstance(value, bool) and value > 9 else value


# --- layout --------------------------------------------------------------------------------------------------------


async def test_a_run_leaves_the_files_of_the_specification(tmp_path: Path) -> None:
    await play(config(PLAIN, memory_dir=tmp_path), session="cs_77")
    run = run_of(sessions(tmp_path) / "cs_77")
    assert is_uuid7(run.name)
    assert sorted(str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()) == [
        "iteration-1/plan.json",
        "iteration-1/planning-1.prompt.txt",
        "iteration-1/planning-1.response.txt",
        "iteration-1/planning-2.prompt.txt",
        "iteration-1/planning-2.response.txt",
        *(
            f"iteration-1/task-{task}.attempt-1.{kind}"
            for task in (0, 1)
            for kind in ("prompt.txt", "response.txt", "result.json")
        ),
        "manifest.json",
    ]
    for path in run.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    plan_file = (run / "iteration-1/plan.json").read_text()
    assert plan_file.startswith('{\n  "goal": "the goal",\n  "steps": [\n    {\n      "type": "task"')
    assert load(run / "iteration-1/task-0.attempt-1.result.json").keys() == {
        *("task_id", "description", "attempt", "approach", "result", "summary", "error", "duration_ms"),
        *("confidence", "orchestrator_notes"),
    }
    assert "COMPLETED task 0" in (run / "iteration-1/task-1.attempt-1.prompt.txt").read_text()


async def test_a_directory_that_vanishes_in_a_run_is_made_again_for_its_owner_only(tmp_path: Path) -> None:
    memory = tmp_path / "not" / "yet" / "there"
    async with open_harness() as harness:
        run = harness.start(config(PLAIN, memory_dir=memory), session="s")
        started = await collect(run, lambda event: isinstance(event, TaskStarted))
        shutil.rmtree(tmp_path / "not")
        rest = await collect(run)
        await run.closed()
    assert isinstance(started[-1], TaskStarted)
    assert isinstance(rest[-1], RunFinished)
    assert load(next(memory.rglob("manifest.json")))["status"] == "success"
    for path in (tmp_path / "not").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


async def test_the_manifest_of_a_partly_failed_run(tmp_path: Path) -> None:
    rules = [
        coordinator("plan", plan(step("good"), step("bad", "beta"), step("never"))),
        worker(say="no idea", worker="beta"),
        worker(submit("r", "short")),
        FINISH,
    ]
    await play(config(rules, memory_dir=tmp_path), session="cs_77")
    manifest = load(run_of(sessions(tmp_path) / "cs_77") / "manifest.json")
    details = manifest.pop("iterations_detail")
    assert details[0]["task_summaries"] == manifest["task_summaries"]
    manifest["phase_timings"] = list(manifest["phase_timings"])
    assert shape(manifest) == {
        "run_id": "<uuid>",
        "session_id": "cs_77",
        "timestamp": "<time>",
        "goal": "the goal",
        "status": "partial_success",
        "iterations": 1,
        "routing_mode": "orchestrated",
        "outcome": "1/3 tasks completed",
        "response_summary": "it is done",
        "task_summaries": [
            {
                "task_id": 0,
                "description": "good",
                "status": "complete",
                "worker": "alpha",
                "result_preview": "short",
                "confidence": "high",
                "attempts": 1,
            },
            {
                "task_id": 1,
                "description": "bad",
                "status": "failed",
                "worker": "beta",
                "result_preview": None,
                "failure_category": "soft_failure",
                "error": "no idea",
                "error_context": {"category": "soft_failure", "attempt_count": 2, "partial_result": "no idea"},
                "attempts": 2,
            },
            {
                "task_id": 2,
                "description": "never",
                "status": "failed",
                "worker": "alpha",
                "result_preview": None,
                "failure_category": "dependency_failed",
                "error": "not run: it depends on task 1, which failed",
                "error_context": {"category": "dependency_failed", "attempt_count": 0},
            },
        ],
        "artifact_paths": [],
        "phase_timings": ["planning_ms", "execution_ms", "task_compute_ms", "tool_ms"],
        "agent": "team",
        "owner": "anonymous",
        "schema_version": 2,
        "started_at": "<time>",
        "usage": {"input_tokens": "<int>", "output_tokens": "<int>"},
    }


async def test_a_direct_answer_leaves_a_manifest_without_iterations(tmp_path: Path) -> None:
    await play(config([coordinator("plan", answer("x" * 300))], memory_dir=tmp_path), session="s")
    manifest = load(run_of(sessions(tmp_path) / "s") / "manifest.json")
    assert (manifest["status"], manifest["iterations"], manifest["routing_mode"]) == ("success", 0, "direct_answer")
    assert (manifest["goal"], manifest["outcome"]) == ("What is up?", "Answered directly")
    assert manifest["response_summary"] == "x" * 200


async def test_a_question_leaves_a_manifest_that_says_so(tmp_path: Path) -> None:
    await play(config([coordinator("plan", ask())], memory_dir=tmp_path), session="s")
    manifest = load(run_of(sessions(tmp_path) / "s") / "manifest.json")
    assert (manifest["status"], manifest["outcome"]) == ("success", "Asked for clarification")


async def test_a_failed_planning_leaves_a_manifest_that_says_so(tmp_path: Path) -> None:
    rules = [coordinator("plan", error={"status": 401, "message": "no"})]
    await play(config(rules, memory_dir=tmp_path), session="s")
    manifest = load(run_of(sessions(tmp_path) / "s") / "manifest.json")
    assert manifest["status"] == "failed"
    assert manifest["outcome"].startswith("Planning failed")


# --- results and artifacts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "stored"), [(4000, False), (4001, True)])
async def test_a_result_over_the_threshold_goes_into_a_file(tmp_path: Path, length: int, stored: bool) -> None:
    text = "ä" * length
    rules = [
        coordinator("plan", plan(step("a"), step("b"))),
        worker(submit(text), user="a\n"),
        worker(submit()),
        FINISH,
    ]
    transcript = await play(config(rules, memory_dir=tmp_path), session="s")
    artifacts = run_of(sessions(tmp_path) / "s") / "artifacts"
    if not stored:
        assert not artifacts.exists() or not list(artifacts.iterdir())
        assert text in transcript.asked("worker")[1].messages[-1].text
        return
    assert (artifacts / "task-0-alpha-iter-1-result.txt").read_text() == text
    received = transcript.asked("worker")[1].messages[-1].text
    note = "[Full result (4001 chars) saved to artifact: task-0-alpha-iter-1-result.txt]"
    assert "ä" * 2000 + "\n\n" + note in received
    assert "ä" * 2001 not in received


async def test_the_file_of_a_long_failure_is_named_wherever_the_failure_is_told(tmp_path: Path) -> None:
    words = "\n".join(f"line {number} of what I found" for number in range(500))
    rules = [coordinator("plan", plan(step("job"))), {"role": "worker", "say": words}, FINISH]
    transcript = await play(config(rules, memory_dir=tmp_path), session="s")
    note = f"[Full result ({len(words)} chars) saved to artifact: task-0-alpha-iter-1-a2-result.txt]"
    assert note in transcript.asked("coordinator")[-1].messages[-1].text.partition("## Failed")[2].partition("##")[0]
    assert transcript.one(TaskCompleted).result.endswith(note)


@pytest.mark.parametrize("minimum", [None, 50])
async def test_the_scratchpad_is_mentioned_only_to_a_worker_that_has_one(tmp_path: Path, minimum: int | None) -> None:
    scratchpad = {"enabled": True, "default_min_tokens": minimum}
    transcript = await play(
        config(PLAIN, memory_dir=tmp_path, agent={"scratchpad": scratchpad}, llm={"context_window": 50_000}),
        session="s",
    )
    request = transcript.asked("worker")[0]
    offered = "grep" in [tool.name for tool in request.tools]
    assert offered == (minimum is not None)
    assert ("explore the file with the scratchpad tools" in request.messages[0].text) == offered


async def test_without_files_a_long_result_travels_whole() -> None:
    text = "x" * 9000
    rules = [coordinator("plan", plan(step("a"), step("b"))), worker(submit(text)), FINISH]
    transcript = await play(config(rules))
    assert text in transcript.asked("worker")[1].messages[-1].text


async def test_the_coordinator_reads_an_artifact_and_is_told_when_there_is_none(tmp_path: Path) -> None:
    rules = [
        coordinator("plan", plan(step("a"))),
        worker(submit("y" * 5000)),
        coordinator("continue", answer("{{ results | length }}"), call=4),
        coordinator("continue", call("read_artifact", filename="task-9-alpha-iter-1-result.txt"), call=3),
        coordinator("continue", call("read_artifact", filename="task-0-alpha-iter-1-result.txt")),
    ]
    transcript = await play(config(rules, memory_dir=tmp_path), session="s")
    found, absent = transcript.all(OrchestratorToolCompleted)[-2:]
    assert orjson.loads(found.result) == {
        "found": True,
        "filename": "task-0-alpha-iter-1-result.txt",
        "content": "y" * 5000,
    }
    assert orjson.loads(absent.result)["found"] is False


async def test_the_coordinator_sees_and_reads_what_a_failed_task_has_stored(tmp_path: Path) -> None:
    stored = "task-0-alpha-iter-1-mock-tool-0-output.txt"
    rules = [
        coordinator("plan", plan(step("a"))),
        worker(call("mock_tool", message="all of it"), call=1),
        worker(call("list_directory", path=".")),
        coordinator("continue", call("read_artifact", filename=stored), call=2),
        FINISH,
    ]
    servers = {"mock": {"transport": "stdio", "cmd": server_command("mock")}}
    artifacts = {"tool_output_artifact_threshold": 0}
    transcript = await play(
        config(rules, memory_dir=tmp_path, servers=servers, artifacts=artifacts, agent={"turn_depth": 0}), session="s"
    )
    report = transcript.asked("coordinator")[1].messages[-1].text
    assert "failed [depth_exhausted]" in report
    assert f"tool output: {stored} (" in report
    assert "all of it" in transcript.all(OrchestratorToolCompleted)[-1].result


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/b",
        "a\\b",
        "",
        ".",
        "..",
        "a..b",
        "a\0b",
        "manifest.json",
        "con",
        "task-0-a-iter-1-result.txt\n",
        "x" * 300,
    ],
)
async def test_a_name_that_is_none_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    run = await RunDirectory.open(
        sessions(tmp_path) / "s", "01a1fcd1-e126-77e5-b849-c6ac7fa85d2c", keep=0, emit=lambda _e: None
    )
    with pytest.raises(UnsafeNameError):
        await run.artifact(name)
    assert not safe_artifact(name)


async def test_no_link_is_followed_out_of_the_artifacts(tmp_path: Path) -> None:
    run = await RunDirectory.open(
        sessions(tmp_path) / "s", "01a1fcd1-e126-77e5-b849-c6ac7fa85d2c", keep=0, emit=lambda _e: None
    )
    secret = tmp_path / "secret"
    secret.write_text("secret")
    name = "task-0-a-iter-1-result.txt"
    assert run.path is not None
    (run.path / "artifacts").mkdir()
    (run.path / "artifacts" / name).symlink_to(secret)
    assert await run.artifact(name) is None
    other = sessions(tmp_path) / "s" / "01a1fcd1-e126-77e5-b849-c6ac7fa85d2d"
    other.symlink_to(tmp_path)
    assert await run.artifact(name, other.name) is None


async def test_invalid_text_is_replaced_and_a_directory_is_no_artifact(tmp_path: Path) -> None:
    run = await RunDirectory.open(
        sessions(tmp_path) / "s", "01a1fcd1-e126-77e5-b849-c6ac7fa85d2c", keep=0, emit=lambda _e: None
    )
    assert run.path is not None
    artifacts = run.path / "artifacts"
    (artifacts / "task-1-a-iter-1-result.txt").mkdir(parents=True)
    (artifacts / "task-0-a-iter-1-result.txt").write_bytes(b"ok \xff")
    stored = await run.artifact("task-0-a-iter-1-result.txt")
    assert stored is not None
    assert stored.text == "ok \ufffd"
    assert await run.artifact("task-1-a-iter-1-result.txt") is None


def test_names_are_made_as_specified() -> None:
    assert [sanitise(name) for name in ("sre/ops", "a..b", "UPPER_case", "///")] == [
        "sre-ops",
        "a-b",
        "upper-case",
        "unknown",
    ]
    assert result_name(0, None, 1) == "task-0-default-iter-1-result.txt"
    assert output_name(0, "infra", 2, 1, "log_search", 3) == "task-0-infra-iter-2-log-search-3-output.txt"
    assert output_name(0, "infra", 1, 2, "log_search", 0) == "task-0-infra-iter-1-a2-log-search-0-output.txt"
    assert safe_artifact("task-0-infra-iter-1-a2-log-search-0-output.txt")
    assert safe_component("cs_77")


# --- when it cannot be written -------------------------------------------------------------------------------------


async def test_a_directory_that_cannot_be_used_is_a_notice_and_not_a_failure(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    transcript = await play(config(PLAIN, memory_dir=blocked), session="s")
    assert isinstance(transcript.end, RunFinished)
    assert transcript.text == "all done"
    assert transcript.one(Notice).code == "persistence_degraded"


async def test_a_disk_that_fills_up_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules: list[Rule] = [
        coordinator("plan", plan(step("a"), step("b"))),
        worker(submit("z" * 5000), user="a\n"),
        worker(submit()),
        FINISH,
    ]

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aura_py.orchestration.run_directory._write", full)
    transcript = await play(config(rules, memory_dir=tmp_path), session="s")
    assert isinstance(transcript.end, RunFinished)
    assert "No space left on device" in transcript.one(Notice).message
    assert "z" * 5000 in transcript.asked("worker")[1].messages[-1].text


async def test_a_write_that_was_given_up_never_replaces_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, reached, ended = threading.Event(), threading.Event(), threading.Event()
    real = run_directory._write

    def slow(path: Path, data: bytes, place: Callable[[Path, Path], object]) -> bool:
        if data != b"old":
            return real(path, data, place)
        reached.set()
        gate.wait(20)
        try:
            return real(path, data, place)
        finally:
            ended.set()

    files = await RunDirectory.open(sessions(tmp_path) / "s", "r", keep=0, emit=lambda _event: None)
    monkeypatch.setattr(run_directory, "_write", slow)
    async with anyio.create_task_group() as group:
        group.start_soon(files.write, "manifest.json", "old")
        assert await anyio.to_thread.run_sync(reached.wait, 20)
        group.cancel_scope.cancel()
    assert await files.write("manifest.json", "new")
    gate.set()
    assert await anyio.to_thread.run_sync(ended.wait, 20)
    directory = sessions(tmp_path) / "s" / "r"
    assert (directory / "manifest.json").read_bytes() == b"new"
    assert {path.name for path in directory.iterdir()} == {"manifest.json", LOCK}


# --- sessions ------------------------------------------------------------------------------------------------------


async def test_the_next_run_of_a_session_knows_the_last_one(tmp_path: Path) -> None:
    settings = config(PLAIN, memory_dir=tmp_path)
    first = await play(settings, session="s")
    second = await play(settings, session="s")
    other = await play(settings, session="t")
    assert "Earlier in this session" not in first.requests[0].messages[0].text
    system = second.requests[0].messages[0].text
    assert "Your last 1 run" in system
    assert "Goal: the goal" in system
    assert "Answer: it is done" in system
    assert "Earlier in this session" not in other.requests[0].messages[0].text


async def test_an_earlier_run_never_fills_the_coordinator_s_window(tmp_path: Path) -> None:
    rules = [
        coordinator("plan", plan(*[step("d" * 9_000)] * 40, goal="g" * 300_000)),
        worker(submit(summary="s" * 9_000)),
        FINISH,
    ]
    settings = config(rules, memory_dir=tmp_path)
    await play(settings, session="s")
    transcript = await play(settings, session="s")
    assert len(transcript.asked("coordinator")[0].messages[0].text) < 25_000
    assert "d" * 100 in transcript.asked("coordinator")[0].messages[0].text
    runs = prior_runs(sessions(tmp_path) / "s", "", 5)
    assert [len(run.tasks) for run in runs] == [40, 40]
    assert len(str(runs_json(runs))) < 2_000


async def test_two_owners_of_one_session_id_see_nothing_of_each_other(tmp_path: Path) -> None:
    rules = [
        coordinator("plan", plan(step("a")), times=1),
        worker(submit("secret " * 1000)),
        FINISH,
        coordinator("plan", answer("seen"), after_tool="read_artifact"),
        coordinator(
            "plan",
            call("read_artifact", filename="task-0-alpha-iter-1-result.txt", run_id="{{ groups.id }}"),
            user="(?P<id>[0-9a-f-]{36})",
        ),
    ]
    async with open_harness() as harness:
        team = harness.orchestrator(config(rules, memory_dir=tmp_path))
        await harness.run(team, session="s", owner="key.ann")
        run_id = run_of(sessions(tmp_path, "key.ann") / "s").name
        foreign = await harness.run(team, run_id, session="s", owner="key.bob")
        own = await harness.run(team, run_id, session="s", owner="key.ann")
    assert "Earlier in this session" not in foreign.requests[0].messages[0].text
    assert orjson.loads(foreign.one(OrchestratorToolCompleted).result)["found"] is False
    assert orjson.loads(own.one(OrchestratorToolCompleted).result)["found"] is True


async def test_runs_of_one_owner_never_push_out_those_of_another_in_the_same_session(tmp_path: Path) -> None:
    settings = config(PLAIN, memory_dir=tmp_path, artifacts={"max_session_runs": 1})
    await play(settings, session="s", owner="key.ann")
    kept = run_of(sessions(tmp_path, "key.ann") / "s")
    for _ in range(2):
        await play(settings, session="s", owner="key.bob")
    assert (kept / "manifest.json").exists()
    assert (
        len([p for p in (sessions(tmp_path, "key.bob") / "s").iterdir() if is_uuid7(p.name) and not p.is_symlink()])
        == 1
    )


@pytest.mark.parametrize(
    "file",
    [
        "../../../{run}/manifest.json",
        "../../../latest/manifest.json",
        "../../../../s/{run}/iteration-1/plan.json",
        "../../../../../../key.ann/team/s/{run}/manifest.json",
        "{memory}/key.ann/team/s/{run}/manifest.json",
    ],
)
@pytest.mark.parametrize("owner", ["key.ann", "key.bob"])
async def test_a_worker_reads_with_its_scratchpad_only_what_its_own_run_has_stored(
    tmp_path: Path, owner: str, file: str
) -> None:
    settings = config(PLAIN, memory_dir=tmp_path)
    await play(settings, session="s", owner="key.ann")
    name = file.format(run=run_of(sessions(tmp_path, "key.ann") / "s").name, memory=tmp_path)
    rules = [
        coordinator("plan", plan(step("a"))),
        worker(submit("{{ result }}"), after_tool="head"),
        worker(call("head", file=name)),
        FINISH,
    ]
    scratchpad = {"enabled": True, "default_min_tokens": 50}
    spying = config(rules, memory_dir=tmp_path, agent={"scratchpad": scratchpad}, llm={"context_window": 50_000})
    transcript = await play(spying, session="s", owner=owner)
    assert "is outside the scratchpad" in transcript.one(TaskCompleted).result


async def test_only_the_newest_runs_are_kept_and_live_or_foreign_ones_are_left_alone(tmp_path: Path) -> None:
    session = sessions(tmp_path) / "s"
    live = session / "01900000-0000-7000-8000-000000000001"
    old = session / "01900000-0000-7000-8000-000000000002"
    foreign = session / "notes"
    for directory in (live, old, foreign):
        directory.mkdir(parents=True)
    (live / LOCK).touch()
    settings = config(PLAIN, memory_dir=tmp_path, artifacts={"max_session_runs": 2})
    for _ in range(3):
        await play(settings, session="s")
    assert live.exists()
    assert foreign.exists()
    assert not old.exists()
    assert len([p for p in session.iterdir() if is_uuid7(p.name) and p != live]) == 2


def _manifest(session: Path, name: str, **more: object) -> None:
    directory = session / name
    directory.mkdir(parents=True)
    value = {"run_id": name, "timestamp": "2026-01-01T00:00:00+00:00", "goal": name, "status": "success", **more}
    (directory / "manifest.json").write_bytes(orjson.dumps(value))


def test_prior_runs_are_the_newest_readable_ones(tmp_path: Path) -> None:
    names = [f"01900000-0000-7000-8000-00000000000{n}" for n in range(6)]
    for number, name in enumerate(names[:4]):
        _manifest(tmp_path, name, timestamp=f"2026-01-0{number + 1}T00:00:00+00:00", unknown={"x": 1})
    (tmp_path / names[4]).mkdir()
    (tmp_path / names[4] / "manifest.json").write_text("{broken")
    (tmp_path / names[5]).mkdir()
    found = prior_runs(tmp_path, names[3], 2)
    assert [manifest.run_id for manifest in found] == [names[2], names[1]]
    assert runs_json(found)["count"] == 2


def test_a_name_without_chronology_makes_all_manifests_count_by_their_time(tmp_path: Path) -> None:
    _manifest(tmp_path, "01900000-0000-7000-8000-000000000001", timestamp="2026-01-01T00:00:00Z")
    _manifest(tmp_path, "6f1dd1b2-0000-4000-8000-000000000000", timestamp="2026-03-01T00:00:00Z")
    _manifest(tmp_path, "01900000-0000-7000-8000-000000000002", timestamp="2026-02-01T00:00:00Z")
    found = prior_runs(tmp_path, "", 2)
    assert [manifest.timestamp.month for manifest in found] == [3, 2]


def test_directories_without_a_manifest_never_crowd_out_runs(tmp_path: Path) -> None:
    for number in range(250):
        (tmp_path / f"z{number}").mkdir()
    _manifest(tmp_path, "a-run", timestamp="2026-01-01T00:00:00+00:00")
    assert [m.run_id for m in prior_runs(tmp_path, "x", 3)] == ["a-run"]


@pytest.mark.parametrize(
    "left",
    [
        b"{",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b"x" * 2_000_000,
        b'{"run_id": "r", "timestamp": 1}',
        b'{"run_id": "r", "timestamp": "0001-01-01T00:00:00-14:00", "task_summaries": {"a": 1}, "schema_version": 99}',
        b'{"run_id": "r", "timestamp": "9999-12-31T23:59:59+14:00", "task_summaries": [{"status": ["x"], "error": {},'
        b' "artifacts": [{"filename": null}], "tool_trace": [1, {"tool": {}}], "worker": 5}], "goal": ["x"]}',
        "fifo",
        "directory",
        "link",
    ],
)
async def test_whatever_stands_in_an_earlier_run_s_manifest_the_next_run_goes_on(
    tmp_path: Path, left: bytes | str
) -> None:
    settings = config(PLAIN, memory_dir=tmp_path, artifacts={"session_history_turns": 9})
    await play(settings, session="s")
    broken = sessions(tmp_path) / "s" / "01900000-0000-7000-8000-000000000001" / "manifest.json"
    broken.parent.mkdir()
    if isinstance(left, bytes):
        broken.write_bytes(left)
    elif left == "fifo":
        os.mkfifo(broken)
    elif left == "directory":
        broken.mkdir()
    else:
        broken.symlink_to(run_of(sessions(tmp_path) / "s") / "manifest.json")
    transcript = await play(settings, session="s")
    assert transcript.text == "all done"
    assert not transcript.all(Notice)
    assert "Goal: the goal" in transcript.asked("coordinator")[0].messages[0].text


def test_an_old_manifest_is_read_and_nonsense_is_not() -> None:
    old = read_manifest({"run_id": "r", "timestamp": "2026-01-01T00:00:00", "goal": "g", "status": "odd"})
    assert old is not None
    assert (old.status, old.tasks, old.artifacts) == ("failed", (), ())
    assert read_manifest({"run_id": 7}) is None
    assert read_manifest([1]) is None


async def test_old_and_surplus_runs_go_over_all_sessions(tmp_path: Path) -> None:
    day, now = 86_400, 1_800_000_000.0
    names = [f"01900000-0000-7000-8000-00000000000{n}" for n in range(4)]
    home = sessions(tmp_path, "key.ann")
    for number, (session, name) in enumerate(zip(("a", "b", "b", "c"), names, strict=True)):
        _manifest(home / session, name)
        file = home / session / name / "artifact.txt"
        file.write_bytes(b"x" * 600_000)
        for path in (file, file.parent / "manifest.json"):
            os.utime(path, (now - (10 - number) * day, now - (10 - number) * day))
    (home / "b" / "notes").mkdir()
    assert sweep_runs(tmp_path, "team", max_memory_mb=0, max_age_days=9, now=now) == 1
    assert not (home / "a" / names[0]).exists()
    assert sweep_runs(tmp_path, "team", max_memory_mb=1, max_age_days=0, now=now) == 2
    assert [(home / "b" / names[2]).exists(), (home / "c" / names[3]).exists()] == [False, True]
    assert (home / "b" / "notes").exists()


def test_what_one_owner_or_agent_stores_never_costs_another_its_runs(tmp_path: Path) -> None:
    name = "01900000-0000-7000-8000-000000000001"
    mine, others = sessions(tmp_path, "key.ann"), [sessions(tmp_path, "key.bob"), tmp_path / "key.ann" / "other"]
    for number, home in enumerate((mine, *others)):
        _manifest(home / "s", name)
        (home / "s" / name / "artifact.txt").write_bytes(b"x" * 700_000)
        os.utime(home / "s" / name / "artifact.txt", (number + 1, number + 1))
    assert sweep_runs(tmp_path, "team", max_memory_mb=1, max_age_days=0) == 0
    assert sweep_runs(tmp_path, "team", max_memory_mb=0, max_age_days=1) == 0  # the manifests are new
    for home in (mine, *others):
        os.utime(home / "s" / name / "manifest.json", (1, 1))
    assert sweep_runs(tmp_path, "other", max_memory_mb=0, max_age_days=1) == 1
    assert [(home / "s" / name).exists() for home in (mine, *others)] == [True, True, False]


async def test_a_run_at_work_keeps_its_lock_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_directory, "HEARTBEAT_SECONDS", 0.01)
    rules = [coordinator("plan", hang=True)]

    def locks() -> list[Path]:
        return list(tmp_path.glob("*/*/s/0*-*/run.lock"))

    async with open_harness() as harness:
        run = harness.start(config(rules, memory_dir=tmp_path), session="s")
        with anyio.fail_after(60):
            while not locks():  # noqa: ASYNC110  # files have no event to wait for
                await anyio.sleep(0.01)
            (lock,) = locks()
            os.utime(lock, (1, 1))
            while not is_running(lock.parent):  # noqa: ASYNC110
                await anyio.sleep(0.01)
        run.cancel(RunCancelled("The client has gone."))
        await run.closed()
    assert not locks()


def test_a_session_that_is_named_like_a_run_is_not_taken_for_one(tmp_path: Path) -> None:
    session = sessions(tmp_path) / "0b6ecb3f-35d5-4d10-a5b2-1c8b86a51c62"
    old, alive = (f"01900000-0000-7000-8000-00000000000{number}" for number in (1, 2))
    for name in (old, alive):
        _manifest(session, name)
        os.utime(session / name / "manifest.json", (1, 1))
    (session / alive / LOCK).touch()
    assert sweep_runs(tmp_path, "team", max_memory_mb=0, max_age_days=1) == 1
    assert [path.name for path in session.iterdir()] == [alive]


async def test_a_run_sweeps_at_its_start_and_never_itself(tmp_path: Path) -> None:
    old = sessions(tmp_path) / "t" / "01900000-0000-7000-8000-000000000009"
    _manifest(sessions(tmp_path) / "t", old.name)
    os.utime(old / "manifest.json", (1, 1))
    await play(config(PLAIN, memory_dir=tmp_path, artifacts={"max_age_days": 1}), session="s")
    assert not old.exists()
    assert (run_of(sessions(tmp_path) / "s") / "manifest.json").exists()


# --- the journal ---------------------------------------------------------------------------------------------------


async def test_the_journal_names_files_that_exist(tmp_path: Path) -> None:
    async with open_harness() as harness:
        team = harness.orchestrator(config(PLAIN, memory_dir=tmp_path), prompt_journal=True)
        await harness.run(team, session="s")
    run = run_of(sessions(tmp_path) / "s")
    text = (run / "prompt-journal.md").read_text()
    phases = re.findall(r"^═{80}\n((?:Planning|Worker).*)$", text, re.MULTILINE)
    assert phases == [
        "Planning (Iteration 1, Attempt 1/3)",
        "Worker: alpha (Iteration 1, Task 0, Attempt 1)",
        "Worker: beta (Iteration 1, Task 1, Attempt 1)",
        "Planning (Iteration 1, Attempt 1/3)",
    ]
    for name in re.findall(r"^Response: (.*)$", text, re.MULTILINE):
        assert (run / name).is_file()
    assert stat.S_IMODE((run / "prompt-journal.md").stat().st_mode) == 0o600


async def test_without_the_switch_there_is_no_journal(tmp_path: Path) -> None:
    await play(config(PLAIN, memory_dir=tmp_path), session="s")
    assert not (run_of(sessions(tmp_path) / "s") / "prompt-journal.md").exists()
