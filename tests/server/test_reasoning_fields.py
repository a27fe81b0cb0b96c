"""Where reasoning goes, and progress among it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from aura_py.events import (
    Event,
    OrchestratorToolStarted,
    PlanCreated,
    ReasoningDelta,
    ReplanStarted,
    RunFinished,
    Synthesizing,
    TaskCompleted,
    TaskStarted,
    TextDelta,
    ToolCompleted,
    ToolProgress,
    ToolRequested,
)
from aura_py.messages import Usage
from aura_py.server.sse import ChatEncoder, StreamShape
from tests.server.rig import agent_file, serving

SHAPE = StreamShape(model="ops", session_id="s", progress=True)
END = RunFinished("stop", Usage(1, 1), Usage(1, 1))


def deltas(shape: StreamShape, events: list[Event]) -> list[dict[str, str]]:
    encoder = ChatEncoder(shape, created=1)
    text = (encoder.opening() + b"".join(encoder.encode([event]) for event in events)).decode()
    chunks = [orjson.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"] if "role" not in choice["delta"]][:-1]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("stream", [True, False])
async def test_reasoning_has_one_name(tmp_path: Path, field: str, stream: bool) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops", f'reasoning_field = "{field}"'))
    async with serving(tmp_path) as rig:
        text = (await rig.chat(stream=stream)).text
        assert f'"{field}":"Thinking."' in text
        assert ('"reasoning":' in text) == (field == "reasoning")
        assert ('"reasoning_content":' in text) == (field == "reasoning_content")


async def test_tools_show_as_reasoning_only_where_the_agent_says_so(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("x")
    for show in (True, False):
        (tmp_path / "a.toml").write_text(
            agent_file("ops", f"show_progress = {str(show).lower()}")
            + f'\n[tools]\nfilesystem = true\nfilesystem_root = "{tmp_path}"\n'
        )
        async with serving(tmp_path) as rig:
            text = (await rig.chat("list", stream=True)).text
            assert ('"reasoning_content":"Running `list_directory`.\\n"' in text) == show
            assert "Found" in text
            assert "list_directory" not in (await rig.chat("list")).text.replace("Looking.", "")


def test_progress_of_a_single_agents_tools_is_short_lines() -> None:
    events: list[Event] = [
        ReasoningDelta("Which disk?"),
        ToolRequested("a", "disk", "{}", {}, "mcp"),
        ToolRequested("b", "ask_user", "{}", {}, "client"),
        ToolRequested("c", "grep", "{}", {}, "scratchpad"),
        ToolProgress("a", "disk", 1, 2),
        ToolProgress("a", "disk", 1, 2, "half\nway " + "x" * 300),
        ToolCompleted("c", "grep", "scratchpad", 1, ok=False, error="x"),
        ToolCompleted("a", "disk", "mcp", 1, ok=False, error="secret detail"),
        TextDelta("Done."),
        END,
    ]
    seen = deltas(SHAPE, events)
    lines = "".join(delta.get("reasoning_content", "") for delta in seen).split("\n")
    assert lines[:2] == ["Which disk?", "Running `disk`."]
    assert lines[2].startswith("`disk`: half way xxx")
    assert len(lines[2]) == 200
    assert lines[3:] == ["`disk` failed.", ""]
    assert [delta["content"] for delta in seen if "content" in delta] == ["Done."]


def test_progress_of_workers_is_short_lines() -> None:
    events: list[Event] = [
        PlanCreated("Find the cause", ("a", "b"), "orchestrated", ""),
        TaskStarted(0, "Collect latency", "metrics", "run"),
        OrchestratorToolStarted("c0", "create_plan", "orchestration", "main", {}),
        OrchestratorToolStarted("c1", "query", "mcp", "metrics", {}, 0),
        OrchestratorToolStarted("c2", "grep", "scratchpad", "metrics", {}, 0),
        TaskCompleted(0, "metrics", "run", True, 1),
        TaskCompleted(1, "logs", "run", False, 1),
        Synthesizing(1),
        ReplanStarted(2),
        END,
    ]
    assert "".join(delta["reasoning_content"] for delta in deltas(SHAPE, events)).splitlines() == [
        "Plan of 2 tasks: Find the cause",
        "Worker `metrics`: Collect latency",
        "Worker `metrics` runs `query`.",
        "Worker `metrics` is done.",
        "Worker `logs` failed.",
        "Looking at the results.",
        "Planning again.",
    ]


def test_progress_goes_where_reasoning_goes_and_not_without_being_asked_for() -> None:
    events: list[Event] = [ToolRequested("a", "disk", "{}", {}, "mcp"), TextDelta("Done."), END]
    assert deltas(replace(SHAPE, reasoning_field="reasoning"), events)[0] == {"reasoning": "Running `disk`.\n"}
    assert deltas(replace(SHAPE, progress=False), events) == [{"content": "Done."}]
