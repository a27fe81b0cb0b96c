"""The coordinator: one conversation per run, planning calls that end in a decision."""

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
from aura_py.llm.contract import CallInfo, ChatModel
from aura_py.messages import Message, Part, TextPart, ToolCall, assistant
from aura_py.orchestration.answer_stream import AnswerStream
from aura_py.orchestration.event_mapper import COORDINATOR_SHOWN, EventMapper
from aura_py.orchestration.failures import (
    TRANSIENT_FAILURES,
    TurnLimitError,
    failure_category,
    pause_before_retry,
)
from aura_py.orchestration.plan_reader import InvalidDecisionError, read_plan
from aura_py.orchestration.routing import (
    PLAN,
    RESPOND,
    Decision,
    DecisionSlot,
    DirectDecision,
    PlanDecision,
    Routes,
    decision_json,
    route_in_text,
    routing_tools,
)
from aura_py.orchestration.run import OrchestrationRun
from aura_py.tokens import counter_for
from aura_py.tools.contract import CallContext, Tool, ToolOutcome, success
from aura_py.tools.runner import ToolRunner, parse_arguments
from aura_py.tools.toolset import Toolset

logger = logging.getLogger(__name__)

TURN_DEPTH = 6
_CROWDED = 0.8
"""The share of the context window from which on old reports are shortened."""
_UNKNOWN_HINT = "Workers and their tools are used through `create_plan`."
_ONLY_TEXT = "You wrote text instead of calling a routing tool."
_PHASES = {"plan": "planning", "continue": "continuation"}


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
    begin: Callable[[DirectDecision], None] | None = None
    attachments: tuple[Part, ...] = ()
    brief: str = ""
    final: bool = False
    text_counts: bool = True
    """On the last attempt a text without a call counts as the answer."""


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


@dataclass(slots=True)
class _Attempt:
    """One attempt at a planning call and what came of it. ``stem`` is the beginning of its files' names."""

    call: PlanningCall
    prompt: str
    stem: str
    forced: bool
    slot: DecisionSlot = field(default_factory=DecisionSlot)
    text: str = ""
    route_in_text: bool = False
    """A decision was written as text, which is no answer for the user even if it cannot be carried out."""
    sent_text: str | None = None


