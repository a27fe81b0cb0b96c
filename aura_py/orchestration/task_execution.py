"""One task from dispatch to its outcome: attempts, corrections, retries, files."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aura_py.errors import AuraError, ContextOverflow
from aura_py.events import TaskCompleted, TaskStarted
from aura_py.messages import Json
from aura_py.orchestration.attempt import Attempt, AttemptResult
from aura_py.orchestration.failures import (
    AttemptTimeout,
    TurnLimitError,
    WorkerUnavailable,
    error_summary,
    failure_category,
    is_stall,
    pause_before_retry,
)
from aura_py.orchestration.naming import result_name
from aura_py.orchestration.plan import Plan, StructuredOutput, Task
from aura_py.orchestration.prompts import fence
from aura_py.orchestration.run import OrchestrationRun
from aura_py.orchestration.submission import Submission
from aura_py.orchestration.text import beginning
from aura_py.orchestration.tool_records import ArtifactRecord

logger = logging.getLogger(__name__)

MAX_RETRIES = 2
"""Further attempts after a failing provider, when nothing with side effects has happened."""
MIN_CORRECTION_TURNS = 3
LOOP_NOTE = "ended by the duplicate-call guard"
_PREVIEW = 100
_SUMMARY = 200


class TaskExecution:
    """Carries out one task; its outcome is in the plan and in the events before :meth:`run` returns.

    Args:
        save: Called after the outcome, so that a process that is killed leaves what was done.
    """

    def __init__(
        self, run: OrchestrationRun, plan: Plan, task: Task, iteration: int, save: Callable[[], Awaitable[None]]
    ) -> None:
        self._run, self._plan, self._task, self._iteration, self._save = run, plan, task, iteration, save
        self._profile = run.team.profile(task.worker)
        self._began = 0.0
        self._prompt = ""
        self._best = ""
        """The longest text that any attempt has written."""

    def start(self) -> None:
        task, run = self._task, self._run
        task.start()
        self._began = run.context.clock.monotonic()
        run.context.emit(
            TaskStarted(
                task_id=task.id,
                description=task.description,
                worker_id=task.worker or run.orchestrator_id,
                orchestrator_id=run.orchestrator_id,
                iteration=self._iteration,
                wave=task.wave,
            )
        )

    async def run(self) -> bool:
        """Returns whether the task succeeded. Never raises an :class:`Exception`."""
        task, run = self._task, self._run
        try:
            await self._attempts()
        except Exception as error:  # a fault of ours is an outcome too: other tasks go on
            logger.exception("task %d failed inside Aura", task.id)
            task.fail(f"Worker failed task {task.id}: {error_summary(error)}", "agent_error", self._best)
        task.duration_ms = self._duration()
        succeeded = task.status == "complete"
        if not succeeded:
            logger.warning("task %d failed (%s): %s", task.id, task.category, task.description[:_PREVIEW])
        run.context.emit(
            TaskCompleted(
                task_id=task.id,
                worker_id=task.worker or run.orchestrator_id,
                orchestrator_id=run.orchestrator_id,
                success=succeeded,
                duration_ms=task.duration_ms,
                result=(task.result if succeeded else task.error) or "",
                iteration=self._iteration,
                wave=task.wave,
            )
        )
        await self._save()
        return succeeded

    async def _attempts(self) -> None:
        run, task = self._run, self._task
        self._prompt = run.prompts.render(
            "task", task=task.description, context=_context(self._plan, task), artifacts=run.files.enabled
        )
        attempt = self._next_attempt()
        retries = 0
        while True:
            try:
                end = await attempt.execute()
                if end.turn_limit and end.submission is None and not end.escalated:
                    raise TurnLimitError(f"worker `{self._profile.label}` reached its turn limit.")
            except WorkerUnavailable as error:
                task.fail(self._failure(error), "agent_error")
                return
            except AuraError as error:
                self._keep_text(attempt.text)
                response, result = attempt.text or "(error)", attempt.text or None
                await self._store(attempt, response, result=result, error=error.message)
                # only an attempt without side effects is repeated, and none that was already a second chance
                if not attempt.forced and retries < MAX_RETRIES and await self._may_retry(attempt, error, retries):
                    retries += 1
                    attempt = self._next_attempt()
                    continue
                partial_result = await self._shorten_result(self._best, attempt.number)
                task.fail(self._failure(error), failure_category(error), partial_result)
                return
            self._keep_text(end.text)
            if end.submission is not None:
                await self._complete(attempt, end, end.submission)
                return
            if end.escalated:
                text = await self._shorten_result(self._best or "no text was written", attempt.number)
                await self._store(attempt, end.text, error="duplicate call loop")
                task.fail(f"Worker was blocked by a duplicate call loop. {text}", "loop_detected")
                return
            if attempt.forced:
                await self._give_up(attempt, end)
                return
            await self._store(attempt, end.text, error="no submission")
            attempt = self._correction(end)

    def _next_attempt(self) -> Attempt:
        self._task.attempts += 1
        return Attempt(self._run, self._profile, self._task, self._iteration, self._prompt)

    def _correction(self, end: AttemptResult) -> Attempt:
        """An attempt that goes on with the conversation and has to submit."""
        self._task.attempts += 1
        turns = max(MIN_CORRECTION_TURNS, self._profile.turn_depth + 2 - end.turns)
        return Attempt(
            self._run,
            self._profile,
            self._task,
            self._iteration,
            self._run.prompts.render("submission"),
            history=end.conversation,
            depth=turns - 2,
            forced=True,
        )

    def _keep_text(self, text: str) -> None:
        if len(text.strip()) > len(self._best.strip()):
            self._best = text

    async def _complete(self, attempt: Attempt, end: AttemptResult, submission: Submission) -> None:
        confidence = "low" if end.escalated else submission.confidence
        if end.escalated:
            self._task.report_notes = (LOOP_NOTE,)
        logger.info(
            "task %d: submitted (%s confidence, %d characters): %s",
            self._task.id,
            confidence,
            len(submission.result),
            submission.summary,
        )
        result = await self._shorten_result(submission.result, attempt.number)
        structured = StructuredOutput(submission.summary, confidence)
        await self._store(attempt, submission.result, structured=structured)
        self._task.complete(result, structured)

    async def _give_up(self, attempt: Attempt, end: AttemptResult) -> None:
        text = await self._shorten_result(self._best, attempt.number)
        if self._profile.accept_unsubmitted and self._best:
            structured = StructuredOutput(self._best[:_SUMMARY], "low")
            await self._store(attempt, self._best, structured=structured)
            self._task.complete(text, structured)
            return
        logger.warning("task %d: ended without `submit_result`", self._task.id)
        await self._store(attempt, end.text, result=self._best)
        self._task.fail(text or "The worker did not call submit_result and wrote nothing.", "soft_failure")

    async def _may_retry(self, attempt: Attempt, error: AuraError, retries: int) -> bool:
        transient = failure_category(error) == "provider_overloaded" or is_stall(error)
        if not transient or isinstance(error, AttemptTimeout) or attempt.recorder.changed_something:
            return False
        context = self._run.context
        pause = pause_before_retry(error, retries + 1, self._run.time_left(), context.random)
        if pause is None:
            return False
        logger.info(
            "task %d: attempt %d failed (%s); next in %.1f s", self._task.id, attempt.number, error.message, pause
        )
        await context.clock.sleep(pause)
        return True

    def _failure(self, error: AuraError) -> str:
        attempts = self._task.attempts
        cause = error_summary(error)
        if isinstance(error, ContextOverflow):
            cause = self._run.prompts.render("overflow", phase="worker")
        return f"Worker failed task {self._task.id} after {attempts} attempt{'s' * (attempts != 1)}: {cause}"

    def _duration(self) -> int:
        return round((self._run.context.clock.monotonic() - self._began) * 1000)

    # --- files -----------------------------------------------------------------------------------------------------

    async def _shorten_result(self, text: str, attempt: int) -> str:
        """Long texts go into a file, if there are files; what other agents see of them names it."""
        run, task = self._run, self._task
        settings = run.config.orchestration.artifacts
        if len(text) <= settings.result_artifact_threshold or not run.files.enabled:
            return text
        name = result_name(task.id, task.worker, self._iteration, attempt)
        if not await run.files.write(f"artifacts/{name}", text):
            return text
        size = len(text.encode("utf-8", "replace"))
        task.trace.artifacts.append(ArtifactRecord(name, size, "result"))
        logger.info("result of task %d is stored as `%s` (%d characters)", task.id, name, len(text))
        task.artifact_note = f"[Full result ({len(text)} chars) saved to artifact: {name}]"
        return f"{beginning(text, settings.result_summary_length)}\n\n{task.artifact_note}"

    async def _store(
        self,
        attempt: Attempt,
        response: str,
        *,
        structured: StructuredOutput | None = None,
        result: str | None = None,
        error: str | None = None,
    ) -> None:
        record: dict[str, Json] = {
            "task_id": self._task.id,
            "description": self._task.description,
            "attempt": attempt.number,
            "approach": "Direct task execution via worker agent",
            "result": response if structured is not None else result,
        }
        if structured is not None:
            record["summary"] = structured.summary
        record["error"] = error
        record["duration_ms"] = self._duration()
        record["confidence"] = structured.confidence if structured is not None else None
        record["orchestrator_notes"] = None
        files: dict[str, str | Json] = {
            f"{attempt.stem}.prompt.txt": attempt.prompt,
            f"{attempt.stem}.response.txt": response,
            f"{attempt.stem}.result.json": record,
            **attempt.recorder.files(),
        }
        if await self._run.files.write_all(files):
            await attempt.recorder.remove_line_file()


def _context(plan: Plan, task: Task) -> str:
    """What a task is told of others: its direct dependencies in full, earlier ancestors in a line."""
    blocks = []
    for dependency in task.dependencies:
        done = plan[dependency]
        if done.status == "complete":
            blocks.append(f"COMPLETED task {done.id} ({done.description}):\n{fence(_result(done), 'result')}")
    lines = [
        f"- task {ancestor.id} ({ancestor.description}): {ancestor.structured.summary}"
        for ancestor in plan.ancestors(task)
        if ancestor.status == "complete" and ancestor.structured is not None
    ]
    if lines:
        blocks.append("Earlier steps, in short:\n" + fence("\n".join(lines), "summaries"))
    return "\n\n---\n\n".join(blocks)


def _result(task: Task) -> str:
    """A cut in the middle of JSON helps nobody: then the summary goes in front of the note instead."""
    result = task.result or ""
    if not task.artifact_note or task.structured is None or result.lstrip()[:1] not in ("{", "["):
        return result
    return f"{task.structured.summary}\n\n{task.artifact_note}"
