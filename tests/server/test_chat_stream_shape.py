"""The bytes of a stream in each documented form, kept as readable snapshots."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from aura_py.errors import ProviderOverloaded, RunTimeout
from aura_py.events import (
    Event,
    McpStatus,
    ModelCallCompleted,
    ReasoningDelta,
    RunFailed,
    RunFinished,
    ScratchpadUsage,
    ServerStatus,
    SessionInfo,
    TextDelta,
    ToolCompleted,
    ToolProgress,
    ToolRequested,
    ToolStarted,
)
from aura_py.messages import ToolCall, Usage
from aura_py.server.sse import ChatEncoder, StreamShape
from tests.server.snapshots import check

SHAPE = StreamShape(model="ops", session_id="cs_9", result_limit=40)
NAMED = replace(SHAPE, events="named", reasoning_events=True)
FIRST = Usage(430, 22)
SECOND = Usage(500, 19, cached=128, reasoning=7)


def tool_run() -> list[list[Event]]:
    """A run with thinking, text before and after two calls, one of which fails."""
    calls = ("call_a1", "call_a2")
    return [
        [SessionInfo("openai/gpt-4o", 128000)],
        [
            McpStatus(
                (
                    ServerStatus("tickets", "sse", "failed", 0, "Connection failed: server returned HTTP 503"),
                    ServerStatus("hosts", "http_streamable", "connected", 3),
                )
            )
        ],
        [ReasoningDelta("Which disk?")],
        [TextDelta("Loo"), TextDelta("king.")],
        [ModelCallCompleted(FIRST, calls)],
        [
            ToolRequested("call_a1", "disk_usage", '{"host":"db1"}', {"host": "db1"}, "mcp"),
            ToolRequested("call_a2", "open_ticket", "{}", {}, "mcp"),
            ToolRequested("call_a3", "grep", '{"pattern":"x"}', {"pattern": "x"}, "scratchpad"),
        ],
        [ToolStarted("call_a1", "disk_usage", 2), ToolStarted("call_a2", "open_ticket", 3)],
        [ToolProgress("call_a1", "disk_usage", 1, 3, "1 of 3 disks", 2)],
        [
            ToolCompleted(
                "call_a1", "disk_usage", "mcp", 64, ok=True, result='{"used":0.91,"note":"größer als gestern ☂"}'
            )
        ],
        [ToolCompleted("call_a2", "open_ticket", "mcp", 15, ok=False, error="ToolCallError: queue is read-only")],
        [ToolCompleted("call_a3", "grep", "scratchpad", 1, ok=True, result="hidden")],
        [TextDelta("db1 is "), TextDelta("91% full.")],
        [ModelCallCompleted(SECOND)],
        [
            ScratchpadUsage(18200, 640),
            RunFinished("stop", FIRST + SECOND, Usage(430, 41), answer="db1 is 91% full."),
        ],
    ]


def client_run() -> list[list[Event]]:
    """A run that ends because the caller owes a result."""
    call = ToolCall("call_c1", "read_file", '{"path":"a.cfg"}')
    usage = Usage(301, 19)
    return [
        [SessionInfo("openai/gpt-4o")],
        [ModelCallCompleted(usage, ("call_c1",))],
        [ToolRequested("call_c1", "read_file", '{"path":"a.cfg"}', {"path": "a.cfg"}, "client")],
        [RunFinished("tool_calls", usage, usage, client_calls=(call,))],
    ]


def failed_run() -> list[list[Event]]:
    error = ProviderOverloaded("The model `openai/gpt-4o` is overloaded; ask again in a moment.", detail="secret body")
    return [
        [SessionInfo("openai/gpt-4o")],
        [TextDelta("Looking.")],
        [RunFailed(error, Usage(12, 3), Usage(12, 3), elapsed_ms=1500)],
    ]


RUNS = {"tools": tool_run, "client-tool": client_run, "failure": failed_run}
SHAPES = {
    "default": SHAPE,
    "usage": replace(SHAPE, include_usage=True),
    "vendor-chunks": replace(SHAPE, events="vendor"),
    "aura": replace(NAMED, mode="aura"),
    "none": NAMED,
    "open-web-ui": replace(SHAPE, mode="open-web-ui", model="openai/gpt-4o"),
    "open-web-ui-events": replace(NAMED, mode="open-web-ui", model="openai/gpt-4o"),
    "scratchpad-events": replace(NAMED, scratchpad_events=True),
}


def encoded(shape: StreamShape, batches: Iterable[list[Event]]) -> bytes:
    encoder = ChatEncoder(shape, created=1767600000)
    return encoder.opening() + b"".join(encoder.encode(batch) for batch in batches)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_form_of_a_stream_is_as_recorded(shape: str, run: str) -> None:
    text = encoded(SHAPES[shape], RUNS[run]()).decode()
    readable = re.sub(r"chatcmpl-[0-9a-f-]{36}", "chatcmpl-…", text)
    readable = readable.replace(',"object":"chat.completion.chunk","created":1767600000', "")
    check(Path(f"{shape}.{run}.txt"), readable)


def test_mode_aura_is_wire_identical_to_none() -> None:
    def frames(shape: StreamShape) -> str:
        return re.sub(r"chatcmpl-[0-9a-f-]{36}", "", encoded(shape, tool_run()).decode())

    assert frames(SHAPES["aura"]) == frames(SHAPES["none"])


def test_provider_detail_is_shown_only_with_debugging_on() -> None:
    assert b"secret body" not in encoded(SHAPE, failed_run())
    assert b"secret body" in encoded(replace(SHAPE, debug_errors=True), failed_run())


def test_a_timeout_is_an_error_frame_and_never_a_clean_stop() -> None:
    error = RunTimeout("The request took longer than 5 seconds and was stopped.")
    frames = encoded(replace(SHAPE, include_usage=True), [[TextDelta("Half")], [RunFailed(error)]]).decode()
    assert '"code":"deadline_exceeded"' in frames
    assert '"finish_reason":"stop"' not in frames
    assert frames.endswith("data: [DONE]\n\n")


def test_thoughts_that_arrive_together_are_one_chunk_and_one_event_but_never_across_agents_or_text() -> None:
    encoder = ChatEncoder(NAMED, created=1, known_ids=())
    words = [ReasoningDelta(word) for word in ("Which ", "disk", "?")]
    out = encoder.encode([*words, ReasoningDelta("Mine.", "logs", "main"), TextDelta("All."), ReasoningDelta("Done")])
    frames = out.decode().split("\n\n")
    told = [re.search(r'"(?:reasoning_content|content)":"([^"]+)"', frame) for frame in frames]
    assert [found.group(1) for found in told if found] == [
        *("Which disk?", "Which disk?", "Mine.", "Mine.", "All.", "Done", "Done"),
    ]


def test_long_thoughts_keep_flowing_in_pieces() -> None:
    encoder = ChatEncoder(SHAPE, created=1, known_ids=())
    out = encoder.encode([ReasoningDelta("word ") for _ in range(40)]).decode()
    pieces = re.findall(r'"reasoning_content":"([^"]+)"', out)
    assert "".join(pieces) == "word " * 40
    assert len(pieces) == 4
