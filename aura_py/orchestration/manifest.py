"""``manifest.json``: what a run leaves for later turns of its session (``orchestration-workers.md`` §17)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from aura_py.messages import Json, JsonObject, Usage
from aura_py.orchestration.plan import Plan, Task
from aura_py.orchestration.run_directory import json_bytes
from aura_py.orchestration.text import cut
from aura_py.orchestration.traces import Traces

PREVIEW = 200
SCHEMA_VERSION = 2
MAX_MANIFEST_BYTES = 1024 * 1024
"""Larger ones are not read, and therefore not written."""

Status = Literal["success", "partial_success", "failed", "cancelled"]


@dataclass(slots=True, frozen=True)
class PhaseTimings:
    planning_ms: int
    execution_ms: int
    task_compute_ms: int
    tool_ms: int

    def to_json(self) -> dict[str, Json]:
        return {
            "planning_ms": self.planning_ms,
            "execution_ms": self.execution_ms,
            "task_compute_ms": self.task_compute_ms,
            "tool_ms": self.tool_ms,
        }


@dataclass(slots=True)
class RunRecord:
    """Everything a manifest is made of; grows while the run goes on."""

    run_id: str
    session_id: str
    agent: str
    owner: str | None
    query: str
    started_at: datetime
    plans: list[Plan] = field(default_factory=list)
    traces: Traces = field(default_factory=Traces)
    timings: PhaseTimings | None = None
    usage: Usage = Usage()
    answered: Literal["direct", "clarification", "failed"] | None = None
    """How a run without any executed plan ended."""
    outcome: str | None = None
    response_summary: str | None = None
    cancelled: bool = False

    @property
    def iterations(self) -> int:
        return len(self.plans)

    def to_json(self, now: datetime) -> dict[str, Json]:
        plan = self.plans[-1] if self.plans else None
        value: dict[str, Json] = {
            "run_id": self.run_id,
            "session_id": self.session_id or None,
            "timestamp": now.isoformat(timespec="microseconds"),
            "goal": plan.goal if plan is not None else self.query,
            "status": self.status,
            "iterations": self.iterations,
        }
        mode = self._routing_mode(plan)
        if mode is not None:
            value["routing_mode"] = mode
        outcome = self._outcome(plan)
        if outcome is not None:
            value["outcome"] = outcome
        if self.response_summary is not None:
            value["response_summary"] = self.response_summary
        value["task_summaries"] = self._tasks(plan, self.iterations)
        value["artifact_paths"] = [artifact.filename for artifact in self.traces.artifacts]
        if self.timings is not None:
            value["phase_timings"] = self.timings.to_json()
        value["agent"] = self.agent
        value["owner"] = self.owner
        value["schema_version"] = SCHEMA_VERSION
        value["started_at"] = self.started_at.isoformat(timespec="microseconds")
        value["iterations_detail"] = [
            {"iteration": number, "goal": done.goal, "task_summaries": self._tasks(done, number)}
            for number, done in enumerate(self.plans, start=1)
        ]
        value["usage"] = {"input_tokens": self.usage.input, "output_tokens": self.usage.output}
        return _readable(value)

    @property
    def status(self) -> Status:
        if self.cancelled:
            return "cancelled"
        if not self.plans:
            return "failed" if self.answered == "failed" else "success"
        complete = len(self.plans[-1].having("complete"))
        return "success" if complete == len(self.plans[-1]) else "partial_success" if complete else "failed"

    def _routing_mode(self, plan: Plan | None) -> str | None:
        if plan is not None:
            return "routed" if len(plan) == 1 else "orchestrated"
        return "direct_answer" if self.answered == "direct" else None

    def _outcome(self, plan: Plan | None) -> str | None:
        if self.cancelled:
            return "cancelled"
        if self.outcome is not None:
            return self.outcome
        if plan is not None:
            return f"{len(plan.having('complete'))}/{len(plan)} tasks completed"
        if self.answered == "direct":
            return "Answered directly"
        return "Asked for clarification" if self.answered == "clarification" else None

    def _tasks(self, plan: Plan | None, iteration: int) -> list[Json]:
        if plan is None:
            return []
        blocked = plan.blocked()
        return [self._task(task, iteration, blocked.get(task.id)) for task in plan]

    def _task(self, task: Task, iteration: int, blocked_by: tuple[int, ...] | None) -> dict[str, Json]:
        trace = self.traces.of(iteration, task.id)
        status, error, category = task.status, task.error, task.category
        if blocked_by is not None:
            status, category = "failed", "dependency_failed"
            error = f"not run: it depends on task {', '.join(map(str, blocked_by))}, which failed"
        value: dict[str, Json] = {
            "task_id": task.id,
            "description": task.description,
            "status": status,
            "worker": task.worker,
            "result_preview": _preview(task),
        }
        if task.structured is not None:
            value["confidence"] = task.structured.confidence
        if status == "failed":
            value["failure_category"] = category or "agent_error"
            value["error"] = error or "unknown"
            value["error_context"] = self._error_context(task, category or "agent_error", iteration)
        if trace.calls:
            value["tool_trace"] = [call.trace_json() for call in trace.calls]
        if trace.artifacts:
            ordered = sorted(trace.artifacts, key=lambda artifact: artifact.filename)
            value["artifacts"] = [artifact.to_json() for artifact in ordered]
        if task.attempts:
            value["attempts"] = task.attempts
        return value

    def _error_context(self, task: Task, category: str, iteration: int) -> dict[str, Json]:
        trace = self.traces.of(iteration, task.id)
        value: dict[str, Json] = {"category": category}
        if trace.calls:
            value["last_tool_call"] = trace.calls[-1].tool
        value["attempt_count"] = task.attempts
        partial = task.error if task.category in ("soft_failure", "loop_detected") else task.found
        if partial:
            value["partial_result"] = partial
        return value


def _preview(task: Task) -> str | None:
    if task.structured is not None:
        return task.structured.summary
    return (task.result or "")[:PREVIEW] if task.status == "complete" else None


def _readable(value: dict[str, Json]) -> dict[str, Json]:
    """``value``, shortened step by step while it is larger than what a reader takes."""
    steps: tuple[Callable[[dict[str, Json]], dict[str, Json]], ...] = (
        lambda whole: {key: _cut_texts(item, 2000) for key, item in whole.items()},
        lambda whole: {**whole, "iterations_detail": _without_traces(whole["iterations_detail"])},
        lambda whole: {key: _without_traces(item) for key, item in whole.items()},
        lambda whole: {key: _cut_texts(item, PREVIEW) for key, item in whole.items()},
    )
    for shorten in steps:
        if len(json_bytes(value)) <= MAX_MANIFEST_BYTES:
            break
        value = shorten(value)
    return value


def _cut_texts(value: Json, length: int) -> Json:
    if isinstance(value, str):
        return cut(value, length)
    if isinstance(value, Mapping):
        return {key: _cut_texts(item, length) for key, item in value.items()}
    return [_cut_texts(item, length) for item in value] if isinstance(value, Sequence) else value


def _without_traces(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _without_traces(item) for key, item in value.items() if key != "tool_trace"}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_traces(item) for item in value]
    return value


# --- reading -------------------------------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class Manifest:
    """A stored manifest as readers see it; old ones lack much, and unknown fields are ignored."""

    run_id: str
    timestamp: datetime
    goal: str
    status: str
    iterations: int
    outcome: str | None
    response_summary: str | None
    tasks: tuple[JsonObject, ...]
    artifacts: tuple[str, ...]
    owner: str | None
    agent: str | None


def read_manifest(value: Json) -> Manifest | None:
    """``None`` when ``value`` is not a manifest."""
    if not isinstance(value, Mapping):
        return None
    run_id, timestamp = value.get("run_id"), _time(value.get("timestamp"))
    if not isinstance(run_id, str) or timestamp is None:
        return None
    status = value.get("status")
    iterations = value.get("iterations")
    return Manifest(
        run_id=run_id,
        timestamp=timestamp,
        goal=_text(value.get("goal")) or "",
        status=status if status in ("success", "partial_success", "failed", "cancelled") else "failed",
        iterations=iterations if isinstance(iterations, int) else 0,
        outcome=_text(value.get("outcome")),
        response_summary=_text(value.get("response_summary")),
        tasks=tuple(task for task in _array(value.get("task_summaries")) if isinstance(task, Mapping)),
        artifacts=tuple(name for name in _array(value.get("artifact_paths")) if isinstance(name, str)),
        owner=_text(value.get("owner")),
        agent=_text(value.get("agent")),
    )


def _time(value: Json) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _array(value: Json) -> Sequence[Json]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()
