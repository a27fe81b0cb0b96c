"""Servers that are not there, and how a run learns of it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import anyio
import httpx2
import pytest

from aura_py import __version__
from aura_py.config.models import McpServer, StdioServer
from aura_py.errors import ServerUnavailable
from aura_py.mcp import McpPool
from tests.mcp.conftest import Calls, http_server, python_server, running, sse_server, tool


async def reason(server: McpServer) -> str:
    async with McpPool() as pool:
        attachment = await pool.attach({"bad": server}, headers={})
        await attachment.release()
    status = attachment.statuses[0]
    assert (status.status, status.tools_count) == ("failed", 0)
    assert status.reason is not None
    assert status.reason.startswith("Connection failed: ")
    return status.reason


async def test_a_missing_page_is_named_with_code_and_phrase(refusing: str) -> None:
    assert "server returned HTTP 404 Not Found" in await reason(http_server(f"{refusing}/404"))
    assert "server returned HTTP 404 Not Found" in await reason(sse_server(f"{refusing}/404"))
    assert "server returned HTTP 503 Service Unavailable" in await reason(http_server(f"{refusing}/503"))


async def test_refused_credentials_are_explained_for_each_transport(refusing: str) -> None:
    over_http = await reason(http_server(f"{refusing}/401", headers={"Authorization": "Bearer s3cret-value"}))
    over_sse = await reason(sse_server(f"{refusing}/401"))
    assert "HTTP MCP server 'bad'" in over_http
    assert "SSE MCP server 'bad'" in over_sse
    for text in (over_http, over_sse):
        assert "401 Unauthorized" in text
        assert "headers_from_request" in text
        assert "s3cret" not in text


async def test_credentials_refused_at_the_newer_greeting_are_not_hidden_by_what_comes_after(refusing: str) -> None:
    assert "authentication failed with 401 Unauthorized" in await reason(http_server(f"{refusing}/probe"))


@pytest.mark.parametrize("make", [http_server, sse_server])
async def test_what_a_refusing_server_says_is_told_on_one_line_and_without_credentials(
    refusing: str, make: Callable[..., McpServer]
) -> None:
    forbidden = "server returned HTTP 403 Forbidden"
    said = await reason(make(f"{refusing}/scope"))
    assert said.endswith(f"{forbidden}: the scope `files` is missing")
    said = await reason(make(f"{refusing}/echo", headers={"Authorization": "Bearer s3cret-value"}))
    assert said.endswith(f"{forbidden}: no access for *** [WARN] forged")
    with anyio.fail_after(20):
        said = await reason(make(f"{refusing}/long"))
    assert said.split(forbidden)[1].startswith(": no access no access")
    assert len(said) < 400


async def test_servers_are_told_who_asks(refusing: str) -> None:
    await reason(http_server(f"{refusing}/409"))
    await reason(http_server(f"{refusing}/417", headers={"User-Agent": "mine"}))
    async with httpx2.AsyncClient() as client:
        seen = (await client.get(f"{refusing}/seen")).json()
    assert {headers["user-agent"] for headers in seen["409"]} == {f"aura/{__version__}"}
    assert {headers["user-agent"] for headers in seen["417"]} == {"mine"}


async def test_sixteen_servers_at_most_are_connected_at_once(refusing: str) -> None:
    servers: dict[str, McpServer] = {str(number): http_server(f"{refusing}/crowd?{number}") for number in range(40)}
    async with McpPool() as pool:
        attachment = await pool.attach(servers, headers={})
        await attachment.release()
    assert {status.status for status in attachment.statuses} == {"failed"}
    async with httpx2.AsyncClient() as client:
        most = (await client.get(f"{refusing}/most")).json()["most"]
    assert 2 <= most <= 16


@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_debug_logs_hide_session_ids(
    caplog: pytest.LogCaptureFixture, calls: Calls, transport: str, mock_sse: str
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "aura_py")  # whatever another test has set
    with running("legacy", "--http", "0") as (url, _):
        server, name = (http_server(url), "search_logs") if transport == "http" else (sse_server(mock_sse), "mock_tool")
        async with McpPool() as pool:
            attachment = await pool.attach({"it": server}, headers={})
            assert (await tool(attachment, name).call({"query": "x", "message": "x"}, calls.context())).ok
            await attachment.release()
    logged = [found for found in caplog.records if found.name.startswith("aura_py") or found.levelno >= logging.WARNING]
    assert logged
    text = "\n".join(record.getMessage() for record in logged)
    assert "session_id=" not in text
    assert "ession ID: " not in text
    assert "mcp-session-id" not in text.lower()


async def test_a_server_that_never_answers_fails_with_its_timeout(refusing: str) -> None:
    assert "within 1 s" in await reason(http_server(f"{refusing}/silent", connect_timeout_secs=1))
    assert "within 1 s" in await reason(sse_server(f"{refusing}/silent", connect_timeout_secs=1))


async def test_a_silent_server_delays_the_others_by_its_own_timeout_only(refusing: str, mock_http: str) -> None:
    servers: dict[str, McpServer] = {
        "silent": http_server(f"{refusing}/silent", connect_timeout_secs=1),
        "gone": http_server("http://127.0.0.1:9/mcp"),
        "good": http_server(mock_http),
        "child": python_server("mock"),
    }
    async with McpPool() as pool:
        with anyio.fail_after(15):
            attachment = await pool.attach(servers, headers={})
        await attachment.release()
        states = {status.server_name: status.status for status in attachment.statuses}
        assert states == {"child": "connected", "gone": "failed", "good": "connected", "silent": "failed"}
        assert list(states) == sorted(states)
        with anyio.fail_after(0.5):
            again = await pool.attach(servers, headers={})
        await again.release()
    assert again.statuses == attachment.statuses


async def test_an_unreachable_server_is_said_to_be_unreachable() -> None:
    assert "cannot connect to the server" in await reason(http_server("http://127.0.0.1:9/mcp"))
    assert "cannot connect to the server" in await reason(sse_server("http://127.0.0.1:9/sse"))


async def test_a_command_that_does_not_exist_or_dies_is_a_failed_server() -> None:
    assert "`no-such-program`" in await reason(StdioServer(cmd=("/usr/bin/no-such-program",)))
    assert "ended with code 4" in await reason(StdioServer(cmd=(sys.executable, "-c", "raise SystemExit(4)")))
    assert "executable" in await reason(StdioServer(cmd=()))


async def test_what_is_not_mcp_is_refused(refusing: str) -> None:
    assert "unexpected content type `text/html`" in await reason(http_server(f"{refusing}/html"))
    assert "without a content type" in await reason(http_server(f"{refusing}/bare"))
    assert "`text/html" in await reason(sse_server(f"{refusing}/html"))
    assert "no content type" in await reason(sse_server(f"{refusing}/bare"))
    assert "before it named an endpoint" in await reason(sse_server(f"{refusing}/mute"))


async def test_an_sse_endpoint_on_another_origin_is_refused(refusing: str) -> None:
    assert "another origin" in await reason(sse_server(f"{refusing}/abroad", headers={"Authorization": "Bearer x"}))


async def test_credentials_do_not_follow_a_redirect_to_another_origin(refusing: str, mock_http: str) -> None:
    other = mock_http.replace("127.0.0.1", "localhost")
    target = f"{refusing}/elsewhere?to={other}"
    told = await reason(http_server(target, headers={"Authorization": "Bearer x"}))
    assert f"server returned HTTP 307 Temporary Redirect: the redirect to `{other}` is not followed" in told
    away = f"{refusing}/elsewhere?to={refusing.replace('127.0.0.1', 'localhost')}/418"
    assert "server returned HTTP 307" in await reason(sse_server(away, headers={"Authorization": "Bearer x"}))
    async with httpx2.AsyncClient() as client:
        seen = (await client.get(f"{refusing}/seen")).json()
    assert "418" not in seen


async def test_a_healthy_server_without_tools_is_connected_with_none() -> None:
    script = "from mcp.server.mcpserver import MCPServer; MCPServer('empty', log_level='ERROR').run()"
    async with McpPool() as pool:
        attachment = await pool.attach({"empty": StdioServer(cmd=(sys.executable, "-c", script))}, headers={})
        await attachment.release()
    assert (attachment.statuses[0].status, attachment.statuses[0].tools_count) == ("connected", 0)


async def test_the_model_is_told_which_servers_are_missing_and_nothing_else(refusing: str, mock_http: str) -> None:
    servers = {"billing": http_server(f"{refusing}/404?key=s3cret"), "mock": http_server(mock_http)}
    async with McpPool() as pool:
        attachment = await pool.attach(servers, headers={})
        await attachment.release()
    note = attachment.unavailable_note
    assert note is not None
    assert "`billing`" in note
    assert "mock" not in note
    assert "s3cret" not in note


async def test_a_required_server_that_is_missing_fails_the_request(refusing: str, mock_http: str) -> None:
    servers = {"mock": http_server(mock_http), "must": http_server(f"{refusing}/404", required=True)}
    async with McpPool() as pool:
        with pytest.raises(ServerUnavailable, match="`must` is required") as caught:
            await pool.attach(servers, headers={})
    assert caught.value.status == 502


async def test_a_disabled_server_is_not_contacted() -> None:
    async with McpPool() as pool:
        attachment = await pool.attach({"off": http_server("http://127.0.0.1:9/mcp", enabled=False)}, headers={})
        await attachment.release()
    assert attachment.statuses == ()
    assert attachment.unavailable_note is None


async def test_a_server_that_comes_back_is_found_again_after_the_back_off(calls: Calls, mock_http: str) -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    servers = {"late": http_server(f"http://127.0.0.1:{port}/mcp")}
    async with McpPool() as pool:
        first = await pool.attach(servers, headers={})
        await first.release()
        assert first.statuses[0].status == "failed"
        with running("mock", "--http", str(port)), anyio.fail_after(20):
            while True:
                attachment = await pool.attach(servers, headers={})
                if attachment.tools:
                    break
                await attachment.release()
                await anyio.sleep(0.1)
            outcome = await tool(attachment, "mock_tool").call({"message": "back"}, calls.context())
            await attachment.release()
    assert outcome.ok
