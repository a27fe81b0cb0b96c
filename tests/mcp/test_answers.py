"""HTTP servers whose answers are none: each costs its own call, at once, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import anyio
import httpx2
import psutil
import pytest

from aura_py.mcp import McpAttachment, McpPool
from tests.mcp.conftest import Calls, http_server, running, tool
from tests.mcp.test_pool import until


@pytest.fixture(scope="module")
def misspoken() -> Iterator[str]:
    with running("misspoken", "--http", "0") as (url, _):
        yield url


@contextlib.asynccontextmanager
async def attached(url: str) -> AsyncIterator[McpAttachment]:
    async with McpPool() as pool:
        attachment = await pool.attach({"odd": http_server(url)}, headers={})
        yield attachment
        await attachment.release()


async def asked(url: str) -> dict[str, int]:
    async with httpx2.AsyncClient() as client:
        found: dict[str, int] = (await client.get(url.removesuffix("mcp"))).json()
        return found


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("other_id", "belongs to another request"),
        ("no_id", "out of paper"),
        ("notification", "no JSON-RPC response"),
        ("page", "unexpected content type `text/html`"),
        ("no_json", "not valid JSON"),
        ("nothing", "without a content type"),
        ("accepted", "202 Accepted"),
        ("torn", "the connection to the server broke"),
        ("torn_error", "server returned HTTP 500 Internal Server Error"),
        ("no_gzip", "cannot be decoded"),
        ("no_event", "not valid JSON"),
        ("no_answer", "ended without a response"),
        ("forbidden", "server returned HTTP 403 Forbidden"),
        ("elsewhere", "Redirect to http://127.0.0.2:9/mcp not followed"),
    ],
)
async def test_a_wrong_answer_costs_its_own_call_and_nothing_beside_it(
    calls: Calls, misspoken: str, name: str, words: str
) -> None:
    async with attached(misspoken) as attachment, anyio.create_task_group() as tasks:
        started = anyio.Event()
        beside = replace(calls.context("beside"), started=lambda _token: started.set())
        ended = anyio.Event()

        async def wait_beside() -> None:
            await tool(attachment, "silent").call({}, beside)
            ended.set()

        tasks.start_soon(wait_beside)
        await started.wait()
        with anyio.fail_after(20):
            outcome = await tool(attachment, name).call({}, calls.context())
        assert (outcome.ok, outcome.outcome) == (False, "raised")
        assert words in outcome.text
        assert (await tool(attachment, "right").call({}, calls.context())).ok
        assert not ended.is_set()
        tasks.cancel_scope.cancel()


async def test_an_id_written_as_text_is_the_same_id(calls: Calls, misspoken: str) -> None:
    async with attached(misspoken) as attachment:
        assert (await tool(attachment, "text_id").call({}, calls.context())).text == "ok"


@pytest.mark.parametrize("name", ["silent", "silent_stream"])
async def test_calls_that_were_cancelled_hold_no_connection_to_a_server_that_never_ends_them(
    calls: Calls, misspoken: str, name: str
) -> None:
    process = psutil.Process()
    async with attached(misspoken) as attachment:
        assert (await tool(attachment, "right").call({}, calls.context())).ok
        before, tasks_before = len(process.net_connections("tcp")), len(asyncio.all_tasks())
        for number in range(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(tool(attachment, name).call, {}, calls.context(str(number)))
                await until(lambda: len(calls.tokens) > number + 1)  # noqa: B023 - it ends within this round
                tasks.cancel_scope.cancel()
        await until(lambda: len(process.net_connections("tcp")) <= before)
        await until(lambda: len(asyncio.all_tasks()) <= tasks_before)
        assert (await tool(attachment, "right").call({}, calls.context())).ok
    assert (await asked(misspoken))["POST notifications/cancelled"] >= 10


async def test_a_server_that_wants_to_be_asked_again_at_once_is_asked_at_a_walking_pace() -> None:
    with running("misspoken", "--http", "0", "--restless") as (url, _):
        async with attached(url):
            with anyio.move_on_after(1):
                await anyio.sleep_forever()
            assert 2 <= (await asked(url))["GET"] <= 40


async def test_a_redirect_within_the_origin_is_followed_and_leaves_no_trace(calls: Calls) -> None:
    with running("misspoken", "--http", "0", "--moved") as (url, _):
        async with McpPool() as pool:
            attachment = await pool.attach({"odd": http_server(url)}, headers={})
            assert (await tool(attachment, "right").call({}, calls.context())).ok
            (connection,) = pool._owned
            client = connection._diagnostics.client
            assert client is not None
            assert (client.first_failure, client.failures) == (None, {})
            await attachment.release()


JSON = "application/json"


def rpc_error(code: int, message: str, message_id: str = "null") -> str:
    return f'{{"jsonrpc": "2.0", "id": {message_id}, "error": {{"code": {code}, "message": "{message}"}}}}'


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        ("400 Bad Request", JSON, rpc_error(-32000, "Bad Request: No valid session ID provided")),
        ("400 Bad Request", JSON, rpc_error(-32000, "Bad Request: Server not initialized")),
        ("400 Bad Request", JSON, '{"jsonrpc": "2.0", "error": {"code": -32000, "message": "No valid session ID"}}'),
        ("400 Bad Request", "text/plain", "Invalid or missing session ID"),
        ("400 Bad Request", "text/html", "<p>Unknown session</p>"),
        ("404 Not Found", "text/plain", ""),
        ("404 Not Found", JSON, rpc_error(-32001, "Session not found")),
        ("403 Forbidden", "text/plain", "session expired"),
        ("410 Gone", "text/plain", ""),
        ("500 Internal Server Error", JSON, rpc_error(-32001, "Session not found")),
        ("503 Service Unavailable", JSON, '{"detail": "no such session"}'),
        ("200 OK", JSON, rpc_error(-32001, "Session not found", "ID")),
        ("200 OK", "text/event-stream", f"data: {rpc_error(-32001, 'Session not found', 'ID')}\n\n"),
    ],
)
async def test_a_session_that_the_server_does_not_know_any_more_is_opened_anew_and_the_call_repeated(
    calls: Calls, misspoken: str, status: str, kind: str, body: str
) -> None:
    before = await asked(misspoken)
    async with attached(misspoken) as attachment:
        await tool(attachment, "forget").call({"status": status, "kind": kind, "body": body}, calls.context())
        with anyio.fail_after(20):
            outcomes = [await tool(attachment, "right").call({}, calls.context()) for _ in range(2)]
    after = await asked(misspoken)
    assert [outcome.ok for outcome in outcomes] == [True, True]
    assert after["POST initialize"] - before.get("POST initialize", 0) == 2
    assert after["right"] - before.get("right", 0) == 2


async def test_a_call_that_may_have_been_made_is_repeated_only_if_that_is_harmless(
    calls: Calls, misspoken: str
) -> None:
    gateway = {"status": "503 Service Unavailable", "kind": "text/plain", "body": "upstream connect error"}
    async with attached(misspoken) as attachment:
        for name in ("right", "reader"):
            await tool(attachment, "forget").call(gateway, calls.context())
            outcome = await tool(attachment, name).call({}, calls.context())
            assert outcome.ok is (name == "reader")
            if not outcome.ok:
                assert "server returned HTTP 503 Service Unavailable: upstream connect error" in outcome.text
            assert (await tool(attachment, name).call({}, calls.context())).ok


async def test_a_refused_argument_is_no_lost_session(calls: Calls, misspoken: str) -> None:
    before = await asked(misspoken)
    async with attached(misspoken) as attachment:
        outcome = await tool(attachment, "argument").call({}, calls.context())
    after = await asked(misspoken)
    assert (outcome.outcome, outcome.code) == ("schema_error", -32602)
    assert after["argument"] - before.get("argument", 0) == 1


async def test_a_failing_call_that_names_no_session_keeps_the_connection(calls: Calls, misspoken: str) -> None:
    before = await asked(misspoken)
    async with attached(misspoken) as attachment:
        outcome = await tool(attachment, "refused").call({}, calls.context())
        assert (await tool(attachment, "right").call({}, calls.context())).ok
    after = await asked(misspoken)
    assert outcome.text == "Tool execution failed: server returned HTTP 403 Forbidden: the scope `write` is missing"
    assert after["POST initialize"] - before.get("POST initialize", 0) == 1
    assert after["refused"] - before.get("refused", 0) == 1
