"""Plan, execute, decide, again: the state machine of a run (``orchestration.md`` §11, §15–§18)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

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
from aura_py.messages import Json, Part, Usage
from aura_py.orchestration.coordinator import Coordinator, NoDecisionError, PartialAnswerError, PlanningCall
from aura_py.orchestration.decisions import Clarification, Decision, Direct, PlanDecision
from aura_py.orchestration.execution import TaskExecution
from aura_py.orchestration.failures import PROVIDER, error_summary
from aura_py.orchestration.manifest import PREVIEW, PhaseTimings, RunRecord
from aura_py.orchestration.plan import Plan, TaskStep
from aura_py.orchestration.planning_prompt import planning_prompt
from aura_py.orchestration.report import FailureRecord, Report, raw_results
from aura_py.orchestration.routing import Routes
from aura_py.orchestration.run import OrchestrationRun
from aura_py.orchestration.scheduler import Bounds, Node, Scheduler
from aura_py.orchestration.steps import make_plan
from aura_py.orchestration.text import ellipsis

logger = logging.getLogger(__name__)

REPLANS_SPENT = "Replan budget exhausted"
TIME_SPENT = "Time budget exhausted"
_FALLBACK_QUERY = 100
_CONVERTED_QUERY = 80
_QUOTE = 100


@dataclass(slots=True, frozen=True)
class Ending:
    """What the user gets. ``streamed`` text is already told; ``cut`` text ended in the middle."""

    text: str
    usage: Usage
    streamed: bool = False
    cut: bool = False


@dataclass(slots=True)
class Cycle:
    """One run from the first decision to its answer."""

    run_: OrchestrationRun
    coordinator: Coordinator
    record: RunRecord
    query: str
    attachments: tuple[Part, ...]
    usage: Callable[[], Usage]
    failures: list[FailureRecord] = field(default_factory=list)
    _planning_ms: int = 0
    _longest_call: float = 0.0
    _longest_wave: float = 0.0

    async def run(self) -> Ending:
        """Runs to the end.

        Raises:
            AuraError: The run has no answer; whatever was done is in the manifest.
        """
        try:
            decision = await self._first()
        except AuraError as error:
            self.record.answered, self.record.outcome = "failed", f"Planning failed: {error_summary(error)}"
            await self._manifest()
            raise
        while isinstance(decision, PlanDecision):
            plan, iteration = decision.plan, self.record.iterations + 1
            await self._execute(plan, iteration)
            following = await self._settle(plan, iteration)
            if isinstance(following, Ending):
                return following
            decision = following
        return await self._answer(decision)

    # --- the first decision (P) ------------------------------------------------------------------------------------

    async def _first(self) -> Decision:
        settings = self.run_.config.orchestration
        call = PlanningCall(
            phase="plan",
            prompt=planning_prompt(self.run_, self.query),
            routes=Routes(direct=settings.allow_direct_answers, clarify=settings.allow_clarification),
            iteration=1,
            query=self.query,
            begin=self._announce_answer if settings.allow_direct_answers else None,
            attachments=self.attachments,
            text_counts=settings.allow_direct_answers,
        )
        decision = self._permitted(await self._initial(call))
        if isinstance(decision, PlanDecision):
            self._announce(decision.plan, 1)
        elif isinstance(decision, Clarification):
            self.run_.context.emit(ClarificationNeeded(decision.question, decision.rationale, decision.options))
        elif not decision.streamed:
            self._announce_answer(decision)
        return decision

    async def _initial(self, call: PlanningCall) -> Decision:
        try:
            return await self._timed(call)
        except PartialAnswerError as broken:
            raise broken.error from broken
        except NoDecisionError as undecided:
            if undecided.transient is not None and not undecided.answered:
                raise _planning_failed(undecided.transient) from undecided
            logger.warning("no routing decision was made; the request becomes one task")
            text = f"Execute: {ellipsis(self.query, _FALLBACK_QUERY)}"
            return PlanDecision(
                self._one_task(text, "All routing attempts failed; the request is carried out as one task.")
            )
        except ContextOverflow as error:
            raise ContextOverflow(
                f"Planning exceeded the context limit. {self.run_.prompts.render('overflow', phase='planning')}",
                detail=error.detail,
            ) from error
        except AuraError as error:
            raise _planning_failed(error) from error

    def _permitted(self, decision: Decision) -> Decision:
        """A route that the file switches off becomes a task (§9.1)."""
        settings = self.run_.config.orchestration
        if isinstance(decision, Direct) and not settings.allow_direct_answers:
            text = f"Answer the user's query: {ellipsis(self.query, _CONVERTED_QUERY)}"
            why = f"`allow_direct_answers` is off. {decision.rationale} {ellipsis(decision.response, _QUOTE)}"
            return PlanDecision(self._one_task(text, why))
        if isinstance(decision, Clarification) and not settings.allow_clarification:
            text = f"Investigate and answer: {ellipsis(self.query, _CONVERTED_QUERY)}"
            why = f"`allow_clarification` is off. {decision.rationale} {ellipsis(decision.question, _QUOTE)}"
            return PlanDecision(self._one_task(text, why))
        return decision

    def _one_task(self, text: str, rationale: str) -> Plan:
        worker = self.run_.team.default_worker
        workers = (worker,) if worker is not None else ()
        return make_plan([TaskStep(text, worker)], goal=self.query, workers=workers, rationale=rationale)

    def _announce_answer(self, answer: Direct) -> None:
        self.run_.context.emit(DirectAnswer(answer.response, answer.rationale, answer.streamed))

    # --- execution (W) ---------------------------------------------------------------------------------------------

    def _announce(self, plan: Plan, iteration: int) -> None:
        self.run_.context.emit(
            PlanCreated(
                goal=plan.goal,
                tasks=tuple(task.description for task in plan),
                routing_mode="routed" if len(plan) == 1 else "orchestrated",
                routing_rationale=plan.rationale,
                planning_response=plan.summary,
                iteration=iteration,
                task_ids=tuple(task.id for task in plan),
                dependencies={task.id: task.dependencies for task in plan},
                waves={task.id: task.wave for task in plan},
            )
        )

    async def _execute(self, plan: Plan, iteration: int) -> None:
        run, settings = self.run_, self.run_.config.orchestration
        self.record.plans.append(plan)
        await run.files.write_all(
            {f"iteration-{iteration}/plan.json": plan.to_json(), "manifest.json": self._manifest_json()}
        )
        execution = TaskExecution(run, plan, iteration, self._manifest)
        clock = run.context.clock
        began = clock.monotonic()
        await Scheduler(
            [Node(task.id, task.dependencies, task.worker or "", task.wave) for task in plan],
            start=execution.start,
            run=execution.run,
            bounds=Bounds(settings.max_parallel_tasks, run.team.limits()),
            schedule=settings.schedule,
            may_start=lambda: run.time_left() != 0.0,
        ).run()
        took = clock.monotonic() - began
        self._longest_wave = max(self._longest_wave, took)
        self.record.timings = PhaseTimings(
            planning_ms=self._planning_ms,
            execution_ms=round(took * 1000),
            task_compute_ms=sum(task.duration_ms for task in plan),
            tool_ms=self.record.traces.tool_ms(iteration),
        )
        self.failures += [
            FailureRecord(
                task.description, task.error or "unknown", iteration, task.worker, task.category or "agent_error"
            )
            for task in plan.having("failed")
        ]
        await run.files.write_all(
            {f"iteration-{iteration}/plan.json": plan.to_json(), "manifest.json": self._manifest_json()}
        )

    # --- settle and decide (S, D) ----------------------------------------------------------------------------------

    async def _settle(self, plan: Plan, iteration: int) -> PlanDecision | Ending:
        run, settings = self.run_, self.run_.config.orchestration
        report = Report(
            iteration=iteration,
            max_cycles=settings.max_planning_cycles,
            plan=plan,
            traces=self.record.traces,
            failures=tuple(self.failures),
            summary_length=settings.artifacts.result_summary_length,
            show_reasoning=settings.artifacts.show_tool_reasoning_in_continuation,
        )
        dead = self._provider_failure(plan)
        if dead is not None:
            await self._manifest()
            raise _all_failed(dead, report)
        run.context.emit(Synthesizing(iteration))
        if run.time_left() == 0.0:
            return await self._raw(iteration, "The time for this request is used up.", TIME_SPENT)
        spent = self._spent(iteration)
        final = spent is not None
        closed: list[int] = []

        def begin(answer: Direct) -> None:
            self._announce_answer(answer)
            self._close_iteration(iteration, will_replan=False)
            closed.append(iteration)

        try:
            call = PlanningCall(
                phase="continue",
                prompt=run.prompts.render(
                    "continuation",
                    now=_now(run),
                    report=report.text(),
                    final=final,
                    clarification_allowed=settings.allow_clarification,
                ),
                routes=Routes(plan=not final, clarify=settings.allow_clarification, after_iteration=True),
                iteration=iteration,
                query=self.query,
                begin=begin,
                brief=report.brief(),
                final=final,
            )
            decision = await self._timed(call)
        except PartialAnswerError as broken:
            return await self._after_partial_answer(broken)
        except ContextOverflow:
            note = run.prompts.render("overflow", phase="continuation")
            return await self._raw(iteration, note, "Continuation exceeded the context limit")
        except NoDecisionError as undecided:
            return await self._raw(iteration, *_undecided(undecided))
        except AuraError as error:
            note = f"The coordinator could not sum up the results: {error_summary(error)}"
            return await self._raw(iteration, note, f"Continuation failed: {error_summary(error)}")
        if isinstance(decision, PlanDecision):
            spent = self._spent(iteration)
            if spent is not None:
                return await self._raw(iteration, _SPENT_NOTES[spent], spent)
            self._announce(decision.plan, iteration + 1)
            self._close_iteration(iteration, will_replan=True)
            run.context.emit(ReplanStarted(iteration + 1))
            return decision
        if isinstance(decision, Clarification):
            run.context.emit(ClarificationNeeded(decision.question, decision.rationale, decision.options))
        elif not decision.streamed:
            self._announce_answer(decision)
        if not closed:
            self._close_iteration(iteration, will_replan=False)
        return await self._answer(decision)

    def _provider_failure(self, plan: Plan) -> FailureRecord | None:
        """The failure that stands for all, when a new plan would meet the same dead provider (§15.2, L17)."""
        failed = plan.having("failed")
        if not failed or plan.having("complete") or any(task.category not in PROVIDER or task.found for task in failed):
            return None
        if not all(self.run_.team.profile(task.worker).shares_provider for task in failed):
            return None
        return self.failures[-len(failed)]

    def _spent(self, iteration: int) -> str | None:
        """Why no further plan can be carried out; cycles come first (§17)."""
        run = self.run_
        if iteration >= run.config.orchestration.max_planning_cycles:
            return REPLANS_SPENT
        left = run.time_left()
        if left is None:
            return None
        per_call = float(run.config.orchestration.timeouts.per_call_timeout_secs)
        return TIME_SPENT if (per_call or self._longest_call + self._longest_wave) > left else None

    def _close_iteration(self, iteration: int, *, will_replan: bool, reasoning: str | None = None) -> None:
        timings = self.record.timings or PhaseTimings(0, 0, 0, 0)
        self.run_.context.emit(
            IterationCompleted(
                iteration=iteration,
                will_replan=will_replan,
                planning_ms=timings.planning_ms,
                execution_ms=timings.execution_ms,
                task_compute_ms=timings.task_compute_ms,
                tool_ms=timings.tool_ms,
                reasoning=reasoning,
                blocked=self.record.plans[iteration - 1].blocked(),
            )
        )

    async def _timed(self, call: PlanningCall) -> Decision:
        clock = self.run_.context.clock
        began = clock.monotonic()
        try:
            return await self.coordinator.decide(call)
        finally:
            took = clock.monotonic() - began
            self._planning_ms, self._longest_call = round(took * 1000), max(self._longest_call, took)

    # --- endings (T) -----------------------------------------------------------------------------------------------

    async def _answer(self, decision: Direct | Clarification) -> Ending:
        if isinstance(decision, Clarification):
            self.record.answered = "clarification"
            text, streamed, cut = decision.question, False, False
        else:
            self.record.answered = "direct"
            text, streamed, cut = decision.response, decision.streamed, decision.cut
            self.record.response_summary = decision.summary
            if decision.summary is None and not self.record.plans:
                self.record.response_summary = text[:PREVIEW]
        await self._manifest()
        return Ending(text, self.usage(), streamed, cut)

    async def _raw(self, iteration: int, note: str, reasoning: str) -> Ending:
        self._close_iteration(iteration, will_replan=False, reasoning=reasoning)
        await self._manifest()
        return Ending(raw_results(note, self.record.plans), self.usage())

    async def _after_partial_answer(self, broken: PartialAnswerError) -> Ending:
        """The answer broke off in mid-stream: say so, and hand over the results themselves."""
        note = f"\n\n---\n\nThe answer broke off here: {error_summary(broken.error)}"
        rest = raw_results(note, self.record.plans)
        self.run_.context.emit(TextDelta(rest))
        await self._manifest()
        return Ending(broken.sent_text + rest, self.usage(), streamed=True)

    def _manifest_json(self) -> dict[str, Json]:
        self.record.usage = self.usage()
        return self.record.to_json(self.run_.context.clock.now())

    async def _manifest(self) -> None:
        await self.run_.files.write_json("manifest.json", self._manifest_json())


_SPENT_NOTES = {
    REPLANS_SPENT: "A further plan would have been needed, but the number of planning cycles is used up.",
    TIME_SPENT: "A further plan would have been needed, but the time for this request does not allow it.",
}


def _undecided(undecided: NoDecisionError) -> tuple[str, str]:
    if undecided.transient is not None:
        cause = error_summary(undecided.transient)
        if isinstance(undecided.transient, RunTimeout):
            return f"The coordinator did not answer in time: {cause}", f"Continuation timed out: {cause}"
        return f"The coordinator could not be asked: {cause}", f"Continuation failed: {cause}"
    return "The coordinator did not decide how to go on.", "All post-execute attempts failed to route"


def _planning_failed(error: AuraError) -> AuraError:
    """The same error with a sentence that says where it happened."""
    message = f"Planning failed: {error_summary(error)}"
    if isinstance(error, ProviderError):
        status, wish = error.provider_status, error.retry_after
        return type(error)(message, detail=error.detail, provider_status=status, retry_after=wish)
    return type(error)(message, detail=error.detail)


def _all_failed(failure: FailureRecord, report: Report) -> AuraError:
    kinds = {"provider_auth_error": ProviderAuthError, "provider_not_found": ProviderNotFound}
    kind = kinds.get(failure.category, ProviderOverloaded)
    return kind(
        "All tasks failed because of the model's provider, which a new plan cannot mend.\n\n"
        + report.execution_summary()
    )


def _now(run: OrchestrationRun) -> str:
    return run.context.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
