"""Every event beside the tables of its fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aura_py.errors import AuraError, ProviderOverloaded, RunTimeout, Unavailable
from aura_py.events import (
    Event,
    ModelCallCompleted,
    Notice,
    RunFailed,
    RunFinished,
    SessionInfo,
    TextDelta,
    ToolCompleted,
    ToolKind,
    ToolProgress,
    ToolRequested,
    ToolStarted,
)
from aura_py.messages import Usage
from aura_py.server.sse import ChatEncoder, StreamShape

NAMED = StreamShape(model="ops", session_id="cs_9", events="named", reasoning_events=True)
SNAPSHOTS = Path(__file__).parent / "snapshots"
CORR = {"session_id": str}
AGENT = {"agent_id": str, **CORR}
TOKENS = {"prompt_tokens": int, "completion_tokens": int, "total_tokens": int}
FIELDS: dict[str, tuple[dict[str, type], dict[str, type | tuple[type, ...]]]] = {
    "session_info": ({"model": str, **CORR}, {"model_context_limit": int}),
    "mcp_status": ({"servers": list, **CORR}, {}),
    "tool_requested": ({"tool_id": str, "tool_name": str, "arguments": dict, **AGENT}, {}),
    "tool_start": ({"tool_id": str, "tool_name": str, **AGENT}, {"progress_token": (int, str)}),
    "tool_complete": (
        {"tool_id": str, "tool_name": str, "duration_ms": int, "success": bool, **AGENT},
        {"result": str, "error": str},
    ),
    "progress": ({"message": str, "phase": str, **AGENT}, {"percent": int, "progress_token": (int, str)}),
    "reasoning": ({"content": str, **AGENT}, {"parent_agent_id": str}),
    "tool_usage": ({"tool_ids": list, **TOKENS, **CORR}, {}),
    "scratchpad_usage": ({"tokens_intercepted": int, "tokens_extracted": int, "agent_id": str, **CORR}, {}),
    "usage": ({**TOKENS, **CORR}, {}),
    "error": ({"kind": str, "message": str, "retryable": bool, **AGENT}, {"elapsed_ms": int}),
}


def frames(batches: list[list[Event]], shape: StreamShape = NAMED) -> list[tuple[str, Any]]:
    encoder = ChatEncoder(shape, created=1)
    raw = encoder.opening() + b"".join(encoder.encode(batch) for batch in batches)
    return list(parsed(raw.decode()))


def parsed(text: str) -> Iterator[tuple[str, Any]]:
    for frame in text.split("\n\n"):
        head, _, data = frame.rpartition("data: ")
        if data.startswith("{"):
            yield head.removeprefix("event: aura.").strip(), json.loads(data)


def named(text: str) -> list[tuple[str, Any]]:
    return [(name, data) for name, data in parsed(text) if name]


def events_of(snapshot: Path) -> list[tuple[str, Any]]:
    return named(snapshot.read_text())


@pytest.mark.parametrize("snapshot", sorted(SNAPSHOTS.glob("*.txt")), ids=lambda path: path.stem)
def test_every_base_event_has_exactly_its_documented_fields_and_types(snapshot: Path) -> None:
    for name, data in events_of(snapshot):
        assert None not in data.values()
        if name not in FIELDS:
            assert name.startswith("orchestrator.")
            continue
        required, optional = FIELDS[name]
        if "orchestrated" in snapshot.stem and name == "progress":
            optional = {**optional, "tool_call_id": str, "task_id": int, "worker_id": str}
        assert set(required) <= set(data) <= set(required) | set(optional), name
        for field, value in data.items():
            assert isinstance(value, {**required, **optional}[field]), f"{name}.{field}"


@pytest.mark.parametrize("snapshot", sorted(SNAPSHOTS.glob("*.txt")), ids=lambda path: path.stem)
def test_no_event_completes_the_shape_of_another(snapshot: Path) -> None:
    for name, data in events_of(snapshot):
        keys = set(data)
        if not name.startswith("orchestrator."):
            assert name == "session_info" or "model" not in keys
        if name in ("tool_start", "tool_complete"):
            assert "arguments" not in keys
        if name == "tool_start":
            assert not {"duration_ms", "success"} <= keys
        if name in ("usage", "tool_usage"):
            assert not ("agent_id" in keys and keys & {"content", "phase"})
        if name == "usage":
            assert "tool_ids" not in keys
        assert name == "tool_complete" or "error" not in keys


def test_the_snapshots_show_every_base_event() -> None:
    seen = {name for snapshot in SNAPSHOTS.glob("*.txt") for name, _ in events_of(snapshot)}
    assert set(FIELDS) <= seen


# --- progress, spacing, serialisation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("progress", "total", "percent", "message"),
    [
        (2, 8, 25, "2 of 8"),
        (2.5, 8, 31, "2.5 of 8"),
        (9, 8, 100, "9 of 8"),
        (3, 0, 100, "3 of 0"),
        (3, None, None, "3"),
        (-1, 8, 0, "-1 of 8"),
        (float("nan"), 8, 0, "nan of 8"),
    ],
)
def test_progress_is_told_in_percent_where_there_is_a_total(
    progress: float, total: float | None, percent: int | None, message: str
) -> None:
    [(_, data)] = [
        found
        for found in frames([[ToolStarted("c", "t", "tok"), ToolProgress("c", "t", progress, total, None, "tok")]])
        if found[0] == "progress"
    ]
    assert data.get("percent") == percent
    assert data["message"] == message
    assert data["progress_token"] == "tok"


def turn(kind: ToolKind, call_id: str) -> list[Event]:
    return [
        ToolRequested(call_id, "grep", "{}", {}, kind),
        ToolCompleted(call_id, "grep", kind, 1, ok=True, result="found"),
    ]


@pytest.mark.parametrize("mode", ["none", "open-web-ui"])
def test_two_newlines_stand_only_between_texts_around_a_visible_tool(mode: Any) -> None:
    shape = replace(NAMED, mode=mode, events="none")

    def said(batches: list[list[Event]]) -> str:
        chunks = [data["choices"][0]["delta"].get("content") or "" for _, data in frames(batches, shape)]
        return "".join(chunks)

    assert said([[TextDelta("a")], turn("mcp", "1"), [TextDelta("b")]]) == "a\n\nb"
    assert said([turn("mcp", "1"), [TextDelta("b")]]) == "b"
    assert said([[TextDelta("a")], turn("scratchpad", "1"), [TextDelta("b")]]) == "ab"
    assert said([[TextDelta("a")], [turn("client", "1")[0]], [TextDelta("b")]]) == "ab"


@pytest.mark.parametrize("text", ["\ud83d", "a\ud800b", "ok \U0001f600"])
def test_half_a_character_never_breaks_a_frame(text: str) -> None:
    found = frames([[TextDelta(text)], [TextDelta("!")]], replace(NAMED, events="none"))
    said = "".join(data["choices"][0]["delta"].get("content") or "" for _, data in found)
    assert said.endswith("!")
    assert not re.search("[\ud800-\udfff]", said)


def test_what_json_cannot_say_becomes_null() -> None:
    event = ToolRequested("c", "t", '{"x":NaN}', {"x": float("nan"), "y": [float("inf")]}, "mcp")
    [data] = [data for name, data in frames([[event]]) if name == "tool_requested"]
    assert data["arguments"] == {"x": None, "y": [None]}


def test_a_large_result_is_cut_between_characters() -> None:
    result = "ä" * 500_000
    event = ToolCompleted("c", "t", "mcp", 1, ok=True, result=result)
    [data] = [data for name, data in frames([[event]], replace(NAMED, result_limit=1001)) if name == "tool_complete"]
    assert data["result"] == "ä" * 500 + "... [truncated]"
    [data] = [data for name, data in frames([[event]], replace(NAMED, result_limit=0)) if name == "tool_complete"]
    assert data["result"] == result


# --- endings -------------------------------------------------------------------------------------------------------

SPENT = Usage(430, 22)
ENDINGS: dict[str, tuple[RunFinished | RunFailed, str | None]] = {
    "normal": (RunFinished("stop", SPENT, SPENT), None),
    "length": (RunFinished("length", SPENT, SPENT), None),
    "client tool": (RunFinished("tool_calls", SPENT, SPENT), None),
    "turn limit": (RunFinished("stop", SPENT, SPENT, turn_limit=True), "turn_limit"),
    "provider": (RunFailed(ProviderOverloaded("Overloaded."), SPENT, SPENT), "provider"),
    "timeout": (RunFailed(RunTimeout("Too late."), SPENT, SPENT), "timeout"),
    "shutdown": (RunFailed(Unavailable("Shutting down."), SPENT, SPENT), "shutdown"),
    "internal": (RunFailed(AuraError("A bug."), SPENT, SPENT), "internal"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_tells_usage_and_failures_their_kind(ending: str) -> None:
    end, kind = ENDINGS[ending]
    found = frames([[SessionInfo("m"), TextDelta("Half")], [ModelCallCompleted(SPENT), end]])
    told = [name for name, _ in found]
    assert told[-2] == "usage"
    assert found[-2][1]["total_tokens"] == 452
    errors = [data for name, data in found if name == "error"]
    assert [data["kind"] for data in errors] == ([] if kind is None else [kind])
    failed = isinstance(end, RunFailed)
    assert ("error" in found[-1][1]) == failed
    if not failed:
        assert found[-1][1]["choices"][0]["finish_reason"] is not None
        assert sum(bool(data["choices"] and data["choices"][0]["finish_reason"]) for n, data in found if not n) == 1


def test_a_degraded_run_says_so_to_those_who_asked_for_events() -> None:
    batch: list[Event] = [Notice("persistence_degraded", "Run files are incomplete."), TextDelta("answer")]
    told = [payload for name, payload in frames([batch]) if name == "notice"]
    assert told == [
        {
            "code": "persistence_degraded",
            "message": "Run files are incomplete.",
            "agent_id": "main",
            "session_id": "cs_9",
        }
    ]
    silent = frames([batch], replace(NAMED, events="none"))
    assert not [name for name, _ in silent if name]
