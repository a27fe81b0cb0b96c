"""One task from dispatch to its final outcome: attempts, corrections, retries, files (``orchestration.md`` §13)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aura_py.errors import AuraError, ContextOverflow
from aura_py.events import TaskCompleted, TaskStarted
from aura_py.messages import Json, Message
from aura_py.orchestration.attempt import Attempt, AttemptResult
from aura_py.orchestration.failures import (
    AttemptTimeout,
    DepthExhausted,
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
from aura_py.orchestration.text import head
from aura_py.orchestration.traces import ArtifactRecord

logger = logging.getLogger(__name__)

MAX_RETRIES = 2
"""Further attempts after a failing provider, when nothing with side effects has happened (L8)."""
MIN_CORRECTION_TURNS = 3
LOOP_NOTE = "ended by the duplicate-call guard"
_PREVIEW = 100
_SUMMARY = 200


class TaskExecution:
    """Runs the tasks of one plan; every outcome lands in the plan and is told before :meth:`run` returns.

    ``ended`` is called after each, so that a process that is killed leaves what was done.
    """

    def __init__(self, run: OrchestrationRun, plan: Plan, iteration: int, ended: Callable[[], Awaitable[None]]) -> None:
        self._run, self._plan, self._iteration, self._ended = run, plan, iteration, ended
        self._began: dict[int, float] = {}

    def start(self, task_id: int) -> None:
        task = self._plan[task_id]
        task.start()
        self._began[task_id] = self._run.context.clock.monotonic()
        self._run.context.emit(
            TaskStarted(
                task_id=task.id,
                description=task.description,
                worker_id=self._worker_id(task),
                orchestrator_id=self._run.orchestrator_id,
                iteration=self._iteration,
                wave=task.wave,
            )
        )

    async def run(self, task_id: int) -> bool:
        task = self._plan[task_id]
        attempts = _Attempts(self._run, self._plan, task, self._iteration)
        try:
            await attempts.run()
        except Exception as error:
            logger.exception("task %d failed inside Aura", task.id)
            task.fail(f"Worker failed task {task.id}: {error_summary(error)}", "agent_error", attempts.best)
        clock = self._run.context.clock
        task.duration_ms = round((clock.monotonic() - self._began[task_id]) * 1000)
        if task.status == "failed":
            logger.warning("task %d failed (%s): %s", task.id, task.category, task.description[:_PREVIEW])
        self._run.context.emit(
            TaskCompleted(
                task_id=task.id,
                worker_id=self._worker_id(task),
                orchestrator_id=self._run.orchestrator_id,
                success=task.status == "complete",
                duration_ms=task.duration_ms,
                result=(task.result if task.status == "complete" else task.error) or "",
                iteration=self._iteration,
                wave=task.wave,
            )
        )
        await self._ended()
        return task.status == "complete"

    def _worker_id(self, task: Task) -> str:
        return task.worker or self._run.orchestrator_id


class _Attempts:
    def __init__(self, run: OrchestrationRun, plan: Plan, task: Task, iteration: int) -> None:
        self._run, self._plan, self._task, self._iteration = run, plan, task, iteration
        self._profile = run.team.profile(task.worker)
        self._began = run.context.clock.monotonic()
        self.best = ""
        """The longest text that any attempt has written."""
        self._prompt = run.prompts.render(
            "task", task=task.description, context=context_of(plan, task), artifacts=run.files.enabled
        )

    async def run(self) -> None:
        retries = 0
        history: tuple[Message, ...] = ()
        prompt, depth, forced = self._prompt, None, False
        while True:
            self._task.attempts += 1
            attempt = Attempt(
                self._run,
                self._profile,
                self._task,
                self._iteration,
                self._task.attempts,
                depth=depth,
                forced=forced,
            )
            try:
                end = await attempt.execute(history, prompt)
                if end.turn_limit and end.submission is None and not end.escalated:
                    raise DepthExhausted(f"worker `{self._profile.name or 'generic'}` reached its turn limit.")
            except WorkerUnavailable as error:
                self._task.fail(self._failure(error), "agent_error")
                return
            except AuraError as error:
                self._keep_text(attempt.text)
                response, result = attempt.text or "(error)", attempt.text or None
                await self._store(attempt, prompt, response, result=result, error=error.message)
                if not forced and retries < MAX_RETRIES and await self._may_retry(attempt, error, retries):
                    retries += 1
                    continue
                found = await self._shortened(self.best, attempt.number)
                self._task.fail(self._failure(error), failure_category(error), found)
                return
            self._keep_text(end.text)
            if end.submission is not None:
                await self._complete(attempt, prompt, end, end.submission)
                return
            if end.escalated:
                text = await self._shortened(self.best or "no text was written", attempt.number)
                await self._store(attempt, prompt, end.text, error="duplicate call loop")
                self._task.fail(f"Worker was blocked by a duplicate call loop. {text}", "loop_detected")
                return
            if forced:
                await self._give_up(attempt, prompt, end)
                return
            await self._store(attempt, prompt, end.text, error="no submission")
            turns = self._profile.turn_depth + 2 - end.turns
            history, depth, forced = end.conversation, max(MIN_CORRECTION_TURNS, turns) - 2, True
            prompt = self._run.prompts.render("submission")

    def _keep_text(self, text: str) -> None:
        if len(text.strip()) > len(self.best.strip()):
            self.best = text

    async def _complete(self, attempt: Attempt, prompt: str, end: AttemptResult, submission: Submission) -> None:
        confidence = "low" if end.escalated else submission.confidence
        if end.escalated:
            self._task.notes = (LOOP_NOTE,)
        logger.info(
            "task %d: submitted (%s confidence, %d characters): %s",
            self._task.id,
            confidence,
            len(submission.result),
            submission.summary,
        )
        result = await self._shortened(submission.result, attempt.number)
        structured = StructuredOutput(submission.summary, confidence)
        await self._store(attempt, prompt, submission.result, structured=structured)
        self._task.complete(result, structured)

    async def _give_up(self, attempt: Attempt, prompt: str, end: AttemptResult) -> None:
        text = await self._shortened(self.best, attempt.number)
        if self._profile.accept_unsubmitted and self.best:
            structured = StructuredOutput(self.best[:_SUMMARY], "low")
            await self._store(attempt, prompt, self.best, structured=structured)
            self._task.complete(text, structured)
            return
        logger.warning("task %d: ended without `submit_result`", self._task.id)
        await self._store(attempt, prompt, end.text, result=self.best)
        self._task.fail(text or "The worker did not call submit_result and wrote nothing.", "soft_failure")

    async def _may_retry(self, attempt: Attempt, error: AuraError, retries: int) -> bool:
        transient = failure_category(error) == "provider_overloaded" or is_stall(error)
        if not transient or isinstance(error, AttemptTimeout):
            return False
        if attempt.recorder is not None and attempt.recorder.changed_something:
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

    async def _shortened(self, text: str, attempt: int) -> str:
        """Long texts go into a file, if there are files; what travels on names it (§14)."""
        run, task = self._run, self._task
        settings = run.config.orchestration.artifacts
        if len(text) <= settings.result_artifact_threshold or not run.files.enabled:
            return text
        name = result_name(task.id, task.worker, self._iteration, attempt)
        if not await run.files.write(f"artifacts/{name}", text):
            return text
        size = len(text.encode("utf-8", "replace"))
        run.traces.of(self._iteration, task.id).artifacts.append(ArtifactRecord(name, size, "result"))
        logger.info("result of task %d is stored as `%s` (%d characters)", task.id, name, len(text))
        task.note = f"[Full result ({len(text)} chars) saved to artifact: {name}]"
        return f"{head(text, settings.result_summary_length)}\n\n{task.note}"

    async def _store(
        self,
        attempt: Attempt,
        prompt: str,
        response: str,
        *,
        structured: StructuredOutput | None = None,
        result: str | None = None,
        error: str | None = None,
    ) -> None:
        run = self._run
        if not run.files.enabled:
            return
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
        record["duration_ms"] = round((run.context.clock.monotonic() - self._began) * 1000)
        record["confidence"] = structured.confidence if structured is not None else None
        record["orchestrator_notes"] = None
        files: dict[str, str | Json] = {
            f"{attempt.stem}.prompt.txt": prompt,
            f"{attempt.stem}.response.txt": response,
            f"{attempt.stem}.result.json": record,
        }
        recorder = attempt.recorder
        if recorder is not None:
            files.update(recorder.files())
        if await run.files.write_all(files) and recorder is not None:
            await recorder.fold()


def context_of(plan: Plan, task: Task) -> str:
    """What a task is told of others: its direct dependencies in full, earlier ancestors in a line (§12, L16)."""
    blocks = []
    for dependency in task.dependencies:
        done = plan[dependency]
        if done.status == "complete":
            blocks.append(f"COMPLETED task {done.id} ({done.description}):\n{fence(_travelling(done), 'result')}")
    lines = [
        f"- task {ancestor.id} ({ancestor.description}): {ancestor.structured.summary}"
        for ancestor in plan.ancestors(task)
        if ancestor.status == "complete" and ancestor.structured is not None
    ]
    if lines:
        blocks.append("Earlier steps, in short:\n" + fence("\n".join(lines), "summaries"))
    return "\n\n---\n\n".join(blocks)


def _travelling(task: Task) -> str:
    """A cut in the middle of JSON helps nobody: then the summary goes in front of the note instead."""
    result = task.result or ""
    if not task.note or task.structured is None or result.lstrip()[:1] not in ("{", "["):
        return result
    return f"{task.structured.summary}\n\n{task.note}"
