"""Orchestrations over real MCP servers: headers, artifacts, guards, waiting, loss."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import anyio
import orjson
import pytest

from aura_py.errors import RunCancelled
from aura_py.events import (
    McpStatus,
    OrchestratorToolCompleted,
    OrchestratorToolStarted,
    RunFinished,
    ScratchpadUsage,
    TaskCompleted,
    ToolProgress,
)
from tests.mcp.conftest import running
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

FINISH = coordinator("continue", answer("all done"))


@pytest.fixture(scope="module")
def mock_url() -> Iterator[str]:
    with running("mock", "--http", "0") as (url, _):
        yield url


def server(url: str, **more: object) -> Mapping[str, object]:
    return {"mock": {"transport": "http_streamable", "url": url, **more}}


def run_of(session: Path) -> Path:
    return session / os.readlink(session / "latest")


async def test_a_tool_call_is_told_recorded_and_its_reason_never_reaches_the_server(
    mock_url: str, tmp_path: Path
) -> None:
    rules = [
        coordinator("plan", plan(step("job"))),
        worker(submit("{{ result }}"), after_tool="mock_tool"),
        worker(call("mock_tool", message="hello", _aura_reasoning="to see")),
        FINISH,
    ]
    async with open_harness() as harness:
        transcript = await harness.run(config(rules, servers=server(mock_url), memory_dir=tmp_path), session="s")
    assert transcript.one(McpStatus).servers[0].status == "connected"
    started = transcript.all(OrchestratorToolStarted)[0]
    assert started.call_id.startswith("task0_mock_tool_")
    assert started.arguments == {"message": "hello", "_aura_reasoning": "to see"}
    assert "Mock tool received: hello" in transcript.one(TaskCompleted).result
    schema = next(t for t in transcript.asked("worker")[0].tools if t.name == "mock_tool").parameters
    assert "_aura_reasoning" in str(schema["properties"])
    assert schema.get("required") == ["message"]
    run = run_of(tmp_path / "anonymous" / "team" / "s")
    records = orjson.loads((run / "iteration-1/task-0.attempt-1.tool-calls.json").read_bytes())
    assert [(r["tool"], r["arguments"], r["reasoning"]) for r in records] == [
        ("mock_tool", {"message": "hello"}, "to see")
    ]
    trace = orjson.loads((run / "manifest.json").read_bytes())["task_summaries"][0]["tool_trace"]
    assert trace[0]["outcome"] == {"success": {"output_bytes": len(records[0]["output"])}}
    assert not list(run.rglob("*.jsonl"))


@pytest.mark.parametrize(("size", "stored"), [(100, False), (5000, True)])
async def test_a_large_output_is_stored_and_named_only_where_the_model_sees_less(
    mock_url: str, tmp_path: Path, size: int, stored: bool
) -> None:
    rules = [
        coordinator("plan", plan(step("job"))),
        worker(submit(), after_tool="big_text"),
        worker(call("big_text", size=size)),
        FINISH,
    ]
    async with open_harness() as harness:
        transcript = await harness.run(config(rules, servers=server(mock_url), memory_dir=tmp_path), session="s")
    seen = transcript.asked("worker")[1].messages[-1].text
    assert "x" * size in seen
    assert "artifact" not in seen
    run = run_of(tmp_path / "anonymous" / "team" / "s")
    assert (run / "artifacts/task-0-alpha-iter-1-big-text-0-output.txt").exists() == stored
    report = transcript.asked("coordinator")[-1].messages[-1].text
    assert ("tool output: task-0-alpha-iter-1-big-text-0-output.txt" in report) == stored


async def test_identical_outputs_are_noticed_although_each_is_stored_under_its_own_name(
    mock_url: str, tmp_path: Path
) -> None:
    rules = [
        coordinator("plan", plan(step("job"))),
        worker(submit("stopped"), call=6),
        worker(call("big_text", size=10_000)),
        FINISH,
    ]
    async with open_harness() as harness:
        transcript = await harness.run(
            config(rules, servers=server(mock_url), memory_dir=tmp_path, agent={"turn_depth": 12}), session="s"
        )
    outputs = [e.result for e in transcript.all(OrchestratorToolCompleted) if e.name == "big_text"]
    assert ["GUIDANCE" in o for o in outputs] == [False, False, True, True, False]
    assert "[DUPLICATE_CALL_ABORT]" in outputs[4]
    assert "Note: ended by the duplicate-call guard" in transcript.asked("coordinator")[-1].messages[-1].text


async def test_a_parked_output_reaches_the_worker_as_a_pointer_and_is_counted(mock_url: str, tmp_path: Path) -> None:
    rules = [
        coordinator("plan", plan(step("job"))),
        worker(submit("parked"), after_tool="big_text"),
        worker(call("big_text", size=60_000)),
        FINISH,
    ]
    settings = config(
        rules,
        servers=server(mock_url, scratchpad={"big_text": {"min_tokens": 100}}),
        memory_dir=tmp_path,
        agent={"scratchpad": {"enabled": True}},
        llm={"context_window": 100_000},
    )
    async with open_harness() as harness:
        transcript = await harness.run(settings, session="s")
    seen = transcript.asked("worker")[1].messages[-1].text
    assert "[scratchpad: output saved to" in seen
    assert transcript.one(ScratchpadUsage).agent_id == "alpha"
    run = run_of(tmp_path / "anonymous" / "team" / "s")
    assert (run / "artifacts/task-0-alpha-iter-1-big-text-0-output.txt").stat().st_size == 60_000
    assert list((run / "iteration-1/scratchpad").glob("task_0-*big_text*"))


async def test_what_a_full_disk_cut_off_is_named_where_it_was_kept(
    mock_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [
        coordinator("plan", plan(step("job"))),
        worker(submit("cut"), after_tool="big_text"),
        worker(call("big_text", size=200_000)),
        FINISH,
    ]
    settings = config(
        rules,
        servers=server(mock_url, scratchpad={"big_text": {"min_tokens": 100}}),
        memory_dir=tmp_path,
        agent={"scratchpad": {"enabled": True}},
        llm={"context_window": 20_000},
    )

    def full(*_arguments: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aura_py.scratchpad.store.Store.save", full)
    async with open_harness() as harness:
        transcript = await harness.run(settings, session="s")
    seen = transcript.asked("worker")[1].messages[-1].text
    name = "task-0-alpha-iter-1-big-text-0-output.txt"
    assert "No space left on device" in seen
    assert len(seen) < 200_000
    assert seen.rstrip().endswith(f"[Tool output saved to artifact: {name}]")
    assert (run_of(tmp_path / "anonymous" / "team" / "s") / "artifacts" / name).stat().st_size == 200_000


async def test_what_a_wait_saw_last_is_parked_like_an_output_of_the_tool(mock_url: str, tmp_path: Path) -> None:
    rules = [
        coordinator("plan", plan(step("job"))),
        worker(submit("{{ data.last_observation }}"), after_tool="wait_for"),
        worker(call("wait_for", probe={"tool": "big_text", "args": {"size": 60_000}}, until={"matches": "x"})),
        FINISH,
    ]
    settings = config(
        rules,
        servers=server(mock_url, scratchpad={"big_text": {"min_tokens": 100}}),
        memory_dir=tmp_path,
        agent={"scratchpad": {"enabled": True}},
        llm={"context_window": 100_000},
    )
    async with open_harness() as harness:
        transcript = await harness.run(settings, session="s")
    assert transcript.one(TaskCompleted).result.startswith("[scratchpad: output saved to")
    parked = list((run_of(tmp_path / "anonymous" / "team" / "s") / "iteration-1/scratchpad").glob("task_0-*big_text*"))
    assert parked


async def test_an_attempt_that_waited_on_a_tool_which_may_change_things_is_not_repeated(mock_url: str) -> None:
    rules = [
        coordinator("plan", plan(step("job"))),
        worker(error={"status": 429, "message": "x"}, after_tool="wait_for"),
        worker(call("wait_for", probe={"tool": "mock_tool", "args": {"message": "m"}}, until={"matches": "m"})),
        FINISH,
    ]
    async with open_harness() as harness:
        transcript = await harness.run(config(rules, servers=server(mock_url)))
    assert "after 1 attempt:" in transcript.one(TaskCompleted).result


async def test_two_users_at_once_each_call_with_their_own_headers(mock_url: str) -> None:
    rules: list[Rule] = [
        coordinator("plan", plan(parallel(step("a"), step("b", "beta")))),
        worker(submit("{{ data['x-user'] }}"), after_tool="echo_headers"),
        worker(call("echo_headers")),
        FINISH,
    ]
    settings = config(rules, servers=server(mock_url, headers_from_request={"x-user": "x-caller"}))
    results: dict[str, set[str]] = {}
    async with open_harness() as harness:
        team = harness.orchestrator(settings)

        async def ask(name: str) -> None:
            transcript = await harness.run(team, headers={"x-caller": name})
            results[name] = {event.result for event in transcript.all(TaskCompleted)}

        async with anyio.create_task_group() as group:
            for name in ("ann", "bob"):
                group.start_soon(ask, name)
    assert results == {"ann": {"ann"}, "bob": {"bob"}}


async def test_a_worker_whose_server_is_down_is_told_named_and_never_started(
    mock_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    rules = [
        coordinator("plan", plan(parallel(step("a"), step("b", "beta")))),
        worker(submit("fine"), after_tool="mock_tool"),
        worker(call("mock_tool", message="x")),
        FINISH,
    ]
    down = {"down": {"transport": "http_streamable", "url": "http://127.0.0.1:9/mcp", "connect_timeout_secs": 2}}
    settings = config(
        rules,
        servers={**server(mock_url), **down},
        workers={"alpha": {"mcp_filter": ["mock_tool"]}, "beta": {"mcp_filter": ["down_*"]}},
        filesystem=False,
    )
    async with open_harness() as harness:
        transcript = await harness.run(settings)
    first = transcript.asked("coordinator")[0].messages[-1].text
    assert "`down`" in first
    assert "This worker has no tools" in first
    done = {event.task_id: event for event in transcript.all(TaskCompleted)}
    assert done[0].success
    assert not done[1].success
    assert "MCP server `down`" in done[1].result
    assert all(request.info.worker == "alpha" for request in transcript.asked("worker"))
    assert any("worker `beta` has no tools: MCP server `down`" in r.getMessage() for r in caplog.records)


async def test_a_worker_waits_for_its_own_tools_only(mock_url: str) -> None:
    rules = [
        coordinator("plan", plan(step("a"))),
        worker(submit("{{ data.reason }}"), after_tool="wait_for", after_error=False),
        worker(
            call("wait_for", probe={"tool": "mock_tool", "args": {"message": "ready"}}, until={"matches": "ready"}),
            after_error=True,
        ),
        worker(call("wait_for", probe={"tool": "process_id", "args": {}}, until={"matches": "x"})),
        FINISH,
    ]
    settings = config(rules, servers=server(mock_url), workers={"alpha": {"mcp_filter": ["mock_tool"]}})
    async with open_harness() as harness:
        transcript = await harness.run(settings)
    refused = transcript.all(OrchestratorToolCompleted)[0]
    assert not refused.ok
    assert "no MCP tool of yours is called `process_id`" in refused.result
    assert transcript.one(TaskCompleted).result == "matched"
    assert transcript.all(ToolProgress)[-1].phase == "wait_for"


async def test_a_lost_client_cancels_the_tools_of_every_worker(mock_url: str) -> None:
    rules = [
        coordinator("plan", plan(parallel(step("a"), step("b", "beta")))),
        worker(call("slow_task", task_id="of {{ groups.id }}", duration_seconds=30), user="task:\\n\\n(?P<id>\\w)"),
        FINISH,
    ]
    async with open_harness() as harness:
        run = harness.start(config(rules, servers=server(mock_url)))
        seen: list[str] = []
        await collect(
            run,
            lambda e: isinstance(e, OrchestratorToolStarted) and (seen.append(e.name) or len(seen) == 2),  # type: ignore[func-returns-value]
        )
        for name in ("of%20a", "of%20b"):
            await _until(mock_url, f"/tasks?id={name}", "status", "started")
        run.cancel(RunCancelled("The client has gone."))
        await run.closed()
        for name in ("of%20a", "of%20b"):
            await _until(mock_url, f"/cancellations?id={name}", "cancelled", True)


async def _until(url: str, path: str, key: str, value: object) -> None:
    def ask() -> object:
        with urllib.request.urlopen(url.removesuffix("/mcp") + path, timeout=5) as reply:
            return orjson.loads(reply.read())[key]

    with anyio.fail_after(30):
        while await anyio.to_thread.run_sync(ask) != value:  # noqa: ASYNC110  # the other process has no event to wait for
            await anyio.sleep(0.02)


async def test_tools_are_shown_to_the_coordinator_as_the_file_says(mock_url: str) -> None:
    for mode, shown in {"none": False, "summary": True, "full": True}.items():
        rules = [coordinator("plan", answer())]
        settings = config(
            rules,
            servers=server(mock_url),
            workers={"zeta": {"mcp_filter": ["mock_tool", "big_text", "fate"]}, "alpha": {"mcp_filter": []}},
            tools_in_planning=mode,
            max_tools_per_worker=1,
            filesystem=False,
        )
        async with open_harness() as harness:
            transcript = await harness.run(settings)
        request = transcript.requests[0]
        prompt = request.messages[-1].text
        assert prompt.index("`zeta`") < prompt.index("`alpha`")
        assert ("mock_tool" in prompt) == shown
        assert ("(+2 more)" in prompt) == shown
        assert ("This worker has no tools" in prompt) == shown
        assert ("Echoes a message." in prompt) == (mode == "full")
        assert ("list_tools" in [tool.name for tool in request.tools]) == (mode == "none")


async def test_the_coordinator_looks_tools_up_when_none_are_shown(mock_url: str) -> None:
    rules = [
        coordinator("plan", answer("{{ results | length }}"), call=4),
        coordinator("plan", call("inspect_tool_params", tool_name="mock"), call=3),
        coordinator("plan", call("inspect_tool_params", tool_name="mock_tool"), call=2),
        coordinator("plan", call("list_tools")),
    ]
    settings = config(
        rules,
        servers=server(mock_url),
        workers={"alpha": {"mcp_filter": ["mock_tool"]}},
        tools_in_planning="none",
    )
    async with open_harness() as harness:
        transcript = await harness.run(settings)
    assert isinstance(transcript.end, RunFinished)
    results = [orjson.loads(m.text) for m in transcript.requests[-1].messages if m.role == "tool"]
    assert results[0] == {"count": 1, "tools": "mock_tool"}
    assert '"message"' in results[1]["schema"]
    assert results[2]["schema"] == "There is no such tool; did you mean `mock_tool`?"
    assert transcript.all(OrchestratorToolStarted) == []
