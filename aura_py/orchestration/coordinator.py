"""The coordinator: one conversation per run, planning calls that end in a decision (``orchestration.md`` §4, §8)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal

from anyio import to_thread

from aura_py.agent.loop import Conversation, LoopSpec
from aura_py.errors import AuraError
from aura_py.events import Event, ModelCallCompleted, ReasoningDelta, TextDelta
from aura_py.llm.contract import CallInfo, ChatModel, ToolChoice
from aura_py.messages import Message, Part, TextPart, ToolCall, assistant
from aura_py.orchestration.answer_stream import AnswerStream
from aura_py.orchestration.deadline import DeadlineExceeded, run_with_timeout
from aura_py.orchestration.decisions import Decision, DecisionSlot, Direct, PlanDecision, decision_json
from aura_py.orchestration.event_mapper import COORDINATOR_SHOWN, EventMapper
from aura_py.orchestration.failures import (
    TRANSIENT,
    AttemptTimeout,
    DepthExhausted,
    failure_category,
    pause_before_retry,
)
from aura_py.orchestration.routing import PLAN, RESPOND, Routes, route_in_text, routing_tools
from aura_py.orchestration.run import OrchestrationRun
from aura_py.orchestration.steps import InvalidPlanError, read_plan
from aura_py.tokens import counter_for
from aura_py.tools.contract import CallContext, Tool, ToolOutcome, success
from aura_py.tools.runner import ToolRunner, parse_arguments
from aura_py.tools.toolset import Toolset

logger = logging.getLogger(__name__)

DEPTH = 6
CROWDED = 0.8
_UNKNOWN_HINT = "Workers and their tools are used through `create_plan`."
_ONLY_TEXT = "You wrote text instead of calling a routing tool."


@dataclass(slots=True, frozen=True)
class PlanningCall:
    """One request that must end in a decision. ``attachments`` are parts of the user's message that are not text.

    ``begin`` is called when a streamed answer starts, with what is known of it; ``None`` forbids streaming. ``brief``
    replaces the prompt in the conversation when it grows too long.
    """

    phase: Literal["plan", "continue"]
    prompt: str
    routes: Routes
    iteration: int
    query: str
    begin: Callable[[Direct], None] | None = None
    attachments: tuple[Part, ...] = ()
    brief: str = ""
    final: bool = False
    text_counts: bool = True
    """On the last attempt a text without a call counts as the answer (§9.3)."""


class NoDecisionError(Exception):
    """All attempts ended without a decision. ``transient`` is how the provider failed in the last one, and
    ``answered`` says that it had not failed in all of them."""

    def __init__(self, transient: AuraError | None, *, answered: bool) -> None:
        super().__init__("no routing decision was made")
        self.transient, self.answered = transient, answered


class PartialAnswerError(Exception):
    """The model failed after part of its answer had been sent."""

    def __init__(self, error: AuraError, sent_text: str) -> None:
        super().__init__(error.message)
        self.error, self.sent_text = error, sent_text


@dataclass(slots=True)
class _Entry:
    message: Message
    brief: str = ""


class Coordinator:
    """Decides, again and again, within one growing conversation.

    Args:
        system: The composed system prompt; never changes within a run.
        history: The client's own messages, without the one that is asked now.
        tools: Everything but the routing tools.
    """

    def __init__(
        self, run: OrchestrationRun, model: ChatModel, *, system: str, history: Sequence[Message], tools: Sequence[Tool]
    ) -> None:
        self._run, self._model = run, model
        self._system, self._tools = system, tuple(tools)
        self._history = tuple(history)
        self._said: list[_Entry] = []
        self._model_calls = 0
        self.planning_file = 0

    async def decide(self, call: PlanningCall) -> Decision:
        """Runs up to ``max_plan_parse_retries`` attempts.

        Raises:
            NoDecisionError: None of them decided.
            PartialAnswerError: The model failed in the middle of a streamed answer.
            AuraError: The model failed in a way that asking again will not mend.
        """
        attempts = max(1, self._run.config.orchestration.max_plan_parse_retries)
        reasons: list[str] | None = None
        failure: AuraError | None = None
        for number in range(1, attempts + 1):
            prompt = call.prompt if reasons is None else self._correction(call, reasons)
            attempt = _PlanningAttempt(self, call, prompt, forced=number > 1)
            try:
                await attempt.run(number, attempts)
            except AuraError as error:
                if attempt.sent_text is not None:
                    raise PartialAnswerError(error, attempt.sent_text) from error
                if failure_category(error) not in TRANSIENT:
                    raise
                failure = error
                if number == attempts or not await self._pause(error, number):
                    break
                continue
            decision = attempt.slot.decision
            plain = attempt.text.strip() and not attempt.route_in_text
            if decision is None and number == attempts and call.text_counts and plain:
                decision = Direct(attempt.text, "text answer")
            self._remember(call, prompt, attempt, decision, first=reasons is None)
            await self._store(call, prompt, attempt, decision)
            if decision is not None:
                return decision
            failure = None
            reasons = attempt.slot.faults or [_ONLY_TEXT]
        raise NoDecisionError(failure, answered=reasons is not None)

    # --- conversation ----------------------------------------------------------------------------------------------

    async def messages(self, prompt: str, attachments: tuple[Part, ...]) -> tuple[Message, ...]:
        asked = Message("user", (TextPart(prompt), *attachments))
        if self._model.context_window:
            await to_thread.run_sync(self._make_room, prompt)  # it counts tokens
        return (*self._history, *(entry.message for entry in self._said), asked)

    def next_call(self) -> int:
        return self._model_calls + 1

    def count_call(self) -> None:
        self._model_calls += 1

    def _remember(
        self, call: PlanningCall, prompt: str, attempt: _PlanningAttempt, decision: Decision | None, *, first: bool
    ) -> None:
        said = attempt.text or (decision_json(decision) if decision is not None else "")
        self._said.append(
            _Entry(
                Message("user", (TextPart(prompt), *(call.attachments if first else ()))), call.brief if first else ""
            )
        )
        self._said.append(_Entry(assistant(said or "(no decision)")))

    def _make_room(self, prompt: str) -> None:
        """Over 80 % of the window the oldest reports shrink to their outcome (L18)."""
        window = self._model.context_window
        if not window:
            return
        counter = counter_for(self._model.provider, self._model.model)
        limit = int(window * CROWDED)
        fixed = self._system + prompt + "".join(message.text for message in self._history)
        for entry in self._said:
            if not counter.exceeds(fixed + "".join(e.message.text for e in self._said), limit):
                return
            if entry.brief and entry.message.text != entry.brief:
                entry.message = Message("user", (TextPart(entry.brief),))

    def _correction(self, call: PlanningCall, reasons: Sequence[str]) -> str:
        return self._run.prompts.render(
            "correction", reasons=reasons, after_iteration=call.phase == "continue", final=call.final
        )

    async def _pause(self, error: AuraError, number: int) -> bool:
        context = self._run.context
        pause = pause_before_retry(error, number, self._run.time_left(), context.random)
        if pause is None:
            return False
        logger.info("planning call failed (%s); next attempt in %.1f s", error.message, pause)
        await context.clock.sleep(pause)
        return True

    async def _store(
        self, call: PlanningCall, prompt: str, attempt: _PlanningAttempt, decision: Decision | None
    ) -> None:
        if not self._run.files.enabled:
            return
        response = decision_json(decision) if decision is not None else attempt.text
        await self._run.files.write_all(
            {
                f"{attempt.stem}.prompt.txt": prompt,
                f"{attempt.stem}.response.txt": response,
            }
        )


@dataclass(slots=True)
class _PlanningAttempt:
    owner: Coordinator
    call: PlanningCall
    prompt: str
    forced: bool
    slot: DecisionSlot = field(default_factory=DecisionSlot)
    text: str = ""
    route_in_text: bool = False
    """A decision was written as text, which is no answer for the user even if it cannot be carried out."""
    sent_text: str | None = None
    stem: str = ""

    async def run(self, number: int, attempts: int) -> None:
        owner, call, run = self.owner, self.call, self.owner._run
        owner.planning_file += 1
        self.stem = f"iteration-{call.iteration}/planning-{owner.planning_file}"
        stream = AnswerStream(
            call.begin or (lambda _answer: None),
            lambda text: run.context.emit(TextDelta(text)),
            allowed=call.begin is not None and (call.routes.direct or call.routes.after_iteration),
        )
        event_mapper = EventMapper(run.context.emit, "main", iteration=call.iteration, shown=COORDINATOR_SHOWN)
        workers = run.team.names
        routing = routing_tools(call.routes, self.slot, query=call.query, workers=workers)
        runner = _RoutingRunner(Toolset((*routing, *owner._tools)), self.slot, stream, call, workers)
        conversation = await self._conversation(runner, stream, event_mapper)
        await run.journal.entry(
            f"Planning (Iteration {call.iteration}, Attempt {number}/{attempts})",
            run.context.clock.now(),
            system=owner._system,
            history=conversation_history(owner),
            prompt=self.prompt,
            tools=[*(tool.name for tool in owner._tools), *call.routes.names],
            response_file=f"{self.stem}.response.txt",
        )
        seconds = run.config.orchestration.timeouts.per_call_timeout_secs
        allowed = run.bounded(seconds)
        try:
            await run_with_timeout(run.context.clock, allowed, lambda: _consume(conversation, event_mapper))
        except DeadlineExceeded:
            limit = f"timed out after {seconds}s" if allowed == seconds else "was stopped: the request's time is up"
            raise AttemptTimeout(f"{_PHASES[call.phase]} {limit}.") from None
        finally:
            self.sent_text = stream.sent.text if stream.sent is not None else None
            event_mapper.close()
        self.text = conversation.result.answer
        ended = conversation.result
        written = route_in_text(self.text) if self.slot.decision is None else None
        if written is not None:
            self.route_in_text = True
            await runner.run(written, CallContext(run.context, written.id, emit=lambda _event: None))
        if self.slot.decision is None and (ended.turn_limit or (ended.turns >= DEPTH + 2 and not self.text.strip())):
            raise DepthExhausted("the coordinator reached its turn limit without a routing decision.")
        decision = self.slot.decision
        if isinstance(decision, Direct) and stream.sent is not None:
            self.slot.decision = replace(decision, response=stream.finish(decision.response), streamed=True)

    async def _conversation(self, runner: ToolRunner, stream: AnswerStream, event_mapper: EventMapper) -> Conversation:
        owner, call, run = self.owner, self.call, self.owner._run

        def emit(event: Event) -> None:
            if isinstance(event, ModelCallCompleted):
                owner.count_call()
            event_mapper(event)

        def choose(_turn: int) -> ToolChoice:
            return "required" if self.forced else "auto"

        spec = LoopSpec(
            model=owner._model,
            system=owner._system,
            runner=runner,
            turn_depth=DEPTH,
            info=CallInfo("coordinator", run.config.agent.name, phase=call.phase, call=owner.next_call()),
            tool_choice=choose,
            done=lambda: self.slot.taken,
            last_turn_tools=call.routes.names,
            last_turn_note="This is your last turn. Call one of the routing tools now.",
            on_fragments=stream.fragments,
            serial=True,
            inactivity_timeout=float(run.config.orchestration.timeouts.stream_inactivity_timeout_secs) or None,
            agent_id="coordinator",
            iteration=call.iteration,
        )
        messages = await owner.messages(self.prompt, call.attachments)
        return Conversation(spec, messages, replace(run.context, emit=emit))


class _RoutingRunner(ToolRunner):
    """Decides what a plain runner cannot: answers that are already told, and plans asked for when none is offered."""

    def __init__(
        self,
        toolset: Toolset,
        slot: DecisionSlot,
        stream: AnswerStream,
        call: PlanningCall,
        workers: tuple[str, ...],
    ) -> None:
        super().__init__(toolset, unknown_tool_hint=_UNKNOWN_HINT)
        self._slot, self._stream, self._call, self._workers = slot, stream, call, workers

    async def run(self, call: ToolCall, context: CallContext) -> ToolOutcome:
        if call.name == PLAN and not self._call.routes.plan and not self._slot.taken:
            refused = self._late_plan(call)
            if refused is not None:
                return refused
        outcome = await super().run(call, context)
        told = self._stream.sent
        if call.name == RESPOND and not outcome.ok and told is not None and not self._slot.taken:
            # an answer that is whole and lacks only its reason was not cut
            self._slot.offer(Direct(told.text, told.rationale, cut=isinstance(parse_arguments(call.arguments), str)))
        return outcome

    def _late_plan(self, call: ToolCall) -> ToolOutcome | None:
        arguments = parse_arguments(call.arguments)
        if isinstance(arguments, str):
            return None
        try:
            plan = read_plan(arguments, query=self._call.query, workers=self._workers)
        except InvalidPlanError:
            return None
        self._slot.offer(PlanDecision(plan))
        return success("The plan is recorded, but cannot be carried out any more.")


_PHASES = {"plan": "planning", "continue": "continuation"}


async def _consume(conversation: Conversation, event_mapper: EventMapper) -> None:
    async with aclosing(conversation.run()) as events:
        async for batch in events:
            for event in batch:
                if isinstance(event, ReasoningDelta):
                    event_mapper(event)


def conversation_history(owner: Coordinator) -> tuple[Message, ...]:
    return (*owner._history, *(entry.message for entry in owner._said))
