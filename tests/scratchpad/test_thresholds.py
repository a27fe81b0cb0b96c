"""Which tools are watched, and from which size on."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest
from pydantic import SecretStr

from aura_py.config.models import HttpServer, McpServer, ScratchpadThreshold, SseServer, StdioServer
from aura_py.events import ToolKind
from aura_py.scratchpad import thresholds
from aura_py.tools.contract import BuiltinTool, CallContext


def stdio(**patterns: int) -> StdioServer:
    return StdioServer(cmd=("server",), scratchpad=_patterns(patterns))


def _patterns(patterns: Mapping[str, int]) -> dict[str, ScratchpadThreshold]:
    return {name.replace("_any", "*"): ScratchpadThreshold(min_tokens=number) for name, number in patterns.items()}


def tool(name: str, source: str, kind: ToolKind = "mcp") -> BuiltinTool:
    async def handler(_arguments: object, _context: CallContext) -> str:
        return ""

    return BuiltinTool(name, "", {}, handler, kind, source)


def test_the_longest_pattern_wins_and_of_equals_the_smallest_number() -> None:
    server = StdioServer(
        cmd=("server",),
        scratchpad={
            "*": ScratchpadThreshold(min_tokens=4096),
            "k8s_list_*": ScratchpadThreshold(min_tokens=512),
            "k8s_list_pods": ScratchpadThreshold(min_tokens=256),
            "k8s_list_?ods": ScratchpadThreshold(min_tokens=128),
        },
    )
    found = thresholds({"k8s": server}, [tool(name, "k8s") for name in ("x", "k8s_list_jobs", "k8s_list_pods")])
    assert found == {"x": 4096, "k8s_list_jobs": 512, "k8s_list_pods": 128}


def test_patterns_never_reach_across_servers_and_unmatched_tools_are_absent() -> None:
    servers: dict[str, McpServer] = {
        "a": stdio(_any=10),
        "b": stdio(),
        "c": HttpServer(url=SecretStr("http://127.0.0.1/mcp"), scratchpad=_patterns({"t": 7})),
        "d": SseServer(url=SecretStr("http://127.0.0.1/sse"), scratchpad=_patterns({"u": 8})),
    }
    tools = [tool("one", "a"), tool("two", "b"), tool("t", "c"), tool("u", "d"), tool("three", "gone")]
    assert thresholds(servers, [*tools, tool("read", "", "scratchpad")]) == {"one": 10, "t": 7, "u": 8}


def test_an_empty_entry_means_the_default() -> None:
    assert thresholds({"a": StdioServer(cmd=("s",), scratchpad={"*": ScratchpadThreshold()})}, [tool("t", "a")]) == {
        "t": 5120
    }


def test_one_name_on_two_servers_takes_the_smaller_number_and_warns(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert thresholds({"a": stdio(_any=30), "b": stdio(_any=20)}, [tool("t", "a"), tool("t", "b")]) == {"t": 20}
    assert "`t`" in caplog.text
