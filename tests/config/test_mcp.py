"""Tool servers and headers."""

from __future__ import annotations

import pytest

from aura_py.config.models import HttpServer, SseServer, StdioServer
from tests.config.files import MINIMAL, agent, codes, found, only

STDIO = MINIMAL + "[mcp.servers.s]\ntransport = 'stdio'\ncmd = ['run']\n"
HTTP = MINIMAL + "[mcp.servers.s]\ntransport = 'http_streamable'\nurl = 'https://a.example/mcp'\n"


def stdio(lines: str, **env: str) -> StdioServer:
    server = agent(STDIO + lines, env=env).mcp.servers["s"]
    assert isinstance(server, StdioServer)
    return server


def http(lines: str, **env: str) -> HttpServer:
    server = agent(HTTP + lines, env=env).mcp.servers["s"]
    assert isinstance(server, HttpServer)
    return server


def test_servers_keep_the_order_of_the_file() -> None:
    names = ["zeta", "alpha", "mid"]
    text = MINIMAL + "".join(f"[mcp.servers.{name}]\ntransport='stdio'\ncmd=['a']\n" for name in names)
    assert list(agent(text).mcp.servers) == names


def test_a_table_without_servers_is_fine() -> None:
    assert agent(MINIMAL + "[mcp]\n").mcp.servers == {}
    assert agent(MINIMAL + "[mcp.servers]\n").mcp.servers == {}


def test_defaults_keep_the_reference_and_bound_the_connection() -> None:
    server = stdio("")
    assert (server.enabled, server.required, server.inherit_env) == (True, False, True)
    assert (server.connect_timeout_secs, server.tool_timeout_secs, server.max_parallel_tool_calls) == (30, 0, 8)


def test_variables_of_a_process_are_text() -> None:
    env = stdio("env = { A = 'x', B = 3, C = true, D = '{{ env.K }}' }\n", K=" v\n").env
    assert {name: value.get_secret_value() for name, value in env.items()} == {
        "A": "x",
        "B": "3",
        "C": "true",
        "D": " v\n",
    }


@pytest.mark.parametrize(
    "lines", ["env = { 'A=B' = 'x' }", "env = { A = ['x'] }", "env = { A = 'a\\u0000b' }".replace("'", '"')]
)
def test_a_variable_that_no_process_can_have_is_an_error(lines: str) -> None:
    assert codes(found(STDIO + lines + "\n")) == ["CFG-S02"]


@pytest.mark.parametrize("command", ["[]", "['']", "[' ', 'x']"])
def test_an_empty_command_is_an_error(command: str) -> None:
    assert codes(found(STDIO.replace("['run']", command))) == ["CFG-M02"]


def test_a_lone_command_gets_a_hint() -> None:
    error = only(found(STDIO.replace("['run']", "'run'")))
    assert error.code == "CFG-S02"
    assert "brackets" in error.fix


@pytest.mark.parametrize("key", ["url = 'https://a.example'", "headers = {}", "headers_from_request = {}"])
def test_an_http_key_on_a_process_is_an_error(key: str) -> None:
    assert codes(found(STDIO + key + "\n")) == ["CFG-M06"]


@pytest.mark.parametrize("key", ["cmd = ['a']", "args = []", "env = {}", "inherit_env = false"])
def test_a_process_key_on_http_is_an_error(key: str) -> None:
    assert codes(found(HTTP + key + "\n")) == ["CFG-M06"]


@pytest.mark.parametrize("word", ["http", "streamable_http", "streamable-http", "HTTP"])
def test_a_transport_by_another_name_is_suggested(word: str) -> None:
    error = only(found(HTTP.replace("http_streamable", word)))
    assert error.code == "CFG-M01"
    assert "write `http_streamable`" in error.fix


def test_sse_takes_the_keys_of_http() -> None:
    server = agent(HTTP.replace("http_streamable", "sse") + "headers = { A = 'b' }\n").mcp.servers["s"]
    assert isinstance(server, SseServer)


def test_headers_keep_their_spelling_and_lose_their_padding() -> None:
    server = http("headers = { X-Team = ' ops ' }\nheaders_from_request = { Authorization = 'X-User-Token' }\n")
    assert {name: value.get_secret_value() for name, value in server.headers.items()} == {"X-Team": "ops"}
    assert server.headers_from_request == {"Authorization": "X-User-Token"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer ", "Token"])
def test_a_scheme_without_a_token_is_not_sent(scheme: str) -> None:
    text = HTTP + f"headers = {{ Authorization = '{scheme}' }}\n"
    assert codes(found(text)) == ["WARN-MCP02"]
    assert http(f"headers = {{ Authorization = '{scheme}' }}\n").headers == {}


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("headers = { 'a b' = 'c' }", "CFG-M04"),
        ('headers = { A = "a\\nb" }', "CFG-M04"),
        ("headers = { A = 'b', a = 'c' }", "CFG-M05"),
        ("headers = { A = 3 }", "CFG-S02"),
        ("headers_from_request = { 'a:b' = 'c' }", "CFG-M04"),
        ("headers_from_request = { A = 'b c' }", "CFG-M04"),
        ("headers_from_request = { A = 'b', a = 'c' }", "CFG-M05"),
        ("headers_from_request = { A = ['b'] }", "CFG-S02"),
        ("headers = 'A: b'", "CFG-S02"),
    ],
)
def test_a_header_that_cannot_be_sent_is_an_error(lines: str, code: str) -> None:
    assert codes(found(HTTP + lines + "\n")) == [code]


def test_an_odd_name_is_a_warning_and_an_empty_one_an_error() -> None:
    assert codes(found(STDIO.replace("servers.s", "servers.'my server'"))) == ["WARN-MCP01"]
    assert codes(found(STDIO.replace("servers.s", "servers.''"))) == ["CFG-M01"]


@pytest.mark.parametrize(
    ("line", "remedy"),
    [("command = 'npx'", "cmd = ["), ("type = 'stdio'", "transport"), ("disabled = true", "enabled = false")],
)
def test_a_key_of_another_programs_server_is_answered_with_auras(line: str, remedy: str) -> None:
    each = only(found(MINIMAL + f"[mcp.servers.a]\ntransport = 'stdio'\ncmd = ['npx']\n{line}\n"))
    assert each.code == "CFG-S09"
    assert remedy in each.fix
