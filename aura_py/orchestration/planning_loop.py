"""Plan, execute, decide, again: from the first decision of a run to its answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from aura_py.errors import (
    AuraError,
    ContextOverflow,
    ProviderAuthError,
    ProviderError,
    ProviderNotFound,
    ProviderOverloaded,
    RunTimeout,
)
from aura_py.events import (
    ClarificationNeeded,
    DirectAnswer,
    IterationCompleted,
    PlanCreated,
    ReplanStarted,
    Synthesizing,
    TextDelta,
)
from aura_py.messages import Message, Part, TextPart
from aura_py.orchestration.coordinator import Coordinator, NoDecisionError, PartialAnswerError, PlanningCall
from aura_py.orchestration.coordinator_setup import planning_prompt, timestamp
from aura_py.orchestration.failures import PROVIDER_FAILURES, error_summary
from aura_py.orchestration.manifest import PREVIEW, manifest_json
from aura_py.orchestration.plan import Plan, Task, TaskStep
from aura_py.orchestration.plan_reader import make_plan
from aura_py.orchestration.report import Report, raw_results
from aura_py.orchestration.routing import ClarificationDecision, Decision, DirectDecision, PlanDecision, Routes
from aura_py.orchestration.run import OrchestrationRun, PhaseTimings
from aura_py.orchestration.scheduler import Bounds, Scheduler
from aura_py.orchestration.task_execution import TaskExecution
from aura_py.orchestration.text import ellipsis

logger = logging.getLogger(__name__)

_CYCLES_SPENT = "Replan budget exhausted"
_TIME_SPENT = "Time budget exhausted"
_SPENT_NOTES = {
    _CYCLES_SPENT: "A further plan would have been needed, but the number of planning cycles is used up.",
    _TIME_SPENT: "A further plan would have been needed, but the time for this request does not allow it.",
}
_FALLBACK_QUERY = 100
_CONVERTED_QUERY = 80
_QUOTE = 100


@dataclass(slots=True, frozen=True)
class FinalAnswer:
    """What the user gets. ``streamed`` text is already sent; ``cut`` text ended in the middle."""

    text: str
    streamed: bool = False
    cut: bool = False


class PlanningLoop:
    """Takes one run from its first decision to its answer.

    Args:
        messages: The client's conversation; what is not text in the user's last message goes to the first planning
            call.
    """

    def __init__(self, run: OrchestrationRun, coordinator: Coordinator, messages: Sequence[Message]) -> None:
        self._run, self._coordinator = run, coordinator
        self._attachments = _attachments(messages)
        self._planning_ms = 0
        self._longest_call = 0.0
        self._longest_execution = 0.0

    async def run(self) -> FinalAnswer:
        """Runs to the end.

        Raises:
            AuraError: The run has no answer; whatever was done is in the manifest.
        """
        try:
            decision = await self._decide_first()
        except AuraError as error:
            self._run.answered, self._run.outcome = "failed", f"Planning failed: {error_summary(error)}"
            await self.save_manifest()
            raise
        while isinstance(decision, PlanDecision):
            plan, iteration = decision.plan, self._run.iterations + 1
            await self._execute(plan, iteration)
            following = await self._decide_next(plan, iteration)
            if isinstance(following, FinalAnswer):
                return following
            decision = following
        return await self._answer(decision)

    async def save_manifest(self) -> None:
        await self._run.files.write("manifest.json", manifest_json(self._run))

    # --- the first decision ----------------------------------------------------------------------------------------

    async def _decide_first(self) -> Decision:
        settings = self._run.config.orchestration
        call = PlanningCall(
            phase="plan",
            prompt=planning_prompt(self._run),
            routes=Routes(direct=settings.allow_direct_answers, clarify=settings.allow_clarification),
            iteration=1,
            begin=self._announce_answer if settings.allow_direct_answers else None,
            attachments=self._attachments,
            text_counts=settings.allow_direct_answers,
        )
        decision = self._permitted(await self._first_or_fallback(call))
        if isinstance(decision, PlanDecision):
            self._announce_plan(decision.plan, 1)
        else:
            self._announce(decision)
        return decision

    async def _first_or_fallback(self, call: PlanningCall) -> Decision:
        try:
            return await self._decide(call)
        except PartialAnswerError as partial:
            raise partial.error from partial
        except NoDecisionError as undecided:
            if undecided.transient is not None and not undecided.answered:
                raise _planning_failed(undecided.transient) from undecided
            logger.warning("no routing decision was made; the request becomes one task")
            text = f"Execute: {ellipsis(self._run.query, _FALLBACK_QUERY)}"
            return self._one_task(text, "All routing attempts failed; the request is carried out as one task.")
        except ContextOverflow as error:
            raise ContextOverflow(
                f"Planning exceeded the context limit. {self._run.prompts.render('overflow', phase='planning')}",
                detail=error.detail,
            ) from error
        except AuraError as error:
            raise _planning_failed(error) from error

    def _permitted(self, decision: Decision) -> Decision:
        """A route that the file switches off becomes a task."""
        settings, query = self._run.config.orchestration, ellipsis(self._run.query, _CONVERTED_QUERY)
        if isinstance(decision, DirectDecision) and not settings.allow_direct_answers:
            why = f"`allow_direct_answers` is off. {decision.rationale} {ellipsis(decision.response, _QUOTE)}"
            return self._one_task(f"Answer the user's query: {query}", why)
        if isinstance(decision, ClarificationDecision) and not settings.allow_clarification:
            why = f"`allow_clarification` is off. {decision.rationale} {ellipsis(decision.question, _QUOTE)}"
            return self._one_task(f"Investigate and answer: {query}", why)
        return decision

    def _one_task(self, text: str, rationale: str) -> PlanDecision:
        worker = self._run.team.default_worker
        workers = (worker,) if worker is not None else ()
        return PlanDecision(
            make_plan([TaskStep(text, worker)], goal=self._run.query, workers=workers, rationale=rationale)
        )

    async def _decide(self, call: PlanningCall) -> Decision:
        clock = self._run.context.clock
        began = clock.monotonic()
        try:
            return await self._coordinator.decide(call)
        finally:
            took = clock.monotonic() - began
            self._planning_ms, self._longest_call = round(took * 1000), max(self._longest_call, took)

    # --- execution -------------------------------------------------------------------------------------------------

    async def _execute(self, plan: Plan, iteration: int) -> None:
        run, settings, clock = self._run, self._run.config.orchestration, self._run.context.clock
        run.plans.append(plan)
        await self._save_plan(plan, iteration)
        began = clock.monotonic()
        executions = {task.id: TaskExecution(run, plan, task, iteration, self.save_manifest) for task in plan}
        await Scheduler(
            plan.tasks,
            start=lambda task_id: executions[task_id].start(),
            run=lambda task_id: executions[task_id].run(),
            bounds=Bounds(settings.max_parallel_tasks, run.team.max_parallel_tasks()),
            schedule=settings.schedule,
            may_start=lambda: run.time_left() != 0.0,
        ).run()
        took = clock.monotonic() - began
        self._longest_execution = max(self._longest_execution, took)
        run.timings = PhaseTimings(
            planning_ms=self._planning_ms,
            execution_ms=round(took * 1000),
            task_compute_ms=sum(task.duration_ms for task in plan),
            tool_ms=sum(task.trace.tool_ms for task in plan),
        )
        await self._save_plan(plan, iteration)

    async def _save_plan(self, plan: Plan, iteration: int) -> None:
        await self._run.files.write_all(
            {f"iteration-{iteration}/plan.json": plan.to_json(), "manifest.json": manifest_json(self._run)}
        )

    # --- the next decision -----------------------------------------------------------------------------------------

    async def _decide_next(self, plan: Plan, iteration: int) -> PlanDecision | FinalAnswer:
        run, settings = self._run, self._run.config.orchestration
        report = Report(run, plan, iteration)
        unrecoverable = self._provider_failure(plan)
        if unrecoverable is not None:
            await self.save_manifest()
            raise _all_failed(unrecoverable, report)
        run.context.emit(Synthesizing(iteration))
        if run.time_left() == 0.0:
            return await self._raw(iteration, "The time for this request is used up.", _TIME_SPENT)
        final = self._spent(iteration) is not None
        closed = False

        # an answer that is streamed ends the iteration before its first text is sent
        def begin(answer: DirectDecision) -> None:
            nonlocal closed
            closed = True
            self._announce_answer(answer)
            self._close_iteration(iteration, will_replan=False)

        try:
            call = PlanningCall(
                phase="continue",
                prompt=run.prompts.render(
                    "continuation",
                    now=timestamp(run),
                    report=report.text(),
                    final=final,
                    clarification_allowed=settings.allow_clarification,
                ),
                routes=Routes(plan=not final, clarify=settings.allow_clarification, after_iteration=True),
                iteration=iteration,
                begin=begin,
                brief=report.brief(),
                final=final,
            )
            decision = await self._decide(call)
        except PartialAnswerError as partial:
            return await self._after_partial_answer(partial)
        except ContextOverflow:
            note = run.prompts.render("overflow", phase="continuation")
            return await self._raw(iteration, note, "Continuation exceeded the context limit")
        except NoDecisionError as undecided:
            return await self._raw(iteration, *_why_undecided(undecided))
        except AuraError as error:
            note = f"The coordinator could not sum up the results: {error_summary(error)}"
            return await self._raw(iteration, note, f"Continuation failed: {error_summary(error)}")
        if isinstance(decision, PlanDecision):
            spent = self._spent(iteration)  # again: the decision itself has taken time
            if spent is not None:
                return await self._raw(iteration, _SPENT_NOTES[spent], spent)
            self._announce_plan(decision.plan, iteration + 1)
            self._close_iteration(iteration, will_replan=True)
            run.context.emit(ReplanStarted(iteration + 1))
            return decision
        self._announce(decision)
        if not closed:
            self._close_iteration(iteration, will_replan=False)
        return await self._answer(decision)

    def _provider_failure(self, plan: Plan) -> Task | None:
        """The failed task that stands for all, when a new plan would meet the same dead provider."""
        failed = plan.having("failed")
        if not failed or plan.having("complete"):
            return None
        profiles = (self._run.team.profile(task.worker) for task in failed)
        unrecoverable = all(task.category in PROVIDER_FAILURES and not task.partial_result for task in failed)
        return failed[0] if unrecoverable and all(profile.shares_provider for profile in profiles) else None

    def _spent(self, iteration: int) -> str | None:
        """Why no further plan can be carried out; the number of cycles is looked at first."""
        settings, left = self._run.config.orchestration, self._run.time_left()
        if iteration >= settings.max_planning_cycles:
            return _CYCLES_SPENT
        if left is None:
            return None
        needed = float(settings.timeouts.per_call_timeout_secs) or self._longest_call + self._longest_execution
        return _TIME_SPENT if needed > left else None

    # --- events ----------------------------------------------------------------------------------------------------

    def _announce(self, decision: DirectDecision | ClarificationDecision) -> None:
        if isinstance(decision, ClarificationDecision):
            self._run.context.emit(ClarificationNeeded(decision.question, decision.rationale, decision.options))
        elif not decision.streamed:
            self._announce_answer(decision)

    def _announce_answer(self, answer: DirectDecision) -> None:
        self._run.context.emit(DirectAnswer(answer.response, answer.rationale, answer.streamed))

    def _announce_plan(self, plan: Plan, iteration: int) -> None:
        self._run.context.emit(
            PlanCreated(
                goal=plan.goal,
                tasks=tuple(task.description for task in plan),
                routing_mode=plan.routing_mode,
                routing_rationale=plan.rationale,
                planning_response=plan.summary,
                iteration=iteration,
                task_ids=tuple(task.id for task in plan),
                dependencies={task.id: task.dependencies for task in plan},
                waves={task.id: task.wave for task in plan},
            )
        )

    def _close_iteration(self, iteration: int, *, will_replan: bool, reasoning: str | None = None) -> None:
        timings = self._run.timings or PhaseTimings(0, 0, 0, 0)
        self._run.context.emit(
            IterationCompleted(
                iteration=iteration,
                will_replan=will_replan,
                planning_ms=timings.planning_ms,
                execution_ms=timings.execution_ms,
                task_compute_ms=timings.task_compute_ms,
                tool_ms=timings.tool_ms,
                reasoning=reasoning,
                blocked=self._run.plans[iteration - 1].blocked(),
            )
        )

    # --- answers ---------------------------------------------------------------------------------------------------

    async def _answer(self, decision: DirectDecision | ClarificationDecision) -> FinalAnswer:
        run = self._run
        if isinstance(decision, ClarificationDecision):
            run.answered = "clarification"
            answer = FinalAnswer(decision.question)
        else:
            run.answered = "direct"
            run.response_summary = decision.summary
            if decision.summary is None and not run.plans:
                run.response_summary = decision.response[:PREVIEW]
            answer = FinalAnswer(decision.response, decision.streamed, decision.cut)
        await self.save_manifest()
        return answer

    async def _raw(self, iteration: int, note: str, reasoning: str) -> FinalAnswer:
        self._close_iteration(iteration, will_replan=False, reasoning=reasoning)
        await self.save_manifest()
        return FinalAnswer(raw_results(note, self._run.plans))

    async def _after_partial_answer(self, partial: PartialAnswerError) -> FinalAnswer:
        """The answer broke off in mid-stream: say so, and hand over the results themselves."""
        note = f"\n\n---\n\nThe answer broke off here: {error_summary(partial.error)}"
        rest = raw_results(note, self._run.plans)
        self._run.context.emit(TextDelta(rest))
        await self.save_manifest()
        return FinalAnswer(partial.sent_text + rest, streamed=True)


def _attachments(messages: Sequence[Message]) -> tuple[Part, ...]:
    asked = next((message for message in reversed(messages) if message.role == "user"), None)
    return () if asked is None else tuple(part for part in asked.content if not isinstance(part, TextPart))


def _why_undecided(undecided: NoDecisionError) -> tuple[str, str]:
    if undecided.transient is None:
        return "The coordinator did not decide how to go on.", "All post-execute attempts failed to route"
    cause = error_summary(undecided.transient)
    if isinstance(undecided.transient, RunTimeout):
        return f"The coordinator did not answer in time: {cause}", f"Continuation timed out: {cause}"
    return f"The coordinator could not be asked: {cause}", f"Continuation failed: {cause}"


def _planning_failed(error: AuraError) -> AuraError:
    """The same error with a sentence that says where it happened."""
    message = f"Planning failed: {error_summary(error)}"
    if isinstance(error, ProviderError):
        status, wish = error.provider_status, error.retry_after
        return type(error)(message, detail=error.detail, provider_status=status, retry_after=wish)
    return type(error)(message, detail=error.detail)


def _all_failed(failed: Task, report: Report) -> AuraError:
    kinds = {"provider_auth_error": ProviderAuthError, "provider_not_found": ProviderNotFound}
    kind = kinds.get(failed.category or "", ProviderOverloaded)
    return kind(
        "All tasks failed because of the model's provider, which a new plan cannot mend.\n\n"
        + report.execution_summary()
    )