class Coordinator:
    """Decides, again and again, within one growing conversation.

    Args:
        system: The composed system prompt; never changes within a run.
        history: The client's own messages, without the one that is asked now.
        tools: Everything but the routing tools.
    """

    def __init__(
        self,
        run: OrchestrationRun,
        model: ChatModel,
        *,
        system: str,
        history: Sequence[Message],
        tools: Sequence[Tool],
    ) -> None:
        self._run, self._model = run, model
        self._system, self._tools = system, tuple(tools)
        self._history = tuple(history)
        self._entries: list[_Entry] = []
        self._attempts = 0
        self._model_calls = 0

    async def decide(self, call: PlanningCall) -> Decision:
        """Makes up to ``max_plan_parse_retries`` attempts.

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
            self._attempts += 1
            stem = f"iteration-{call.iteration}/planning-{self._attempts}"
            attempt = _Attempt(call, prompt, stem, forced=number > 1)
            try:
                await self._execute(attempt, f"Attempt {number}/{attempts}")
            except AuraError as error:
                if attempt.sent_text is not None:
                    raise PartialAnswerError(error, attempt.sent_text) from error
                if failure_category(error) not in TRANSIENT_FAILURES:
                    raise
                failure = error
                if number == attempts or not await self._pause(error, number):
                    break
                continue
            decision = attempt.slot.decision
            plain = attempt.text.strip() and not attempt.route_in_text
            if decision is None and number == attempts and call.text_counts and plain:
                decision = DirectDecision(attempt.text, "text answer")
            await self._remember(attempt, decision, first=reasons is None)
            if decision is not None:
                return decision
            failure = None
            reasons = attempt.slot.faults or [_ONLY_TEXT]
        raise NoDecisionError(failure, answered=reasons is not None)

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

    # --- one attempt -----------------------------------------------------------------------------------------------

    async def _execute(self, attempt: _Attempt, number: str) -> None:
        call, run, slot = attempt.call, self._run, attempt.slot
        stream = AnswerStream(
            call.begin or (lambda _answer: None),
            lambda text: run.context.emit(TextDelta(text)),
            allowed=call.begin is not None and (call.routes.direct or call.routes.after_iteration),
        )
        events = EventMapper(run.context.emit, "main", iteration=call.iteration, shown=COORDINATOR_SHOWN)
        workers = run.team.names
        routing = routing_tools(call.routes, slot, query=run.query, workers=workers)
        runner = _RoutingRunner(Toolset((*routing, *self._tools)), slot, stream, call.routes, run.query, workers)
        await self._shorten_history(attempt.prompt)
        history = (*self._history, *(entry.message for entry in self._entries))
        messages = (*history, Message("user", (TextPart(attempt.prompt), *call.attachments)))
        conversation = self._conversation(attempt, messages, runner, stream, events)
        await run.journal.entry(
            f"Planning (Iteration {call.iteration}, {number})",
            run.context.clock.now(),
            system=self._system,
            history=history,
            prompt=attempt.prompt,
            tools=[*(tool.name for tool in self._tools), *call.routes.names],
            response_file=f"{attempt.stem}.response.txt",
        )
        try:
            await run.run_limited(_PHASES[call.phase], run.call_limit(), lambda: consume(conversation, events))
        finally:
            attempt.sent_text = stream.sent.text if stream.sent is not None else None
            events.close()
        result = conversation.result
        attempt.text = result.answer
        # models without reliable tool calls write the call, or the decision itself, as text
        written = route_in_text(attempt.text) if not slot.is_set else None
        if written is not None:
            attempt.route_in_text = True
            await runner.run(written, CallContext(run.context, written.id, emit=lambda _event: None))
        if not slot.is_set and (result.turn_limit or (result.turns >= TURN_DEPTH + 2 and not attempt.text.strip())):
            raise TurnLimitError("the coordinator reached its turn limit without a routing decision.")
        if isinstance(slot.decision, DirectDecision) and stream.sent is not None:
            # what the client has read cannot be taken back, whatever the whole arguments say
            response = stream.finish(slot.decision.response)
            slot.decision = replace(slot.decision, response=response, streamed=True)

    def _conversation(
        self,
        attempt: _Attempt,
        messages: Sequence[Message],
        runner: ToolRunner,
        stream: AnswerStream,
        events: EventMapper,
    ) -> Conversation:
        call, run = attempt.call, self._run

        def emit(event: Event) -> None:
            if isinstance(event, ModelCallCompleted):
                self._model_calls += 1
            events(event)

        spec = LoopSpec(
            model=self._model,
            system=self._system,
            runner=runner,
            turn_depth=TURN_DEPTH,
            info=CallInfo("coordinator", run.config.agent.name, phase=call.phase, call=self._model_calls + 1),
            tool_choice=lambda _turn: "required" if attempt.forced else "auto",
            done=lambda: attempt.slot.is_set,
            last_turn_tools=call.routes.names,
            last_turn_note="This is your last turn. Call one of the routing tools now.",
            on_fragments=stream.fragments,
            serial=True,  # the first routing call decides; later ones of the turn must see that
            inactivity_timeout=float(run.config.orchestration.timeouts.stream_inactivity_timeout_secs) or None,
            agent_id="coordinator",
            iteration=call.iteration,
        )
        return Conversation(spec, messages, replace(run.context, emit=emit))

    # --- the conversation ------------------------------------------------------------------------------------------

    async def _remember(self, attempt: _Attempt, decision: Decision | None, *, first: bool) -> None:
        call = attempt.call
        decided = decision_json(decision) if decision is not None else ""
        asked = Message("user", (TextPart(attempt.prompt), *(call.attachments if first else ())))
        self._entries.append(_Entry(asked, call.brief if first else ""))
        self._entries.append(_Entry(assistant(attempt.text or decided or "(no decision)")))
        await self._run.files.write_all(
            {f"{attempt.stem}.prompt.txt": attempt.prompt, f"{attempt.stem}.response.txt": decided or attempt.text}
        )

    async def _shorten_history(self, prompt: str) -> None:
        """Over 80 % of the context window the oldest reports shrink to their outcome."""
        window = self._model.context_window
        if not window:
            return
        counter = counter_for(self._model.provider, self._model.model)
        limit = int(window * _CROWDED)
        fixed = self._system + prompt + "".join(message.text for message in self._history)

        def shorten() -> None:
            for entry in self._entries:
                if not counter.exceeds(fixed + "".join(e.message.text for e in self._entries), limit):
                    return
                if entry.brief and entry.message.text != entry.brief:
                    entry.message = Message("user", (TextPart(entry.brief),))

        await to_thread.run_sync(shorten)  # counting the tokens of a long conversation takes a while


class _RoutingRunner(ToolRunner):
    """Decides what a plain runner cannot: answers already sent in part, and plans asked for when none is offered."""

    def __init__(
        self,
        toolset: Toolset,
        slot: DecisionSlot,
        stream: AnswerStream,
        routes: Routes,
        query: str,
        workers: tuple[str, ...],
    ) -> None:
        super().__init__(toolset, unknown_tool_hint=_UNKNOWN_HINT)
        self._slot, self._stream, self._routes = slot, stream, routes
        self._query, self._workers = query, workers

    async def run(self, call: ToolCall, context: CallContext) -> ToolOutcome:
        if call.name == PLAN and not self._routes.plan and not self._slot.is_set:
            recorded = self._late_plan(call)
            if recorded is not None:
                return recorded
        outcome = await super().run(call, context)
        sent = self._stream.sent
        if call.name == RESPOND and not outcome.ok and sent is not None and not self._slot.is_set:
            # an answer that is whole and lacks only its reason was not cut
            cut = isinstance(parse_arguments(call.arguments), str)
            self._slot.record(DirectDecision(sent.text, sent.rationale, cut=cut))
        return outcome

    def _late_plan(self, call: ToolCall) -> ToolOutcome | None:
        arguments = parse_arguments(call.arguments)
        if isinstance(arguments, str):
            return None
        try:
            plan = read_plan(arguments, query=self._query, workers=self._workers)
        except InvalidDecisionError:
            return None
        self._slot.record(PlanDecision(plan))
        return success("The plan is recorded, but cannot be carried out any more.")


async def consume(conversation: Conversation, events: EventMapper) -> None:
    """Runs ``conversation`` to its end; of what it streams only the reasoning is passed on."""
    async with aclosing(conversation.run()) as batches:
        async for batch in batches:
            for event in batch:
                if isinstance(event, ReasoningDelta):
                    events(event)
