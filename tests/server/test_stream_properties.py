"""Any sequence of events encodes to a stream that clients survive."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_py.errors import AuraError, ProviderOverloaded, RunTimeout
from aura_py.events import (
    Event,
    McpStatus,
    ModelCallCompleted,
    ReasoningDelta,
    RunFailed,
    RunFinished,
    SessionInfo,
    TextDelta,
    ToolCompleted,
    ToolProgress,
    ToolRequested,
    ToolStarted,
    WorkerReasoning,
)
from aura_py.messages import Json, ToolCall, Usage
from aura_py.server.sse import ChatEncoder, EventChannel, StreamShape

TEXT = st.text(st.characters(), min_size=1, max_size=12) | st.just("\ud83d") | st.just("x" * 9000) | st.just("€" * 3000)
TEXT |= st.just("a\u2028b\u2029c\x85d")
IDS = st.sampled_from(["call_1", "call_2", "call_3", "call_0"])
KINDS = st.sampled_from(["mcp", "client", "scratchpad", "filesystem"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.sampled_from(["", "{}", '{"a":1}', "[1]", "not json", '{"a":NaN}']) | st.text(max_size=10)
USAGE = st.builds(Usage, st.integers(0, 99), st.integers(0, 99))


def _requested(call_id: str, arguments: str, parsed: dict[str, Json], kind: str) -> Event:
    return ToolRequested(call_id, "tool", arguments, parsed, kind)  # type: ignore[arg-type]  # sampled from the kinds


EVENTS = st.one_of(
    st.builds(TextDelta, TEXT),
    st.builds(TextDelta, TEXT),
    st.builds(ReasoningDelta, TEXT),
    st.builds(WorkerReasoning, st.integers(0, 3), st.just("w"), TEXT),
    st.just(SessionInfo("openai/gpt")),
    st.just(McpStatus(())),
    st.builds(_requested, IDS, ARGUMENTS, st.dictionaries(st.text(max_size=4), JSON, max_size=2), KINDS),
    st.builds(ToolStarted, IDS, st.just("tool"), st.integers() | st.text(max_size=4)),
    st.builds(ToolProgress, IDS, st.just("tool"), st.floats(), st.none() | st.floats(), st.none() | TEXT),
    st.builds(
        ToolCompleted, IDS, st.just("tool"), KINDS, st.integers(0, 9), st.booleans(), st.none() | TEXT, st.none() | TEXT
    ),
    st.builds(ModelCallCompleted, USAGE, st.lists(IDS, max_size=2).map(tuple)),
)
CALLS = st.lists(st.builds(ToolCall, IDS, st.just("tool"), ARGUMENTS), max_size=2).map(tuple)
ENDS = st.one_of(
    st.builds(
        RunFinished,
        st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
        USAGE,
        USAGE,
        client_calls=CALLS,
        turn_limit=st.booleans(),
    ),
    st.builds(
        RunFailed,
        st.sampled_from([AuraError("a"), RunTimeout("b"), ProviderOverloaded("c", detail="d")]),
        USAGE,
        USAGE,
    ),
)
BATCHES = st.lists(st.lists(EVENTS, min_size=1, max_size=4), max_size=6)


def _frames(raw: bytes) -> list[dict[str, object]]:
    assert raw.decode().splitlines() == raw.decode().split("\n")[:-1]
    parts = raw.split(b"\n\n")
    assert parts.pop() == b""
    assert parts.pop() == b"data: [DONE]"
    assert b"data: [DONE]" not in parts
    assert all(part.startswith(b"data: {") and b"\n" not in part for part in parts)
    return [orjson.loads(part.removeprefix(b"data: ")) for part in parts]


@settings(max_examples=150, deadline=None)
@given(
    batches=BATCHES, end=ENDS, usage=st.booleans(), channel=st.sampled_from(["none", "vendor"]), progress=st.booleans()
)
def test_every_run_becomes_a_stream_that_clients_survive(
    batches: list[list[Event]], end: RunFinished | RunFailed, usage: bool, channel: EventChannel, progress: bool
) -> None:
    shape = StreamShape(
        model="ops",
        session_id="s",
        events=channel,
        include_usage=usage,
        reasoning_events=True,
        progress=progress,
    )
    encoder = ChatEncoder(shape, created=7, known_ids=["call_0"])
    raw = encoder.opening() + b"".join(encoder.encode(batch) for batch in batches) + encoder.encode([end])
    frames = _frames(raw)

    if isinstance(end, RunFailed):  # ER-6
        error = frames.pop()
        assert set(error) == {"error"}
    elif usage:  # US-1
        last = frames.pop()
        assert last["choices"] == []
        assert "usage" in last
    assert all("usage" not in frame for frame in frames)
    for frame in frames:  # ST-8
        assert (frame["object"], frame["created"], frame["model"], frame["id"]) == (
            "chat.completion.chunk",
            7,
            "ops",
            encoder.id,
        )
    choices = [choice for frame in frames for choice in _choices(frame)]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}  # ST-7
    assert all("role" not in choice["delta"] for choice in choices[1:])
    reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"] is not None]
    if isinstance(end, RunFailed):
        assert reasons == []
    else:  # ST-9
        assert choices[-1]["delta"] == {}
        assert len(reasons) == 1
    calls = _calls(choices)
    asked = {
        event.call_id
        for batch in batches
        for event in batch
        if isinstance(event, ToolRequested) and event.kind == "client"
    }
    asked |= {call.id for call in end.client_calls} if isinstance(end, RunFinished) else set()
    assert len(calls) == len(asked)  # TC-1: only the client's calls
    if isinstance(end, RunFinished):
        assert reasons[0] == "tool_calls" or not calls
        assert calls or reasons[0] != "tool_calls"


def _choices(frame: dict[str, object]) -> list[dict[str, Any]]:
    found = frame["choices"]
    assert isinstance(found, list)
    for choice in found:
        assert choice["index"] == 0
        for key in ("content", "reasoning_content"):
            text = choice["delta"].get(key)
            assert text is None or (isinstance(text, str) and len(text.encode()) <= 8192)
    return found


def _calls(choices: list[dict[str, Any]]) -> list[str]:
    """TC-2…TC-5; gives the ids."""
    arguments: list[str] = []
    ids: list[str] = []
    for choice in choices:
        deltas = choice["delta"].get("tool_calls", [])
        assert isinstance(deltas, list)
        for delta in deltas:
            if delta["index"] == len(ids):
                assert delta["type"] == "function"
                ids.append(delta["id"])
                arguments.append(delta["function"]["arguments"])
                assert delta["function"]["name"]
            else:
                assert set(delta) == {"index", "function"}
                assert set(delta["function"]) == {"arguments"}
                arguments[delta["index"]] += delta["function"]["arguments"]
    assert all(isinstance(orjson.loads(text), dict) for text in arguments)
    assert len(set(ids)) == len(ids)
    assert "call_0" not in ids
    return ids
