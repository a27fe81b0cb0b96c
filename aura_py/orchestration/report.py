"""What the coordinator reads after an iteration, and the raw results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aura_py.config.models import Artifacts
from aura_py.orchestration.plan import Plan, Task
from aura_py.orchestration.prompts import fence
from aura_py.orchestration.run import OrchestrationRun
from aura_py.orchestration.text import indent, truncate
from aura_py.orchestration.tool_records import CallRecord, TaskTrace

_REASON_LENGTH = 100


@dataclass(slots=True, frozen=True)
class Report:
    """What a continuation prompt says about the iteration that has just been carried out."""

    run: OrchestrationRun
    plan: Plan
    iteration: int

    def text(self) -> str:
        parts = [
            self._head(),
            self._completed(),
            self._blocked(),
            self._failed(),
            self._failure_summary(),
            self._history(),
            self._patterns(),
            self._reuse(),
        ]
        return "\n\n".join(part for part in parts if part)

    def brief(self) -> str:
        """The outcome line that replaces this report when the conversation grows too long."""
        done = len(self.plan.having("complete"))
        outcome = f"Iteration {self.iteration}: {self.plan.goal}: {done} of {len(self.plan)} tasks succeeded."
        lines = [
            f"- task {task.id}: {task.structured.summary}"
            for task in self.plan.having("complete")
            if task.structured is not None
        ]
        return f"{outcome}\n{fence(chr(10).join(lines), 'summaries')}" if lines else outcome

    def execution_summary(self) -> str:
        """One line per task."""
        blocked = self.plan.blocked()
        lines = []
        for task in self.plan:
            if task.status == "complete":
                state = f"complete ({len(task.result or '')} characters)"
            elif task.status == "failed":
                state = f"failed: {truncate(task.error or 'unknown', self._artifacts.result_summary_length)}"
            else:
                state = "blocked" if task.id in blocked else task.status
            lines.append(f"- task {task.id} ({task.description}): {state}")
        return "\n".join(lines)

    @property
    def _artifacts(self) -> Artifacts:
        return self.run.config.orchestration.artifacts

    def _head(self) -> str:
        cycles = self.run.config.orchestration.max_planning_cycles
        final = " (final attempt)" if self.iteration + 1 >= cycles else ""
        done = len(self.plan.having("complete"))
        return (
            f"# Iteration {self.iteration} of {max(1, cycles)}{final}\n\n"
            f"Goal: {self.plan.goal}\n\nOutcome: {done} of {len(self.plan)} tasks succeeded."
        )

    def _completed(self) -> str:
        tasks = self.plan.having("complete")
        if not tasks:
            return ""
        return "## Completed\n\n" + "\n\n".join(self._completed_task(task) for task in tasks)

    def _completed_task(self, task: Task) -> str:
        trace = task.trace
        confidence = f" [{task.structured.confidence} confidence]" if task.structured is not None else ""
        lines = [f"Task {task.id}: {task.description}{confidence}"]
        lines += [f"Note: {note}" for note in task.report_notes]
        lines.append(indent(fence(_body(task), "result")))
        lines += _stored_outputs(trace)
        if self._artifacts.show_tool_reasoning_in_continuation and trace.calls:
            lines.append(_chain(trace))
        return "\n".join(lines)

    def _blocked(self) -> str:
        blocked = self.plan.blocked()
        if not blocked:
            return ""
        lines = [
            f"- task {task_id}: {self.plan[task_id].description}: dependency failed (task {_ids(causes)})"
            for task_id, causes in blocked.items()
        ]
        return "## Blocked\n\n" + "\n".join(lines)

    def _failed(self) -> str:
        blocks = []
        for task in self.plan.having("failed"):
            error = fence(
                truncate(task.error or "unknown", self._artifacts.result_summary_length, task.artifact_note), "error"
            )
            trace = task.trace
            lines = [f"Task {task.id}: {task.description}: failed [{task.category}]", indent(error)]
            if task.partial_result:
                lines.append(f"Written before it failed:\n{indent(fence(task.partial_result, 'result'))}")
            lines += _stored_outputs(trace)
            if trace.calls:
                lines.append(_chain(trace))
            blocks.append("\n".join(lines))
        return "## Failed\n\n" + "\n\n".join(blocks) if blocks else ""

    def _failure_summary(self) -> str:
        failed, blocked = len(self.plan.having("failed")), len(self.plan.blocked())
        if not failed and not blocked:
            return ""
        return (
            f"## Areas needing attention\n\n{failed} failed and {blocked} could not run because of them. "
            "What they were to find out is missing.\n\n" + fence(self.execution_summary(), "summary")
        )

    def _history(self) -> str:
        lines = [
            f"- iteration {iteration}, {task.worker or 'unassigned'}, {task.category}: {task.description}: "
            f"{truncate(task.error or 'unknown', self._artifacts.result_summary_length)}"
            for iteration, task in self.run.failed_tasks()
        ]
        if not lines:
            return ""
        return "## Failures of this run\n\n" + fence("\n".join(lines), "failures")

    def _patterns(self) -> str:
        counts = Counter((task.description, task.category) for _, task in self.run.failed_tasks())
        lines = [
            f"- “{description}” failed {count} times with {category}: try something fundamentally different."
            for (description, category), count in counts.items()
            if count > 1
        ]
        return "## Observed patterns\n\n" + "\n".join(lines) if lines else ""

    def _reuse(self) -> str:
        if not self.plan.having("failed") or not self.plan.having("complete"):
            return ""
        return (
            "## Reuse\n\nDo not repeat completed tasks. Workers of a new plan see none of these results: write the "
            "values they need, or the artifacts' names, into their task texts."
        )


def _body(task: Task) -> str:
    result = task.result or ""
    if not task.artifact_note or task.structured is None:
        return result
    return f"{task.structured.summary}\n\n{task.artifact_note}"


def _stored_outputs(trace: TaskTrace) -> list[str]:
    return [
        f"    tool output: {artifact.filename} ({artifact.size} bytes)"
        for artifact in trace.artifacts
        if artifact.kind == "tool_output"
    ]


def _chain(trace: TaskTrace) -> str:
    return indent(fence(" → ".join(_link(call) for call in trace.calls), "tools"))


def _link(call: CallRecord) -> str:
    text = f"{call.tool} ({call.duration_ms / 1000:.1f}s)"
    if call.reasoning:
        text += f' "{call.reasoning[:_REASON_LENGTH]}"'
    return text if call.error is None else f"{text} FAILED: {call.error[:_REASON_LENGTH]}"


def _ids(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))


def raw_results(note: str, plans: Sequence[Plan]) -> str:
    """All iterations' results as the workers delivered them, with an honest note."""
    parts = [note, "These are the results of the tasks as they were delivered:"]
    for number, plan in enumerate(plans, start=1):
        last = number == len(plans)
        prefix = f"Iteration {number}, task" if len(plans) > 1 else "Task"
        blocked = plan.blocked()
        for task in plan:
            if task.status != "complete" and not task.partial_result and not last:
                continue
            if task.status == "complete":
                body = task.result or ""
            elif task.status == "failed":
                body = f"Failed: {task.error or 'unknown'}"
                if task.partial_result:
                    body += f"\n\nWritten before it failed:\n\n{task.partial_result}"
            elif task.id in blocked:
                body = f"Not executed: it depends on task {_ids(blocked[task.id])}, which failed."
            else:
                body = "Not executed."
            parts.append(f"## {prefix} {task.id}: {task.description}\n\n{body}")
    return "\n\n".join(parts)
