"""Events of an orchestrated run on the wire: fields, mirrors, gating."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from aura_py.events import (
    ClarificationNeeded,
    DirectAnswer,
    Event,
    IterationCompleted,
    McpStatus,
    ModelCallCompleted,
    OrchestratorToolCompleted,
    OrchestratorToolStarted,
    PlanCreated,
    ReasoningDelta,
    ReplanStarted,
    RunFinished,
    ScratchpadUsage,
    ServerStatus,
    SessionInfo,
    Synthesizing,
    TaskCompleted,
    TaskStarted,
    TextDelta,
    ToolProgress,
    WorkerReasoning,
)
from aura_py.messages import Usage
from aura_py.server.sse import ChatEncoder, StreamShape
from tests.server.snapshots import check

SHAPE = StreamShape(model="sre", session_id="cs_77", agent_id="coordinator", events="named", reasoning_events=True)
RUN = "0f0c1a52-7a77-4a1e-9b7e-6c0e0b1f2a33"


def orchestrated() -> list[Event]:
    plan = PlanCreated(
        "Find why checkout is slow",
        ("Collect p99 latency of checkout", "List deploys of the last day"),
        "orchestrated",
        "Two independent data sources",
        task_ids=(0, 1),
        dependencies={1: (0,)},
        waves={0: 1, 1: 2},
    )
    return [
        SessionInfo("openai/gpt-4o", 128000),
        McpStatus((ServerStatus("metrics", "stdio", "connected", 4),)),
        ReasoningDelta("Which sources?", "coordinator"),
        ModelCallCompleted(Usage(100, 20), ("call_1",), "coordinator"),
        plan,
        TaskStarted(0, "Collect p99 latency of checkout", "metrics", RUN),
        WorkerReasoning(0, "metrics", "Query the range"),
        OrchestratorToolStarted("task0_query_12", "query", "mcp", "metrics", {"expr": "p99"}, 0, 7),
        ToolProgress("task0_query_12", "query", 1, 2, None, 7, task_id=0, worker_id="metrics"),
        OrchestratorToolCompleted("task0_query_12", "query", "mcp", "metrics", True, 310, "1.9 s since 09:12", 0),
        OrchestratorToolStarted("call_9", "grep", "scratchpad", "metrics", {"pattern": "x"}, 0),
        OrchestratorToolCompleted("call_9", "grep", "scratchpad", "metrics", True, 1, "hidden", 0),
        ScratchpadUsage(900, 40, "metrics"),
        TaskCompleted(0, "metrics", RUN, True, 4120, "p99 rose from 0.4 s to 1.9 s"),
        Synthesizing(1),
        replace(plan, iteration=2, planning_response="One more look", task_ids=(), waves={}),
        IterationCompleted(1, True, 1900, 5200, 8300, 640),
        ReplanStarted(2),
        Synthesizing(2),
        DirectAnswer("Latency rose with deploy 418.", "Both results agree"),
        IterationCompleted(2, False, 900, 200, 300, 40, reasoning="Replan budget exhausted", blocked={1: (0,)}),
        TextDelta("Latency rose with deploy 418."),
        RunFinished("stop", Usage(900, 80), Usage(900, 80), answer="Latency rose with deploy 418."),
    ]


def names(shape: StreamShape, events: list[Event]) -> list[str]:
    encoder = ChatEncoder(shape, created=1)
    text = b"".join(encoder.encode([event]) for event in events).decode()
    return [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]


def test_an_orchestrated_run_is_as_recorded() -> None:
    encoder = ChatEncoder(SHAPE, created=1767600000)
    text = b"".join(encoder.encode([event]) for event in orchestrated()).decode()
    check(Path("orchestrated.txt"), text.replace(encoder.id, "chatcmpl-…"))


def test_an_answer_that_is_still_written_says_so_in_its_event() -> None:
    encoder = ChatEncoder(SHAPE, created=1)
    frames = encoder.encode([DirectAnswer("Latency", "Both agree", streamed=True)]).decode()
    assert '"response":"Latency","routing_rationale":"Both agree","streamed":true' in frames
    frames = encoder.encode([DirectAnswer("Latency rose.", "Both agree")]).decode()
    assert "streamed" not in frames


def test_worker_reasoning_is_followed_by_its_mirror() -> None:
    seen = names(SHAPE, orchestrated())
    at = seen.index("aura.orchestrator.worker_reasoning")
    assert seen[at + 1] == "aura.reasoning"


def test_reasoning_stays_hidden_without_its_switch() -> None:
    seen = names(replace(SHAPE, reasoning_events=False), orchestrated())
    assert not [name for name in seen if "reasoning" in name]


def test_scratchpad_calls_show_only_with_the_debug_switch() -> None:
    hidden = names(SHAPE, orchestrated()).count("aura.orchestrator.tool_call_started")
    shown = names(replace(SHAPE, scratchpad_events=True), orchestrated()).count("aura.orchestrator.tool_call_started")
    assert (hidden, shown) == (1, 2)


def test_an_orchestrated_stream_without_events_is_only_text() -> None:
    encoder = ChatEncoder(replace(SHAPE, events="none", reasoning=False), created=1)
    text = b"".join(encoder.encode([event]) for event in orchestrated()).decode()
    assert "event:" not in text
    assert "tool_calls" not in text


@pytest.mark.parametrize("channel", ["none", "named"])
def test_options_of_a_question_are_told_once(channel: str) -> None:
    shape = replace(SHAPE, events=channel)  # type: ignore[arg-type]  # parametrised
    encoder = ChatEncoder(shape, created=1)
    events: list[Event] = [
        ClarificationNeeded("Which cluster?", "Two match", ("eu", "us")),
        TextDelta("Which cluster?"),
        RunFinished("stop", Usage(), Usage(), answer="Which cluster?"),
    ]
    frames = b"".join(encoder.encode([event]) for event in events).decode().split("\n\n")
    said = "".join(
        choice["delta"].get("content", "")
        for frame in frames
        if frame.startswith("data: {")
        for choice in orjson.loads(frame.removeprefix("data: "))["choices"]
    )
    assert said == ("Which cluster?\n\n- eu\n- us" if channel == "none" else "Which cluster?")
