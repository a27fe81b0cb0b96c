"""Calls: progress, cancellation, timeouts, and servers that die."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import httpx2
import pytest

from aura_py.config.models import McpServer
from aura_py.mcp import McpAttachment, McpPool
from aura_py.messages import JsonObject
from aura_py.tools.contract import ToolOutcome
from tests.mcp.conftest import Calls, http_server, python_server, running, sse_server, tool

Message: TypeAlias = dict[str, Any]


@contextlib.asynccontextmanager
async def attached(server: McpServer, **options: Any) -> AsyncIterator[McpAttachment]:
    async with McpPool(**options) as pool:
        attachment = await pool.attach({"mock": server}, headers={})
        try:
            yield attachment
        finally:
            await attachment.release()


@pytest.fixture(params=["http", "stdio", "sse"])
def mock(request: pytest.FixtureRequest) -> McpServer:
    match request.param:
        case "http":
            return http_server(request.getfixturevalue("mock_http"))
        case "sse":
            return sse_server(request.getfixturevalue("mock_sse"))
    return python_server("mock")


async def fate_of(attachment: McpAttachment, calls: Calls, task_id: str, wanted: str) -> dict[str, str]:
    """Asks the server until the task has met its fate."""
    with anyio.fail_after(2):
        while True:
            outcome = await tool(attachment, "fate").call({"task_id": task_id}, calls.context("probe"))
            found: dict[str, str] = json.loads(outcome.text)
            if found["status"] == wanted:
                return found
            await anyio.sleep(0.02)


def read(record: Path) -> list[Message]:
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


async def messages(record: Path, done: Callable[[list[Message]], bool]) -> list[Message]:
    with anyio.fail_after(2):
        while True:
            found = read(record)
            if done(found):
                return found
            await anyio.sleep(0.02)


def cancellations(found: list[Message]) -> list[Message]:
    return [message for message in found if message.get("method") == "notifications/cancelled"]


# --- progress ------------------------------------------------------------------------------------------------------


async def test_progress_reaches_its_own_call_in_order(mock: McpServer, calls: Calls) -> None:
    async with attached(mock) as attachment:
        progressing = tool(attachment, "task_with_progress")
        outcomes: list[ToolOutcome] = []

        async def one(number: int) -> None:
            outcomes.append(await progressing.call({"steps": 5}, calls.context(f"call_{number}")))

        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(one, number)
    assert all(outcome.text == "finished after 5 updates" for outcome in outcomes)
    assert len(set(calls.tokens)) == 4
    for number in range(4):
        mine = [event for event in calls.progress if event.call_id == f"call_{number}"]
        assert [event.progress for event in mine] == [1, 2, 3, 4, 5]
        assert {event.total for event in mine} == {5}
        assert mine[0].message == "step 1 of 5"
        assert len({event.progress_token for event in mine}) == 1


async def test_a_hundred_calls_run_without_anybody_listening(calls: Calls, mock_http: str) -> None:
    async with attached(http_server(mock_http)) as attachment:
        chatty = tool(attachment, "task_with_progress")
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for number in range(100):
                    tasks.start_soon(chatty.call, {"duration_seconds": 0.0, "steps": 2}, calls.context(str(number)))
    assert len(calls.tokens) == 100


async def test_late_progress_is_dropped_with_one_warning(calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    async with attached(python_server("legacy")) as attachment:
        chatter = tool(attachment, "chatter")
        for _ in range(2):
            assert (await chatter.call({}, calls.context())).text == "done"
        await tool(attachment, "search_logs").call({"query": "x"}, calls.context())
    assert len(calls.progress) == 100
    warnings = [entry for entry in caplog.records if "call that is over" in entry.getMessage()]
    assert [entry.levelname for entry in warnings].count("WARNING") == 1


# --- cancellation --------------------------------------------------------------------------------------------------


async def test_a_cancelled_task_reaches_the_server_within_two_seconds(mock: McpServer, calls: Calls) -> None:
    async with attached(mock) as attachment:
        started = anyio.Event()
        context = replace(calls.context(), started=lambda _token: started.set())
        arguments: JsonObject = {"task_id": "gone", "duration_seconds": 30}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tool(attachment, "slow_task").call, arguments, context)
            await started.wait()
            await fate_of(attachment, calls, "gone", "started")
            tasks.cancel_scope.cancel()
        await fate_of(attachment, calls, "gone", "cancelled")
        again = await tool(attachment, "mock_tool").call({"message": "alive"}, calls.context())
    assert again.ok


async def test_every_call_in_flight_is_cancelled_with_the_reason(calls: Calls) -> None:
    async with McpPool() as pool:
        servers = {"mock": python_server("mock")}
        attachment = await pool.attach(servers, headers={})
        other = await pool.attach(servers, headers={})

        async def slow(task_id: str) -> None:
            arguments: JsonObject = {"task_id": task_id, "duration_seconds": 30}
            context = calls.context(task_id)
            context = replace(context, run=replace(context.run, stop_reason=lambda: "timeout"))
            await tool(attachment, "slow_task").call(arguments, context)

        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(slow, f"t{number}")
            for number in range(3):
                await fate_of(other, calls, f"t{number}", "started")
            tasks.cancel_scope.cancel()
        for number in range(3):
            assert (await fate_of(other, calls, f"t{number}", "cancelled"))["reason"] == "timeout"
        await attachment.release()
        late = await tool(attachment, "mock_tool").call({"message": "x"}, calls.context())
        await other.release()
    assert (late.text, late.outcome) == ("Request cancelled", "cancelled")


async def test_a_server_is_told_exactly_once_and_why(calls: Calls, tmp_path: Path) -> None:
    record = tmp_path / "messages"
    async with attached(python_server("legacy", "--record", str(record))) as attachment:
        async with anyio.create_task_group() as tasks:
            context = calls.context()
            context = replace(context, run=replace(context.run, stop_reason=lambda: "server shutdown"))
            tasks.start_soon(tool(attachment, "wait").call, {"seconds": 30}, context)
            await messages(record, lambda found: any(message["method"] == "tools/call" for message in found))
            tasks.cancel_scope.cancel()
        await messages(record, lambda found: bool(cancellations(found)))
        await tool(attachment, "search_logs").call({"query": "x"}, calls.context())
        found = await messages(record, lambda found: found[-1]["method"] == "tools/call")
    call = next(message for message in found if message["method"] == "tools/call")
    assert [message["params"] for message in cancellations(found)] == [
        {"requestId": call["id"], "reason": "server shutdown"}
    ]
    assert call["params"]["_meta"]["progressToken"] == call["id"]


async def test_calls_over_sse_do_not_wait_for_one_another_to_be_taken(calls: Calls) -> None:
    with running("holding", "--sse", "0") as (url, _):
        async with attached(sse_server(url)) as attachment:
            outcomes: list[ToolOutcome] = []

            async def hold() -> None:
                outcomes.append(await tool(attachment, "hold").call({}, calls.context()))

            with anyio.fail_after(20):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(hold)
                    while not calls.tokens:  # noqa: ASYNC110 - the call tells it synchronously
                        await anyio.sleep(0.01)
                    assert (await tool(attachment, "cancelled").call({}, calls.context())).text == "[]"
                    tasks.cancel_scope.cancel()
                while (await tool(attachment, "cancelled").call({}, calls.context())).text == "[]":  # noqa: ASYNC110 - the server knows no event for it
                    await anyio.sleep(0.02)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(hold)
                    assert (await tool(attachment, "let_go").call({}, calls.context())).ok
    assert [outcome.text for outcome in outcomes] == ['["client disconnected"]']


# --- timeouts ------------------------------------------------------------------------------------------------------


async def test_a_call_over_its_limit_is_an_error_and_the_server_is_told(calls: Calls, tmp_path: Path) -> None:
    record = tmp_path / "messages"
    server = python_server("legacy", "--record", str(record), tool_timeout_secs=1)
    async with attached(server) as attachment:
        outcome = await tool(attachment, "wait").call({"seconds": 30}, calls.context())
        found = await messages(record, lambda found: bool(cancellations(found)))
        again = await tool(attachment, "search_logs").call({"query": "x"}, calls.context())
    assert (outcome.ok, outcome.outcome) == (False, "raised")
    assert "within 1 s" in outcome.text
    assert outcome.text.startswith("Tool execution failed: ")
    assert "1 s" in cancellations(found)[0]["params"]["reason"]
    assert again.ok


async def test_progress_restarts_the_clock(calls: Calls, mock_http: str) -> None:
    async with attached(http_server(mock_http, tool_timeout_secs=1)) as attachment:
        arguments = {"duration_seconds": 1.6, "steps": 4}
        outcome = await tool(attachment, "task_with_progress").call(arguments, calls.context())
    assert outcome.ok


# --- concurrency ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (2, 2)])
async def test_calls_of_one_run_are_bounded_per_server(calls: Calls, mock_http: str, limit: int, most: int) -> None:
    async with attached(http_server(mock_http, max_parallel_tool_calls=limit)) as attachment:
        running_now, peak = 0, 0
        progressing = tool(attachment, "task_with_progress")

        async def one(number: int) -> None:
            nonlocal running_now, peak

            def started(_token: int | str | None) -> None:
                nonlocal running_now, peak
                running_now += 1
                peak = max(peak, running_now)

            context = replace(calls.context(str(number)), started=started)
            await progressing.call({"duration_seconds": 0.05, "steps": 1}, context)
            running_now -= 1

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(one, number)
    assert peak == most


# --- arguments -----------------------------------------------------------------------------------------------------


async def test_a_renamed_tool_is_called_by_its_own_name_without_invented_nulls(calls: Calls, tmp_path: Path) -> None:
    record = tmp_path / "messages"
    async with attached(python_server("legacy", "--record", str(record))) as attachment:
        renamed = tool(attachment, "search_logs")
        arguments: JsonObject = {"query": "x", "limit": None, "options": {"depth": 2, "label": None}}
        outcome = await renamed.call(arguments, calls.context())
    assert renamed.native_name == "search logs"
    assert json.loads(outcome.text) == {"name": "search logs", "arguments": {"query": "x", "options": {"depth": 2}}}


async def test_wrong_arguments_never_reach_the_server(calls: Calls, tmp_path: Path) -> None:
    record = tmp_path / "messages"
    async with attached(python_server("legacy", "--record", str(record))) as attachment:
        searching = tool(attachment, "search_logs")
        missing = await searching.call({"limit": 3}, calls.context())
        nested = await searching.call({"query": "x", "options": {"depth": "deep"}}, calls.context())
        found = await messages(record, bool)
    assert {outcome.outcome for outcome in (missing, nested)} == {"schema_error"}
    assert "'query' is a required property" in missing.text
    assert "`options.depth`: 'deep' is not of type 'integer'" in nested.text
    assert not [message for message in found if message["method"] == "tools/call"]
    assert calls.tokens == []


# --- failures ------------------------------------------------------------------------------------------------------


async def test_what_a_tool_reports_as_an_error_is_one(mock: McpServer, calls: Calls) -> None:
    async with attached(mock) as attachment:
        outcome = await tool(attachment, "failing_tool").call({"error_message": "queue is full"}, calls.context())
    assert (outcome.ok, outcome.outcome, outcome.code) == (False, "tool_error", None)
    assert outcome.text.startswith("Tool returned an error: ")
    assert "queue is full" in outcome.text


async def test_a_protocol_error_keeps_its_code_and_is_bounded(calls: Calls) -> None:
    async with attached(python_server("legacy")) as attachment:
        outcome = await tool(attachment, "refuse").call({}, calls.context())
    assert (outcome.outcome, outcome.code) == ("schema_error", -32602)
    assert outcome.text.startswith("Tool execution failed: the arguments are wrong")
    assert "-32602" in outcome.text
    assert len(outcome.text.encode()) <= 8192 + 128


async def test_a_child_killed_in_mid_call_is_an_error_and_the_next_call_reconnects(
    calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    async with attached(python_server("mock")) as attachment:
        pid = int((await tool(attachment, "process_id").call({}, calls.context())).text)
        outcomes: list[ToolOutcome] = []

        async def slow() -> None:
            arguments: JsonObject = {"task_id": "t", "duration_seconds": 30}
            outcomes.append(await tool(attachment, "slow_task").call(arguments, calls.context()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slow)
            await fate_of(attachment, calls, "t", "started")
            os.kill(pid, signal.SIGKILL)
        after = await tool(attachment, "process_id").call({}, calls.context())
    assert outcomes[0].outcome == "raised"
    assert "`mock` went away during the call" in outcomes[0].text
    assert "`mock` went away (the server's process got signal 9)" in caplog.text
    assert after.ok
    assert int(after.text) != pid


async def test_an_http_server_killed_in_mid_call_is_an_error_and_a_new_one_is_found(calls: Calls) -> None:
    with running("mock", "--http", "0") as (url, process):
        port = httpx2.URL(url).port
        async with attached(http_server(url)) as attachment:
            outcomes: list[ToolOutcome] = []

            async def slow() -> None:
                arguments: JsonObject = {"task_id": "t", "duration_seconds": 30}
                outcomes.append(await tool(attachment, "slow_task").call(arguments, calls.context()))

            with anyio.fail_after(20):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(slow)
                    await fate_of(attachment, calls, "t", "started")
                    process.kill()
                gone = await tool(attachment, "mock_tool").call({"message": "x"}, calls.context())
                with running("mock", "--http", str(port)):
                    while True:
                        after = await tool(attachment, "mock_tool").call({"message": "x"}, calls.context())
                        if after.ok:
                            break
                        await anyio.sleep(0.1)
    assert outcomes[0].outcome == "raised"
    assert outcomes[0].text.startswith("Tool execution failed: ")
    assert gone.outcome == "raised"


async def test_a_session_that_the_server_forgot_is_opened_again_once(calls: Calls) -> None:
    with running("legacy", "--http", "0", "--expire", "2") as (url, _):
        async with attached(http_server(url)) as attachment:
            searching = tool(attachment, "search_logs")
            outcomes = [await searching.call({"query": str(number)}, calls.context()) for number in range(6)]
    assert [json.loads(outcome.text)["arguments"]["query"] for outcome in outcomes] == list("012345")
