"""Every transport, against real servers in processes of their own."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path

import anyio
import pytest
from mcp.client.session import ClientSession
from mcp_types import InitializeResult

from aura_py.config.models import StdioServer
from aura_py.mcp import McpPool, negotiation
from tests.mcp.conftest import Calls, http_server, python_server, running, sse_server, tool


@pytest.mark.parametrize("options", [(), ("--json",), ("--stateless",)], ids=["sse", "json", "stateless"])
async def test_a_streamable_http_server_is_listed_and_called(calls: Calls, options: tuple[str, ...]) -> None:
    async with McpPool() as pool:
        with running("mock", "--http", "0", *options) as (url, _):
            attachment = await pool.attach({"mock": http_server(url)}, headers={})
            outcome = await tool(attachment, "mock_tool").call({"message": "hi"}, calls.context())
            await attachment.release()
        assert outcome.ok
        assert outcome.text == "Mock tool received: hi"
        assert [status.status for status in attachment.statuses] == ["connected"]
        assert attachment.statuses[0].tools_count == len(attachment.tools)


async def test_a_legacy_sse_server_is_listed_and_called(calls: Calls, mock_sse: str) -> None:
    async with McpPool() as pool:
        attachment = await pool.attach({"mock": sse_server(mock_sse)}, headers={})
        outcome = await tool(attachment, "task_with_progress").call({"steps": 3}, calls.context())
        await attachment.release()
        assert outcome.text == "finished after 3 updates"
        assert [event.progress for event in calls.progress] == [1, 2, 3]
        assert attachment.statuses[0].transport == "sse"


async def test_a_stdio_server_is_listed_and_called(calls: Calls) -> None:
    async with McpPool() as pool:
        attachment = await pool.attach({"mock": python_server("mock")}, headers={})
        outcome = await tool(attachment, "mock_tool").call({"message": "hi"}, calls.context())
        await attachment.release()
        assert outcome.text == "Mock tool received: hi"


@pytest.mark.parametrize("options", [("--label",), ()], ids=["labelled", "bare"])
async def test_a_server_of_an_older_revision_gets_its_session_header_and_all_its_pages(
    calls: Calls, options: tuple[str, ...]
) -> None:
    async with McpPool() as pool:
        with running("legacy", "--http", "0", *options) as (url, _):
            attachment = await pool.attach({"old": http_server(url)}, headers={})
            outcome = await tool(attachment, "search_logs").call({"query": "x"}, calls.context())
            await attachment.release()
        assert json.loads(outcome.text) == {"name": "search logs", "arguments": {"query": "x"}}
        assert [found.native_name for found in attachment.tools][:2] == ["search logs", "wait"]
        assert "refuse" in [found.name for found in attachment.tools]


async def test_a_server_that_hangs_up_at_the_newer_greeting_gets_the_older_one(calls: Calls) -> None:
    async with McpPool() as pool:
        attachment = await pool.attach({"old": python_server("legacy", "--hang-up")}, headers={})
        outcome = await tool(attachment, "search_logs").call({"query": "x"}, calls.context())
        await attachment.release()
        assert outcome.ok


@pytest.mark.parametrize("option", ["--deaf", "--spoilt"])
async def test_a_server_that_ignores_the_newer_greeting_gets_the_older_one_in_time(
    monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(negotiation, "HANDSHAKE_AFTER", 1 / 60)
    async with McpPool() as pool:
        server = python_server("legacy", option, connect_timeout_secs=60)
        attachment = await pool.attach({"old": server}, headers={})
        await attachment.release()
        assert [status.status for status in attachment.statuses] == ["connected"]


@pytest.mark.parametrize("server", ["mcp-server-time", "tests.servers.legacy"])
async def test_a_server_that_starts_late_is_waited_for_as_long_as_a_connection_may_take(
    tmp_path: Path, server: str
) -> None:
    """The child starts only when both greetings wait for it in the pipe; it may take the first or the second."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    path = Path(sys.executable)
    start = f"{path.with_name(server)}" if server.startswith("mcp") else f"{path} -m {server}"
    late = StdioServer(cmd=("sh", "-c", f"read -r line < '{gate}'; exec {start}"), connect_timeout_secs=60)
    greeted = anyio.Event()
    original = ClientSession.initialize

    async def initialize(session: ClientSession) -> InitializeResult:
        greeted.set()
        return await original(session)

    async with McpPool() as pool:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(negotiation, "HANDSHAKE_AFTER", 1 / 60)
            patched.setattr(ClientSession, "initialize", initialize)
            async with anyio.create_task_group() as tasks:

                async def open_gate() -> None:
                    await greeted.wait()
                    async with await anyio.open_file(gate, "w") as writer:
                        await writer.write("now\n")

                tasks.start_soon(open_gate)
                attachment = await pool.attach({"late": late}, headers={})
        await attachment.release()
    assert [status.status for status in attachment.statuses] == ["connected"]
    assert attachment.tools


