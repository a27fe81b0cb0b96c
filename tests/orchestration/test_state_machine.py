"""Every cell of the state machine: state, event, which events come in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from aura_py.errors import ProviderOverloaded
from aura_py.events import (
    ClarificationNeeded,
    DirectAnswer,
    IterationCompleted,
    OrchestratorToolCompleted,
    OrchestratorToolStarted,
    PlanCreated,
    ReasoningDelta,
    ReplanStarted,
    RunFailed,
    RunFinished,
    SessionInfo,
    Synthesizing,
    TaskCompleted,
    TaskStarted,
    TextDelta,
    WorkerReasoning,
)
from tests.orchestration.clock import jumping_clock
from tests.orchestration.harness import (
    Rule,
    Transcript,
    answer,
    ask,
    call,
    config,
    coordinator,
    open_harness,
    plan,
    step,
    submit,
    worker,
)

TOLD = (
    SessionInfo,
    PlanCreated,
    DirectAnswer,
    ClarificationNeeded,
    TaskStarted,
    TaskCompleted,
    Synthesizing,
    IterationCompleted,
    ReplanStarted,
    RunFinished,
    RunFailed,
    OrchestratorToolStarted,
    OrchestratorToolCompleted,
    ReasoningDelta,
    WorkerReasoning,
)
_SHORT = {
    "SessionInfo": "info",
    "PlanCreated": "plan",
    "DirectAnswer": "direct",
    "ClarificationNeeded": "clarify",
    "TaskStarted": "start",
    "TaskCompleted": "done",
    "Synthesizing": "synth",
    "IterationCompleted": "iteration",
    "ReplanStarted": "replan",
    "RunFinished": "end",
    "RunFailed": "error",
    "OrchestratorToolStarted": "tool",
    "OrchestratorToolCompleted": "tool_end",
    "ReasoningDelta": "think",
    "WorkerReasoning": "work_think",
    "TextDelta": "text",
}
ONE = plan(step("look"))
TWO = plan(step("first"), step("second", "beta"))
WORKS = worker(submit("found it"))
OVERLOADED = {"status": 429, "message": "slow down"}
TASK = "start tool tool_end done"


@dataclass(frozen=True)
class Cell:
    state: str
    event: str
    rules: Sequence[Rule]
    transcript: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    check: Callable[[Transcript], object] = lambda transcript: None
    total: float | None = None

    def __str__(self) -> str:
        return f"{self.state}: {self.event}"


def outline(transcript: Transcript) -> str:
    """The events in order; text deltas in a row are one."""
    words: list[str] = []
    for event in transcript.events:
        if isinstance(event, (*TOLD, TextDelta)):
            word = _SHORT[type(event).__name__]
            if word != "text" or words[-1:] != ["text"]:
                words.append(word)
    return " ".join(words)


def ends_with(text: str) -> Callable[[Transcript], object]:
    def check(transcript: Transcript) -> None:
        assert text in transcript.text
        assert isinstance(transcript.end, RunFinished)
        assert transcript.end.answer == transcript.text

    return check


def fails_with(kind: type[Exception], text: str) -> Callable[[Transcript], object]:
    def check(transcript: Transcript) -> None:
        assert isinstance(transcript.end, RunFailed)
        assert isinstance(transcript.end.error, kind)
        assert text in transcript.end.error.message

    return check


def closes_with(reasoning: str) -> Callable[[Transcript], object]:
    def check(transcript: Transcript) -> None:
        last = transcript.all(IterationCompleted)[-1]
        assert last.reasoning is not None
        assert last.reasoning.startswith(reasoning)
        assert not last.will_replan
        assert "found it" in transcript.text

    return check


def routed(mode: str) -> Callable[[Transcript], object]:
    def check(transcript: Transcript) -> None:
        assert transcript.all(PlanCreated)[0].routing_mode == mode

    return check


def converted(text: str) -> Callable[[Transcript], object]:
    def check(transcript: Transcript) -> None:
        created = transcript.all(PlanCreated)[0]
        assert created.routing_mode == "routed"
        assert created.tasks[0].startswith(text)
        assert created.planning_response == ""

    return check


FINISH = coordinator("continue", answer("all done"))
AFTER_ONE = "synth direct iteration text end"

CELLS = [
    # --- P: the first decision -------------------------------------------------------------------------------------
    Cell("P", "direct, allowed", [coordinator("plan", answer("42"))], "info direct text end", check=ends_with("42")),
    Cell(
        "P",
        "direct, not allowed",
        [coordinator("plan", answer("42")), WORKS, FINISH],
        f"info plan {TASK} {AFTER_ONE}",
        {"allow_direct_answers": False},
        converted("Answer the user's query"),
    ),
    Cell(
        "P",
        "clarification, allowed",
        [coordinator("plan", ask("Which site?", options=["Lyon", "Porto"]))],
        "info clarify text end",
        check=ends_with("Which site?"),
    ),
    Cell(
        "P",
        "clarification, not allowed",
        [coordinator("plan", ask()), WORKS, FINISH],
        f"info plan {TASK} {AFTER_ONE}",
        {"allow_clarification": False},
        converted("Investigate and answer"),
    ),
    Cell(
        "P",
        "direct, when neither answers nor questions are allowed",
        [coordinator("plan", answer("42")), WORKS, FINISH],
        f"info plan {TASK} {AFTER_ONE}",
        {"allow_direct_answers": False, "allow_clarification": False},
        converted("Answer the user's query"),
    ),
    Cell(
        "P",
        "plan of one task",
        [coordinator("plan", ONE), WORKS, FINISH],
        f"info plan {TASK} {AFTER_ONE}",
        check=routed("routed"),
    ),
    Cell(
        "P",
        "plan of two tasks",
        [coordinator("plan", TWO), WORKS, FINISH],
        f"info plan {TASK} {TASK} {AFTER_ONE}",
        check=routed("orchestrated"),
    ),
    Cell(
        "P",
        "invalid plan, depth left",
        [
            coordinator("plan", ONE, after_tool="create_plan"),
            coordinator("plan", plan(step("look", "nobody"))),
            WORKS,
            FINISH,
        ],
        f"info plan {TASK} {AFTER_ONE}",
    ),
    Cell(
        "P",
        "bad arguments, depth left",
        [
            coordinator("plan", answer("fine"), after_tool="respond_directly"),
            coordinator("plan", call("respond_directly", routing_rationale="x")),
        ],
        "info direct text end",
        check=ends_with("fine"),
    ),
    Cell(
        "P",
        "two routing calls in one turn",
        [coordinator("plan", answer("first"), ONE)],
        "info direct text end",
        check=ends_with("first"),
    ),
    Cell(
        "P",
        "invalid, then valid in one turn",
        [coordinator("plan", plan(), answer("second"))],
        "info direct text end",
        check=ends_with("second"),
    ),
    Cell(
        "P",
        "reasoning and look-up tool",
        [
            coordinator("plan", answer("read"), after_tool="read_artifact"),
            coordinator("plan", call("read_artifact", filename="task-0-a-iter-1-result.txt"), reasoning="hm"),
        ],
        "info think tool tool_end direct text end",
    ),
    Cell(
        "P",
        "unknown tool",
        [coordinator("plan", answer("ok"), after_error=True), coordinator("plan", call("alpha", task="x"))],
        "info direct text end",
    ),
    Cell(
        "P",
        "no decision, attempts left",
        [coordinator("plan", answer("ok"), user="System correction"), coordinator("plan", say="let me think")],
        "info direct text end",
        check=ends_with("ok"),
    ),
    Cell(
        "P",
        "no decision, last attempt, text",
        [coordinator("plan", say="It is 42.")],
        "info direct text end",
        check=ends_with("It is 42."),
    ),
    Cell(
        "P",
        "no decision, last attempt, text not allowed",
        [coordinator("plan", say="It is 42."), WORKS, FINISH],
        f"info plan {TASK} {AFTER_ONE}",
        {"allow_direct_answers": False},
        converted("Execute: What is up?"),
    ),
    Cell(
        "P",
        "no decision, last attempt, no text",
        [coordinator("plan", say=""), WORKS, FINISH],
        f"info plan {TASK} {AFTER_ONE}",
        check=converted("Execute: What is up?"),
    ),
    Cell(
        "P",
        "transient error, attempts left",
        [coordinator("plan", error=OVERLOADED, times=2), coordinator("plan", answer("back"))],
        "info direct text end",
        check=ends_with("back"),
    ),
    Cell(
        "P",
        "transient errors only",
        [coordinator("plan", error=OVERLOADED)],
        "info error",
        check=fails_with(ProviderOverloaded, "Planning failed"),
    ),
    Cell(
        "P",
        "no decision, then transient errors",
        [coordinator("plan", call=1), coordinator("plan", error=OVERLOADED), WORKS, FINISH],
        f"info plan {TASK} {AFTER_ONE}",
        check=converted("Execute: "),
    ),
    Cell(
        "P",
        "stalled calls only",
        [coordinator("plan", hang=True)],
        "info error",
        {"timeouts": {"per_call_timeout_secs": 7}},
        check=fails_with(Exception, "planning timed out after 7s"),
    ),
    Cell(
        "P",
        "other error",
        [coordinator("plan", error={"status": 401, "message": "no"})],
        "info error",
        check=fails_with(Exception, "Planning failed"),
    ),
    Cell(
        "P",
        "overflow",
        [coordinator("plan", error={"status": 400, "code": "context_length_exceeded", "message": "too long"})],
        "info error",
        check=fails_with(Exception, "Planning exceeded the context limit"),
    ),
    Cell(
        "P",
        "depth exhausted",
        [coordinator("plan", call("read_artifact", filename="task-0-a-iter-1-result.txt"))],
        "info " + "tool tool_end " * 7 + "error",
        check=fails_with(Exception, "turn limit"),
    ),
    # --- W: execution ----------------------------------------------------------------------------------------------
    Cell(
        "W",
        "worker activity",
        [coordinator("plan", ONE), {**WORKS, "reasoning": "hm"}, FINISH],
        f"info plan start work_think tool tool_end done {AFTER_ONE}",
    ),
    Cell(
        "W",
        "task fails, dependants never start",
        [coordinator("plan", TWO), worker(say="cannot"), FINISH],
        f"info plan start done {AFTER_ONE}",
    ),
    Cell(
        "W",
        "time runs out",
        [coordinator("plan", ONE), worker(hang=True), FINISH],
        "info plan start done synth iteration text end",
        total=60.0,
        check=lambda transcript: ends_with("Failed:")(transcript),
    ),
    # --- S: settling -----------------------------------------------------------------------------------------------
    Cell(
        "S",
        "all failed by the provider",
        [coordinator("plan", ONE), worker(error=OVERLOADED), FINISH],
        "info plan start done error",
        check=fails_with(ProviderOverloaded, "All tasks failed because of the model's provider"),
    ),
    Cell(
        "S",
        "failed otherwise",
        [coordinator("plan", ONE), worker(error={"status": 400, "message": "bad"}), FINISH],
        f"info plan start done {AFTER_ONE}",
    ),
    # --- D: the decision after an iteration ------------------------------------------------------------------------
    Cell(
        "D",
        "direct",
        [coordinator("plan", ONE), WORKS, FINISH],
        f"info plan {TASK} {AFTER_ONE}",
        check=ends_with("all done"),
    ),
    Cell(
        "D",
        "direct, although direct answers are off",
        [coordinator("plan", ONE), WORKS, FINISH],
        f"info plan {TASK} {AFTER_ONE}",
        {"allow_direct_answers": False},
        ends_with("all done"),
    ),
    Cell(
        "D",
        "reasoning and look-up tool",
        [
            coordinator("plan", ONE),
            WORKS,
            coordinator("continue", answer("read"), after_tool="read_artifact"),
            coordinator("continue", call("read_artifact", filename="x"), reasoning="hm"),
        ],
        f"info plan {TASK} synth think tool tool_end direct iteration text end",
    ),
    Cell(
        "D",
        "clarification, allowed",
        [coordinator("plan", ONE), WORKS, coordinator("continue", ask())],
        f"info plan {TASK} synth clarify iteration text end",
        check=ends_with("which one?"),
    ),
    Cell(
        "D",
        "clarification, not allowed",
        [
            coordinator("plan", ONE),
            WORKS,
            coordinator("continue", answer("then so"), after_error=True),
            coordinator("continue", ask()),
        ],
        f"info plan {TASK} {AFTER_ONE}",
        {"allow_clarification": False},
        ends_with("then so"),
    ),
    Cell(
        "D",
        "plan, cycles left",
        [coordinator("plan", ONE), WORKS, coordinator("continue", TWO, times=1), FINISH],
        f"info plan {TASK} synth plan iteration replan {TASK} {TASK} {AFTER_ONE}",
    ),
    Cell(
        "D",
        "plan, cycles spent",
        [coordinator("plan", ONE), WORKS, coordinator("continue", ONE)],
        f"info plan {TASK} synth iteration text end",
        {"max_planning_cycles": 1},
        closes_with("Replan budget exhausted"),
    ),
    Cell(
        "D",
        "plan, no cycles configured",
        [coordinator("plan", ONE), WORKS, coordinator("continue", ONE)],
        f"info plan {TASK} synth iteration text end",
        {"max_planning_cycles": 0},
        closes_with("Replan budget exhausted"),
    ),
    Cell(
        "D",
        "plan, time spent",
        [coordinator("plan", ONE, delay_ms=30_000), WORKS, coordinator("continue", ONE)],
        f"info plan {TASK} synth iteration text end",
        {"timeouts": {"per_call_timeout_secs": 40}},
        closes_with("Time budget exhausted"),
        total=60.0,
    ),
    Cell(
        "D",
        "no decision, attempts left",
        [
            coordinator("plan", ONE),
            WORKS,
            coordinator("continue", answer("ok"), user="correction"),
            coordinator("continue", say=""),
        ],
        f"info plan {TASK} {AFTER_ONE}",
        check=ends_with("ok"),
    ),
    Cell(
        "D",
        "no decision, last attempt, text",
        [coordinator("plan", ONE), WORKS, coordinator("continue", say="So it is found.")],
        f"info plan {TASK} {AFTER_ONE}",
        check=ends_with("So it is found."),
    ),
    Cell(
        "D",
        "no decision, last attempt, no text",
        [coordinator("plan", ONE), WORKS, coordinator("continue", say="")],
        f"info plan {TASK} synth iteration text end",
        check=closes_with("All post-execute attempts failed to route"),
    ),
    Cell(
        "D",
        "transient error, attempts left",
        [coordinator("plan", ONE), WORKS, coordinator("continue", error=OVERLOADED, times=1), FINISH],
        f"info plan {TASK} {AFTER_ONE}",
    ),
    Cell(
        "D",
        "transient errors only",
        [coordinator("plan", ONE), WORKS, coordinator("continue", error=OVERLOADED)],
        f"info plan {TASK} synth iteration text end",
        check=closes_with("Continuation failed"),
    ),
    Cell(
        "D",
        "timeouts only",
        [coordinator("plan", ONE), WORKS, coordinator("continue", hang=True)],
        f"info plan {TASK} synth iteration text end",
        {"timeouts": {"per_call_timeout_secs": 5}},
        closes_with("Continuation timed out"),
    ),
    Cell(
        "D",
        "other error",
        [coordinator("plan", ONE), WORKS, coordinator("continue", error={"status": 401, "message": "no"})],
        f"info plan {TASK} synth iteration text end",
        check=closes_with("Continuation failed"),
    ),
    Cell(
        "D",
        "overflow",
        [
            coordinator("plan", ONE),
            WORKS,
            coordinator("continue", error={"status": 400, "code": "context_length_exceeded", "message": "x"}),
        ],
        f"info plan {TASK} synth iteration text end",
        check=closes_with("Continuation exceeded the context limit"),
    ),
]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_each_cell_tells_its_events_in_order(cell: Cell) -> None:
    async with jumping_clock() as clock, open_harness(clock) as harness:
        transcript = await harness.run(config(cell.rules, **cell.settings), total=cell.total)
    assert outline(transcript) == cell.transcript.strip()
    cell.check(transcript)


async def test_a_cell_is_not_listed_twice() -> None:
    assert len({str(cell) for cell in CELLS}) == len(CELLS)
