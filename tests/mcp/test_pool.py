"""The pool: who shares what, for how long, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Callable
from dataclasses import replace

import anyio
import httpx2
import psutil
import pytest

from aura_py.config.models import McpServer
from aura_py.mcp import McpPool
from aura_py.mcp.pool import connection_key
from aura_py.messages import JsonObject
from tests.mcp.conftest import Calls, http_server, python_server, running, sse_server, tool


async def session_of(pool: McpPool, server: McpServer, headers: dict[str, str], calls: Calls) -> str:
    attachment = await pool.attach({"mock": server}, headers=headers)
    outcome = await tool(attachment, "echo_headers").call({}, calls.context())
    await attachment.release()
    return outcome.text


async def process_of(pool: McpPool, server: McpServer, calls: Calls) -> int:
    attachment = await pool.attach({"mock": server}, headers={})
    outcome = await tool(attachment, "process_id").call({}, calls.context())
    await attachment.release()
    return int(outcome.text)


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(120):
        while not condition():  # noqa: ASYNC110 - the operating system offers no event for it
            await anyio.sleep(0.02)


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True) if lives(child.pid)}


def lives(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# --- sharing -------------------------------------------------------------------------------------------------------


async def test_requests_share_a_process_and_runs_after_one_another_keep_it(calls: Calls) -> None:
    async with McpPool() as pool:
        server = python_server("careless")
        assert await process_of(pool, server, calls) == await process_of(pool, server, calls)


async def test_many_requests_at_once_open_one_connection(calls: Calls) -> None:
    before = children()
    async with McpPool() as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(process_of, pool, python_server("careless", fork=False), calls)
        assert len(children() - before) == 1


def test_only_equal_headers_share_a_connection() -> None:
    server = http_server("http://127.0.0.1:9/mcp", description="one")
    same = http_server("http://127.0.0.1:9/mcp", description="two", tool_timeout_secs=5)
    assert connection_key(server, {"a": "1", "b": "2"}) == connection_key(same, {"b": "2", "a": "1"})
    assert connection_key(server, {"a": "1"}) != connection_key(server, {"a": "2"})
    assert connection_key(server, {}) != connection_key(sse_server("http://127.0.0.1:9/mcp"), {})
    assert "1" * 20 not in connection_key(server, {"a": "1" * 20})
    child = python_server("mock", env={"TOKEN": "a"})
    assert connection_key(child, {}) != connection_key(python_server("mock", env={"TOKEN": "b"}), {})


@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_two_users_never_meet_in_two_hundred_calls(
    calls: Calls, mock_http: str, mock_sse: str, transport: str
) -> None:
    mapping = {"headers_from_request": {"Authorization": "x-user-token"}}
    server: McpServer = http_server(mock_http, **mapping) if transport == "http" else sse_server(mock_sse, **mapping)
    seen: dict[str, set[str]] = {"ann": set(), "ben": set()}
    at_once = anyio.Semaphore(50)
    async with McpPool() as pool:

        async def request(user: str) -> None:
            async with at_once:
                headers = json.loads(await session_of(pool, server, {"x-user-token": f"Token {user}"}, calls))
            seen[user].add(headers["authorization"])

        async with anyio.create_task_group() as tasks:
            for number in range(200):
                tasks.start_soon(request, "ann" if number % 2 else "ben")
    assert seen == {"ann": {"Token ann"}, "ben": {"Token ben"}}


# --- lists of tools ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["changing", "legacy"])
async def test_a_changed_list_is_read_again(calls: Calls, module: str) -> None:
    async with McpPool() as pool:
        servers = {"srv": python_server(module)}
        attachment = await pool.attach(servers, headers={})
        known = {found.name for found in attachment.tools}
        arguments: JsonObject = {"name": "late"} if module == "changing" else {}
        await tool(attachment, "grow").call(arguments, calls.context())
        assert {found.name for found in attachment.tools} == known
        with anyio.fail_after(5):
            while True:
                later = await pool.attach(servers, headers={})
                await later.release()
                if {found.name for found in later.tools} == known | {"late"}:
                    break
                await anyio.sleep(0.02)
        await attachment.release()


async def test_a_server_that_was_started_anew_is_asked_for_its_list_and_its_changes_again(calls: Calls) -> None:
    async with McpPool(list_ttl=3600) as pool:
        with running("changing", "--http", "0") as (url, _):
            servers: dict[str, McpServer] = {"srv": http_server(url)}
            attachment = await pool.attach(servers, headers={})
            assert (await tool(attachment, "grow").call({"name": "first"}, calls.context())).ok
            await listed(pool, servers, {"grow", "first"})
        with running("changing", "--http", str(httpx2.URL(url).port)):
            await listed(pool, servers, {"grow"})
            assert (await tool(attachment, "grow").call({"name": "second"}, calls.context())).ok
            await listed(pool, servers, {"grow", "second"})
        await attachment.release()


async def listed(pool: McpPool, servers: dict[str, McpServer], names: set[str]) -> None:
    with anyio.fail_after(30):
        while True:
            attachment = await pool.attach(servers, headers={})
            await attachment.release()
            if {found.name for found in attachment.tools} == names:
                return
            await anyio.sleep(0.05)


async def test_a_probe_sees_the_tools_of_this_moment(calls: Calls, mock_http: str) -> None:
    servers: dict[str, McpServer] = {
        "mock": http_server(mock_http),
        "gone": http_server("http://127.0.0.1:9/mcp"),
        "late": http_server("http://127.0.0.1:9/mcp", enabled=False),
    }
    async with McpPool() as pool:
        first = await pool.probe(servers, headers={})
        second = await pool.probe(servers, headers={})
    assert [info.status.server_name for info in first] == ["mock", "gone"]
    assert first[1].tools is None
    assert first[0].tools == second[0].tools
    described = next(found for found in first[0].tools or () if found["name"] == "mock_tool")
    assert described["description"] == "Echoes a message."
    assert set(described) >= {"name", "description", "inputSchema", "outputSchema"}
    assert "icons" not in described


async def test_a_probe_ends_at_its_ceiling(refusing: str) -> None:
    async with McpPool() as pool:
        with anyio.fail_after(3):
            (info,) = await pool.probe({"silent": http_server(f"{refusing}/silent")}, headers={}, seconds=0.3)
    assert info.tools is None
    assert info.status.status == "failed"


async def test_collisions_are_settled_in_file_order(mock_http: str) -> None:
    servers = {"zeta": http_server(mock_http), "alpha": http_server(mock_http, headers={"x": "1"})}
    async with McpPool() as pool:
        attachment = await pool.attach(servers, headers={}, reserved={"list_files"})
        await attachment.release()
    names = [
        (found.source, found.name) for found in attachment.tools if found.native_name in ("mock_tool", "list_files")
    ]
    assert names == [
        ("zeta", "mock_tool"),
        ("zeta", "zeta_list_files"),
        ("alpha", "alpha_list_files"),
    ]
    assert {found.kind for found in attachment.tools} == {"mcp"}


# --- life and death ------------------------------------------------------------------------------------------------


async def test_an_unused_connection_is_closed_after_a_while(calls: Calls) -> None:
    before = children()
    async with McpPool(idle_ttl=0.2) as pool:
        await process_of(pool, python_server("careless", fork=False), calls)
        await until(lambda: children() == before)
        assert await process_of(pool, python_server("careless", fork=False), calls)


async def test_a_connection_in_use_outlives_the_idle_time(calls: Calls) -> None:
    async with McpPool(idle_ttl=0.1) as pool:
        attachment = await pool.attach({"mock": python_server("mock")}, headers={})
        pid = int((await tool(attachment, "process_id").call({}, calls.context())).text)
        with anyio.move_on_after(0.5):
            await anyio.sleep_forever()
        assert int((await tool(attachment, "process_id").call({}, calls.context())).text) == pid
        await attachment.release()


async def test_the_least_recently_used_connection_makes_room(calls: Calls) -> None:
    before = children()
    async with McpPool(max_connections=2) as pool:
        servers = [python_server("careless", fork=False, env={"NUMBER": str(number)}) for number in range(3)]
        pids = [await process_of(pool, server, calls) for server in servers]
        await until(lambda: children() - before == set(pids[1:]))
        assert await process_of(pool, servers[1], calls) == pids[1]


async def test_connections_beyond_the_limit_are_closed_when_they_are_released(calls: Calls) -> None:
    before = children()
    async with McpPool(max_connections=1) as pool:
        servers: dict[str, McpServer] = {
            name: python_server("careless", fork=False, env={"NUMBER": name}) for name in ("one", "two")
        }
        attachment = await pool.attach(servers, headers={})
        assert len(children() - before) == 2
        await attachment.release()
        await until(lambda: len(children() - before) == 1)


async def test_a_cancelled_attach_leaves_no_child_behind() -> None:
    before = children()
    async with McpPool() as pool:
        with anyio.move_on_after(0.3):
            script = "import time; time.sleep(60)"
            silent = python_server("careless", fork=False).model_copy(update={"cmd": (sys.executable, "-c", script)})
            await pool.attach({"silent": silent}, headers={})
    await until(lambda: children() == before)


async def test_a_child_that_ignores_the_end_of_its_input_is_killed_at_shutdown() -> None:
    before = children()
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    stubborn = python_server("careless", fork=False).model_copy(update={"cmd": (sys.executable, "-c", script)})
    with anyio.fail_after(15):
        async with McpPool() as pool:
            with anyio.move_on_after(0.5):
                await pool.attach({"stubborn": stubborn}, headers={})
    assert children() == before


async def test_a_pool_that_was_never_used_imports_nothing() -> None:
    script = (
        "import anyio, sys\n"
        "from aura_py.mcp import McpPool\n"
        "async def main():\n"
        "    async with McpPool() as pool:\n"
        "        await (await pool.attach({}, headers={})).release()\n"
        "anyio.run(main)\n"
        "print(sorted(name for name in ('mcp', 'mcp_types', 'httpx2', 'jsonschema') if name in sys.modules))\n"
    )
    done = await anyio.run_process([sys.executable, "-c", script])
    assert done.stdout.decode().strip() == "[]"


async def test_a_hundred_cancelled_requests_leave_nothing_behind(calls: Calls, mock_http: str, mock_sse: str) -> None:
    servers: dict[str, McpServer] = {
        "http": http_server(mock_http),
        "child": python_server("mock", fork=False),
        "sse": sse_server(mock_sse),
    }
    process = psutil.Process()
    async with McpPool() as pool:

        async def request() -> None:
            attachments = [await pool.attach({name: server}, headers={}) for name, server in servers.items()]
            try:
                started = anyio.Event()
                arguments: JsonObject = {"task_id": "x", "duration_seconds": 30}
                async with anyio.create_task_group() as tasks:
                    for attachment in attachments:
                        context = replace(calls.context(), started=lambda _token: started.set())
                        tasks.start_soon(tool(attachment, "slow_task").call, arguments, context)
                    await started.wait()
                    tasks.cancel_scope.cancel()
            finally:
                for attachment in attachments:
                    await attachment.release()

        for _ in range(5):
            await request()
        gc.collect()
        await anyio.wait_all_tasks_blocked()
        tasks, files, kids = len(asyncio.all_tasks()), process.num_fds(), children()
        with anyio.fail_after(60):
            for _ in range(100):
                await request()
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert process.num_fds() <= files + 3
        assert children() == kids
