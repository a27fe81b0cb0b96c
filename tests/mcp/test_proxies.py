"""MCP servers behind the proxy that the environment names."""

from __future__ import annotations

import pytest

from aura_py.config.models import McpServer
from aura_py.mcp import McpPool
from tests.mcp.conftest import Calls, http_server, sse_server, tool
from tests.wire.providers.raw_server import raw_server

REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
PLACE = "http://tools.invalid/mcp"
VARIABLES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


async def failure_of(server: McpServer) -> str:
    async with McpPool() as pool:
        attachment = await pool.attach({"it": server}, headers={})
        await attachment.release()
    return attachment.statuses[0].reason or ""


@pytest.mark.parametrize("server", [http_server(PLACE), sse_server(PLACE)], ids=["http", "sse"])
@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
@pytest.mark.parametrize("prefix", ["http://", ""], ids=["with scheme", "without"])
async def test_the_proxy_is_asked_for_the_server(
    server: McpServer, variable: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_server(REFUSED) as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("http://", prefix))
        reason = await failure_of(server)
    assert {request.split(b" ")[1] for request in proxy.requests} == {PLACE.encode()}
    assert "407" in reason


async def test_a_host_that_is_excepted_is_reached_directly(
    mock_http: str, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_server(REFUSED) as proxy:
        monkeypatch.setenv("all_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
        async with McpPool() as pool:
            attachment = await pool.attach({"it": http_server(mock_http)}, headers={})
            outcome = await tool(attachment, "mock_tool").call({"message": "x"}, calls.context())
            await attachment.release()
    assert outcome.ok
    assert proxy.requests == []


@pytest.mark.parametrize(
    "place",
    ["http://someone:hidden-word@127.0.0.1:9", "http://someone:hidden-word@[::1", "socks5://x:hidden-word@127.0.0.1:9"],
)
async def test_the_password_of_a_proxy_does_not_show(
    place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("all_proxy", place)
    reason = await failure_of(http_server(PLACE))
    assert reason
    assert "hidden-word" not in reason + caplog.text
