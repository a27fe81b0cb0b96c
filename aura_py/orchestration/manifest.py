"""``manifest.json``: what a run leaves for later turns of its session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Literal

from aura_py.messages import Json
from aura_py.orchestration.plan import Plan, Task
from aura_py.orchestration.run import OrchestrationRun
from aura_py.orchestration.run_directory import json_bytes
from aura_py.orchestration.text import truncate

PREVIEW = 200
SCHEMA_VERSION = 2
MAX_MANIFEST_BYTES = 1024 * 1024
"""Larger ones are not read, and therefore not written."""

Status = Literal["success", "partial_success", "failed", "cancelled"]


def manifest_json(run: OrchestrationRun) -> dict[str, Json]:
    """What ``manifest.json`` says of the run as it is now."""
    plan = run.plans[-1] if run.plans else None
    value: dict[str, Json] = {
        "run_id": run.run_id,
        "session_id": run.context.session_id or None,
        "timestamp": run.context.clock.now().isoformat(timespec="microseconds"),
        "goal": plan.goal if plan is not None else run.query,
        "status": _status(run),
        "iterations": run.iterations,
    }
    if plan is not None:
        value["routing_mode"] = plan.routing_mode
    elif run.answered == "direct":
        value["routing_mode"] = "direct_answer"
    outcome = _outcome(run, plan)
    if outcome is not None:
        value["outcome"] = outcome
    if run.response_summary is not None:
        value["response_summary"] = run.response_summary
    value["task_summaries"] = _tasks(plan) if plan is not None else []
    value["artifact_paths"] = sorted(
        artifact.filename for plan in run.plans for task in plan for artifact in task.trace.artifacts
    )
    if run.timings is not None:
        value["phase_timings"] = asdict(run.timings)
    value["agent"] = run.config.id
    value["owner"] = run.context.owner
    value["schema_version"] = SCHEMA_VERSION
    value["started_at"] = run.started_at.isoformat(timespec="microseconds")
    value["iterations_detail"] = [
        {"iteration": number, "goal": done.goal, "task_summaries": _tasks(done)}
        for number, done in enumerate(run.plans, start=1)
    ]
    value["usage"] = {"input_tokens": run.usage.input, "output_tokens": run.usage.output}
    return _bounded(value)


def _status(run: OrchestrationRun) -> Status:
    if run.cancelled:
        return "cancelled"
    if not run.plans:
        return "failed" if run.answered == "failed" else "success"
    complete = len(run.plans[-1].having("complete"))
    return "success" if complete == len(run.plans[-1]) else "partial_success" if complete else "failed"


def _outcome(run: OrchestrationRun, plan: Plan | None) -> str | None:
    if run.cancelled:
        return "cancelled"
    if run.outcome is not None:
        return run.outcome
    if plan is not None:
        return f"{len(plan.having('complete'))}/{len(plan)} tasks completed"
    if run.answered == "direct":
        return "Answered directly"
    return "Asked for clarification" if run.answered == "clarification" else None


def _tasks(plan: Plan) -> list[Json]:
    blocked = plan.blocked()
    return [_task(task, blocked.get(task.id)) for task in plan]


def _task(task: Task, blocked_by: tuple[int, ...] | None) -> dict[str, Json]:
    status, error, category, trace = task.status, task.error, task.category, task.trace
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
        value["error_context"] = _error_context(task, category or "agent_error")
    if trace.calls:
        value["tool_trace"] = [call.trace_json() for call in trace.calls]
    if trace.artifacts:
        ordered = sorted(trace.artifacts, key=lambda artifact: artifact.filename)
        value["artifacts"] = [artifact.to_json() for artifact in ordered]
    if task.attempts:
        value["attempts"] = task.attempts
    return value


def _error_context(task: Task, category: str) -> dict[str, Json]:
    value: dict[str, Json] = {"category": category}
    if task.trace.calls:
        value["last_tool_call"] = task.trace.calls[-1].tool
    value["attempt_count"] = task.attempts
    partial_result = task.error if task.category in ("soft_failure", "loop_detected") else task.partial_result
    if partial_result:
        value["partial_result"] = partial_result
    return value


def _preview(task: Task) -> str | None:
    if task.structured is not None:
        return task.structured.summary
    return (task.result or "")[:PREVIEW] if task.status == "complete" else None


def _bounded(value: dict[str, Json]) -> dict[str, Json]:
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
        return truncate(value, length)
    if isinstance(value, Mapping):
        return {key: _cut_texts(item, length) for key, item in value.items()}
    return [_cut_texts(item, length) for item in value] if isinstance(value, Sequence) else value


def _without_traces(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _without_traces(item) for key, item in value.items() if key != "tool_trace"}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_traces(item) for item in value]
    return value
