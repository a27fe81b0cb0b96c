"""``aura.orchestrator.*`` events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from aura_py.events import (
    ClarificationNeeded,
    DirectAnswer,
    Event,
    IterationCompleted,
    OrchestratorToolCompleted,
    OrchestratorToolStarted,
    PlanCreated,
    ReplanStarted,
    Synthesizing,
    TaskCompleted,
    TaskStarted,
    WorkerReasoning,
)
from aura_py.server.sse.frames import cut
from aura_py.server.sse.shape import StreamShape

Fields: TypeAlias = dict[str, object]
_E = TypeVar("_E")


def worker_reasoning(event: WorkerReasoning) -> tuple[str, Fields]:
    return "orchestrator.worker_reasoning", {
        "task_id": event.task_id,
        "worker_id": event.worker_id,
        "content": event.text,
        "iteration": event.iteration,
    }


def _plan_created(event: PlanCreated, _shape: StreamShape) -> tuple[str, Fields]:
    fields: Fields = {
        "goal": event.goal,
        "tasks": list(event.tasks),
        "routing_mode": event.routing_mode,
        "routing_rationale": event.routing_rationale,
    }
    if event.planning_response:
        fields["planning_response"] = event.planning_response
    fields["iteration"] = event.iteration
    if event.task_ids:
        fields["task_ids"] = list(event.task_ids)
        fields["dependencies"] = [
            {"task": task, "depends_on": list(event.dependencies.get(task, ()))} for task in event.task_ids
        ]
    if event.waves:
        fields["waves"] = _waves(event.waves)
    return "orchestrator.plan_created", fields


def _waves(waves: Mapping[int, int]) -> list[list[int]]:
    """Task ids of each wave, first wave first."""
    return [sorted(task for task, at in waves.items() if at == wave) for wave in sorted(set(waves.values()))]


def _direct_answer(event: DirectAnswer, _shape: StreamShape) -> tuple[str, Fields]:
    fields: Fields = {"response": event.response, "routing_rationale": event.routing_rationale}
    if event.streamed:
        fields["streamed"] = True
    return "orchestrator.direct_answer", fields


def _clarification(event: ClarificationNeeded, _shape: StreamShape) -> tuple[str, Fields]:
    fields: Fields = {"question": event.question}
    if event.options:
        fields["options"] = list(event.options)
    fields["routing_rationale"] = event.routing_rationale
    return "orchestrator.clarification_needed", fields


def _task_started(event: TaskStarted, _shape: StreamShape) -> tuple[str, Fields]:
    return "orchestrator.task_started", {
        "description": event.description,
        "task_id": event.task_id,
        "orchestrator_id": event.orchestrator_id,
        "worker_id": event.worker_id,
        "iteration": event.iteration,
        "wave": event.wave,
    }


def _task_completed(event: TaskCompleted, shape: StreamShape) -> tuple[str, Fields]:
    fields: Fields = {
        "task_id": event.task_id,
        "orchestrator_id": event.orchestrator_id,
        "worker_id": event.worker_id,
        "success": event.success,
        "duration_ms": event.duration_ms,
    }
    if event.result:
        fields["result"] = cut(event.result, shape.result_limit)
    return "orchestrator.task_completed", fields | {"iteration": event.iteration, "wave": event.wave}


def _tool_started(event: OrchestratorToolStarted, shape: StreamShape) -> tuple[str, Fields] | None:
    if event.kind == "scratchpad" and not shape.scratchpad_events:
        return None
    fields: Fields = {} if event.task_id is None else {"task_id": event.task_id}
    fields |= {"tool_call_id": event.call_id, "tool_name": event.name, "worker_id": event.worker_id}
    if event.arguments is not None:
        fields["arguments"] = event.arguments
    if event.progress_token is not None:
        fields["progress_token"] = event.progress_token
    return "orchestrator.tool_call_started", fields | {"iteration": event.iteration}


def _tool_completed(event: OrchestratorToolCompleted, shape: StreamShape) -> tuple[str, Fields] | None:
    if event.kind == "scratchpad" and not shape.scratchpad_events:
        return None
    fields: Fields = {} if event.task_id is None else {"task_id": event.task_id}
    fields |= {"tool_call_id": event.call_id, "success": event.ok, "duration_ms": event.duration_ms}
    if event.result:
        fields["result"] = cut(event.result, shape.result_limit)
    return "orchestrator.tool_call_completed", fields | {"iteration": event.iteration}


def _synthesizing(event: Synthesizing, _shape: StreamShape) -> tuple[str, Fields]:
    return "orchestrator.synthesizing", {"iteration": event.iteration}


def _iteration_complete(event: IterationCompleted, _shape: StreamShape) -> tuple[str, Fields]:
    fields: Fields = {"iteration": event.iteration, "will_replan": event.will_replan}
    if event.reasoning is not None:
        fields["reasoning"] = event.reasoning
    if event.gaps:
        fields["gaps"] = list(event.gaps)
    if event.blocked:
        fields["blocked"] = [
            {"task_id": task, "blocked_by": list(causes)} for task, causes in sorted(event.blocked.items())
        ]
    fields |= {
        "planning_ms": event.planning_ms,
        "execution_ms": event.execution_ms,
        "task_compute_ms": event.task_compute_ms,
        "tool_ms": event.tool_ms,
    }
    return "orchestrator.iteration_complete", fields


def _replan_started(event: ReplanStarted, _shape: StreamShape) -> tuple[str, Fields]:
    return "orchestrator.replan_started", {"iteration": event.iteration, "trigger": event.trigger}


_Encoder: TypeAlias = Callable[[Event, StreamShape], tuple[str, Fields] | None]


def _typed(kind: type[_E], encoder: Callable[[_E, StreamShape], tuple[str, Fields] | None]) -> _Encoder:
    """``encoder`` for the dispatch table; the table's key guarantees ``kind``."""
    return encoder  # type: ignore[return-value]


ENCODERS: Mapping[type[object], _Encoder] = {
    PlanCreated: _typed(PlanCreated, _plan_created),
    DirectAnswer: _typed(DirectAnswer, _direct_answer),
    ClarificationNeeded: _typed(ClarificationNeeded, _clarification),
    TaskStarted: _typed(TaskStarted, _task_started),
    TaskCompleted: _typed(TaskCompleted, _task_completed),
    OrchestratorToolStarted: _typed(OrchestratorToolStarted, _tool_started),
    OrchestratorToolCompleted: _typed(OrchestratorToolCompleted, _tool_completed),
    Synthesizing: _typed(Synthesizing, _synthesizing),
    IterationCompleted: _typed(IterationCompleted, _iteration_complete),
    ReplanStarted: _typed(ReplanStarted, _replan_started),
}
"""Event type to its encoder; ``None`` says that the event is hidden from clients."""
