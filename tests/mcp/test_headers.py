"""Header resolution."""

from __future__ import annotations

import json

import pytest

from aura_py.config.models import McpServer
from aura_py.mcp import McpPool
from aura_py.mcp.headers import resolve_headers
from tests.mcp.conftest import Calls, http_server, sse_server, tool


def resolved(inbound: dict[str, str], **settings: object) -> dict[str, str]:
    return resolve_headers("srv", http_server("http://127.0.0.1:9/mcp", **settings), inbound)


def test_static_names_are_lower_cased_and_values_pass_verbatim() -> None:
    assert resolved({}, headers={"X-Team": " Ops ", "Authorization": "Token abc"}) == {
        "x-team": " Ops ",
        "authorization": "Token abc",
    }


def test_a_mapped_header_replaces_the_static_one_whatever_its_case() -> None:
    settings = {"headers": {"Authorization": "Bearer static"}, "headers_from_request": {"AUTHORIZATION": "X-User-Auth"}}
    assert resolved({"x-user-auth": "ApiKey mine"}, **settings) == {"authorization": "ApiKey mine"}
    assert resolved({}, **settings) == {"authorization": "Bearer static"}


def test_nothing_is_forwarded_without_a_mapping() -> None:
    assert resolved({"authorization": "Bearer user", "cookie": "a=b"}) == {}
    assert resolved({}, headers_from_request={"Authorization": "authorization"}) == {}


def test_what_is_not_legal_is_left_out_with_a_warning_that_hides_the_value(caplog: pytest.LogCaptureFixture) -> None:
    headers = {"Bad Name": "s3cret-a", "X-Line": "s3cret-b\r\nX-Injected: 1", "X-Good": "yes"}
    assert resolved({}, headers=headers) == {"x-good": "yes"}
    assert resolved({"in": "s3cret-ü"}, headers_from_request={"X-Out": "in"}, headers={"x-out": "static"}) == {
        "x-out": "static"
    }
    assert "`Bad Name`" in caplog.text
    assert "`X-Line`" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_scheme_without_a_credential_is_not_sent() -> None:
    assert resolved({}, headers={"Authorization": "Bearer", "X-Auth": "Token "}) == {}


async def test_resolved_headers_travel_on_every_transport(calls: Calls, mock_http: str, mock_sse: str) -> None:
    settings = {"headers": {"X-Static": "s"}, "headers_from_request": {"X-Out": "x-in"}}
    servers: dict[str, McpServer] = {
        "http": http_server(mock_http, **settings),
        "sse": sse_server(mock_sse, **settings),
    }
    async with McpPool() as pool:
        for name, server in servers.items():
            attachment = await pool.attach({name: server}, headers={"x-in": "Token t", "x-other": "hidden"})
            seen = json.loads((await tool(attachment, "echo_headers").call({}, calls.context())).text)
            assert (seen["x-static"], seen["x-out"]) == ("s", "Token t")
            assert "x-other" not in seen
            await attachment.release()