async def test_a_tool_without_an_input_schema_takes_any_arguments(calls: Calls) -> None:
    async with McpPool() as pool:
        attachment = await pool.attach({"old": python_server("legacy")}, headers={})
        bare = tool(attachment, "bare")
        outcome = await bare.call({"a": 1}, calls.context())
        await attachment.release()
        assert bare.parameters == {"type": "object", "properties": {}}
        assert json.loads(outcome.text)["arguments"] == {"a": 1}


async def test_servers_know_the_client_as_aura(tmp_path: Path) -> None:
    async with McpPool() as pool:
        record = tmp_path / "messages"
        attachment = await pool.attach({"old": python_server("legacy", "--record", str(record))}, headers={})
        await attachment.release()
        messages = [json.loads(line) for line in record.read_text().splitlines()]
        greeting = next(message for message in messages if message["method"] == "initialize")
        assert greeting["params"]["clientInfo"]["name"] == "aura"
        assert greeting["params"]["clientInfo"]["version"]
        assert greeting["params"]["capabilities"] == {}


async def test_stdio_servers_inherit_the_environment_unless_told_otherwise(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with McpPool() as pool:
        monkeypatch.setenv("INHERITED", "yes")
        monkeypatch.setenv("AURA_API_KEYS", "s3cret")
        servers = {
            "open": python_server("legacy", env={"OWN": "1", "AURA_OF_THE_SERVER": "1"}),
            "closed": python_server("legacy", env={"OWN": "2"}, inherit_env=False),
        }
        seen: dict[str, dict[str, str]] = {}
        for name, server in servers.items():
            attachment = await pool.attach({name: server}, headers={})
            seen[name] = json.loads((await tool(attachment, "environment").call({}, calls.context())).text)
            await attachment.release()
        opened, closed = seen["open"], seen["closed"]
        assert (opened["OWN"], opened["INHERITED"]) == ("1", "yes")
        assert "AURA_API_KEYS" not in opened
        assert opened["AURA_OF_THE_SERVER"] == "1"
        assert closed["OWN"] == "2"
        assert "INHERITED" not in closed
        assert "PATH" in closed


async def test_stderr_of_a_child_goes_to_the_debug_log(caplog: pytest.LogCaptureFixture) -> None:
    async with McpPool() as pool:
        with caplog.at_level(logging.DEBUG, logger="aura_py.mcp"):
            attachment = await pool.attach({"old": python_server("legacy")}, headers={})
            await attachment.release()
        assert "stderr of MCP server `old`: the legacy server has started" in caplog.text


async def test_the_time_server_answers(calls: Calls) -> None:
    async with McpPool() as pool:
        server = StdioServer(cmd=(str(Path(sys.executable).with_name("mcp-server-time")),))
        attachment = await pool.attach({"time": server}, headers={})
        outcome = await tool(attachment, "get_current_time").call({"timezone": "Europe/Oslo"}, calls.context())
        await attachment.release()
        assert outcome.ok
        assert json.loads(outcome.text)["timezone"] == "Europe/Oslo"


async def test_the_git_server_answers(calls: Calls, tmp_path: Path) -> None:
    async with McpPool() as pool:
        await anyio.run_process(["git", "init", "-q", str(tmp_path)])
        (tmp_path / "new.txt").write_text("new")
        command = str(Path(sys.executable).with_name("mcp-server-git"))
        server = StdioServer(cmd=(command,), args=("--repository", str(tmp_path)))
        attachment = await pool.attach({"git": server}, headers={})
        outcome = await tool(attachment, "git_status").call({"repo_path": str(tmp_path)}, calls.context())
        await attachment.release()
        assert "new.txt" in outcome.text


async def test_attaching_to_a_warm_pool_takes_well_under_a_millisecond(mock_http: str) -> None:
    async with McpPool() as pool:
        servers = {"mock": http_server(mock_http)}
        first = await pool.attach(servers, headers={})
        spent = []
        for _ in range(50):
            begin = time.process_time()
            attachment = await pool.attach(servers, headers={})
            spent.append(time.process_time() - begin)
            await attachment.release()
        await first.release()
        assert sorted(spent)[25] < 0.005


async def test_schemas_are_passed_on_as_they_are_when_asked_for(mock_http: str) -> None:
    servers = {"mock": http_server(mock_http)}
    async with McpPool() as pool:
        raw = await pool.attach(servers, headers={}, sanitize=False)
        await raw.release()
    found = tool(raw, "task_with_progress")
    assert found.parameters == found.origin.schema  # type: ignore[attr-defined]
