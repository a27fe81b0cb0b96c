"""The turn loop: model, tool calls, results, model, … until there is an answer.

Single agents, coordinators and workers all run this loop; it is the only place that calls a model. One *turn* is one
model call plus the tool calls it asked for. Depth ``d`` allows ``d + 2`` turns; the last one is called without tools,
so that the work done is answered instead of lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import anyio

from aura_py.agent.client_tools import CUT_CALL, CUT_ENDS, checked_call, is_empty, refusal
from aura_py.agent.sequence import TurnSequence
from aura_py.context import RunContext
from aura_py.errors import ProviderProtocolError
from aura_py.events import (
    Event,
    ModelCallCompleted,
    ReasoningDelta,
    TextDelta,
    ToolCompleted,
    ToolKind,
    ToolProgress,
    ToolRequested,
    ToolStarted,
)
from aura_py.ids import tool_call_id
from aura_py.llm.contract import (
    CallInfo,
    ChatModel,
    ChatRequest,
    Delta,
    Finish,
    NamedTool,
    Sampling,
    Text,
    Thinking,
    ThinkingBlock,
    ToolCallFragment,
    ToolCallReady,
    ToolChoice,
    ToolSpec,
    UsageReport,
)
from aura_py.messages import (
    FinishReason,
    ImagePart,
    Message,
    Part,
    Reasoning,
    TextPart,
    ToolCall,
    Usage,
    assistant,
    system,
    tool_result,
    user,
)
from aura_py.tools.contract import CallContext, ToolOutcome, failure
from aura_py.tools.runner import ToolRunner, parse_arguments

MAX_PARALLEL_CALLS = 32
"""Calls of one turn in flight at once; each server has a narrower bound of its own."""

_LAST_TURN = (
    "No tool turns are left for this request. Answer now from what you have found so far, "
    "and say plainly what could not be finished."
)
_CANCELLED = "ToolCallError: Request cancelled"


@dataclass(slots=True)
class LoopSpec:
    """What a loop needs to know.

    ``done`` is asked after every tool result: a recorded decision ends the loop at once and later calls of that turn
    are not executed. ``last_turn_tools`` are offered (and one is demanded) on the last turn instead of none.
    ``tool_choice`` may depend on the turn. ``on_fragments`` gets argument fragments while they arrive, all that came
    together at once. ``client_tools`` are those that the caller executes, ``from_caller`` the parameters it set.
    """

    model: ChatModel
    system: str
    runner: ToolRunner
    turn_depth: int
    info: CallInfo = CallInfo()
    sampling: Sampling = Sampling()
    parallel_tool_calls: bool | None = None
    client_tools: tuple[ToolSpec, ...] = ()
    tool_choice: Callable[[int], ToolChoice] = lambda _turn: "auto"
    from_caller: frozenset[str] = frozenset()
    done: Callable[[], bool] = lambda: False
    last_turn_tools: tuple[str, ...] = ()
    last_turn_note: str = _LAST_TURN
    on_fragments: Callable[[Sequence[ToolCallFragment]], None] = lambda _fragments: None
    on_usage: Callable[[Usage, Sequence[Message]], None] = lambda _usage, _sent: None
    serial: bool = False
    inactivity_timeout: float | None = None
    agent_id: str = "main"
    parent_agent_id: str | None = None
    initiator: str = ""
    task_id: int | None = None
    attempt: int = 0
    iteration: int = 1


@dataclass(slots=True)
class LoopResult:
    """What a loop came to. ``answer`` is the text of the last turn that produced text; ``conversation`` everything
    after the system prompt, tool results included. ``decided`` says that ``done`` ended the loop. ``withheld`` are
    the tools that the model wanted on the last turn, when there were none any more."""

    answer: str = ""
    reasoning: str = ""
    finish_reason: FinishReason = "stop"
    client_calls: tuple[ToolCall, ...] = ()
    turn_limit: bool = False
    decided: bool = False
    turns: int = 0
    withheld: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    conversation: tuple[Message, ...] = ()


@dataclass(slots=True)
class _Reply:
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    blocks: list[Reasoning] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    finish: FinishReason = "stop"
    answered: bool = False


class Conversation:
    """One loop over one conversation. ``result`` is complete when :meth:`run` has ended."""

    def __init__(self, spec: LoopSpec, messages: Sequence[Message], context: RunContext) -> None:
        self.result = LoopResult()
        self._spec = spec
        self._context = context
        self._messages = list(messages)
        # A new thought is kept apart from the one before it: of an earlier turn, block, planning call or attempt.
        self._thought_ended = spec.info.call > 1
        self._limit = spec.turn_depth + 2
        self._ids: set[str] = {call.id for message in messages for call in message.tool_calls}
        self._offered = (*_specs(spec.runner), *spec.client_tools)
        self._client_names = frozenset(tool.name for tool in spec.client_tools)

    async def run(self) -> AsyncGenerator[list[Event], None]:
        """Yields text and reasoning as they arrive; everything else goes through ``context.emit``.

        Raises:
            ProviderError: The model failed for good.
        """
        result = self.result
        try:
            for turn in range(1, self._limit + 1):
                result.turns = turn
                reply = _Reply()
                try:
                    async with aclosing(self._spec.model.stream(self._request(turn))) as stream:
                        async for deltas in stream:
                            events = self._read(deltas, reply)
                            if events:
                                yield events
                finally:
                    self._account(turn, reply)
                if not reply.calls:
                    self._messages.append(assistant("".join(reply.text), (), tuple(reply.blocks)))
                    finish = "stop" if reply.finish == "tool_calls" else reply.finish  # there are none to answer
                    result.finish_reason = finish
                    if turn == self._limit and not self._spec.last_turn_tools and turn > 1:
                        result.turn_limit = True
                        result.finish_reason = "length" if finish == "stop" else finish
                    return
                if self._client_call_was_cut(reply):
                    self._messages.append(assistant("".join(reply.text), (), tuple(reply.blocks)))
                    result.finish_reason = reply.finish
                    return
                await self._answer(turn, reply)
                if result.client_calls:
                    result.finish_reason = "tool_calls"
                    return
                if self._spec.done():
                    result.decided = True
                    return
            result.turn_limit = True
            result.finish_reason = "length"
        finally:
            result.conversation = tuple(self._messages)

    # --- one model call --------------------------------------------------------------------------------------------

    def _read(self, deltas: list[Delta], reply: _Reply) -> list[Event]:
        """Files what arrived together in ``reply`` and says what there is to show of it."""
        spec = self._spec
        reply.answered = True
        if len(deltas) == 1 and type(deltas[0]) is Text:  # nearly all of them
            reply.text.append(deltas[0].text)
            return [TextDelta(deltas[0].text)]
        events: list[Event] = []
        fragments: list[ToolCallFragment] = []
        for delta in deltas:
            if isinstance(delta, Text):
                reply.text.append(delta.text)
                events.append(TextDelta(delta.text))
            elif isinstance(delta, Thinking):
                text = "\n\n" + delta.text if self._thought_ended else delta.text
                self._thought_ended = False
                reply.thinking.append(text)
                events.append(ReasoningDelta(text, spec.agent_id, spec.parent_agent_id))
            elif isinstance(delta, ToolCallFragment):
                fragments.append(delta)
            elif isinstance(delta, ToolCallReady):
                reply.calls.append(self._unique(delta.call))
            elif isinstance(delta, ThinkingBlock):
                reply.blocks.append(delta.reasoning)
                self._thought_ended = bool(reply.thinking) or self._thought_ended
            elif isinstance(delta, UsageReport):
                reply.usage = delta.usage
            elif isinstance(delta, Finish):
                reply.finish = delta.reason
        if fragments:
            spec.on_fragments(fragments)
        return events

    def _request(self, turn: int) -> ChatRequest:
        spec, limits = self._spec, self._context.limits
        messages = [system(spec.system)] if spec.system else []
        messages += self._messages
        tools, choice = self._offered, spec.tool_choice(turn)
        if turn == self._limit and turn > 1 and tools:
            if spec.last_turn_tools:
                tools = tuple(tool for tool in tools if tool.name in spec.last_turn_tools)
                choice = NamedTool(tools[0].name) if len(tools) == 1 else "required"
            else:
                choice = "none"
            messages.append(user(spec.last_turn_note))
        return ChatRequest(
            messages=tuple(messages),
            tools=tools,
            tool_choice=choice if tools else "auto",
            parallel_tool_calls=spec.parallel_tool_calls if tools else None,
            sampling=spec.sampling,
            from_caller=spec.from_caller if turn == 1 else spec.from_caller - {"tool_choice"},
            info=replace(spec.info, call=spec.info.call + turn - 1),
            first_delta_timeout=limits.first_chunk,
            inactivity_timeout=spec.inactivity_timeout or limits.inactivity,
        )

    def _account(self, turn: int, reply: _Reply) -> None:
        result = self.result
        if turn == self._limit:
            result.withheld = tuple(c.name for c in reply.calls if c.name not in self._spec.last_turn_tools)
            reply.calls = [call for call in reply.calls if call.name in self._spec.last_turn_tools]
        if not reply.answered:
            return
        if not reply.usage.total:
            reply.usage = self._estimated(reply)
        result.usage = result.usage + reply.usage
        if reply.text:
            result.answer = "".join(reply.text)
        if reply.thinking:
            self._thought_ended = True
            result.reasoning = "".join([result.reasoning, *reply.thinking])
        self._spec.on_usage(reply.usage, self._messages)
        self._context.emit(ModelCallCompleted(reply.usage, tuple(call.id for call in reply.calls), self._spec.agent_id))

    def _estimated(self, reply: _Reply) -> Usage:
        """For providers that report nothing, and for answers cut short: four bytes a token."""
        sent = sum(len(message.text.encode()) for message in self._messages) + len(self._spec.system.encode())
        received = sum(len(text.encode()) for text in (*reply.text, *reply.thinking))
        received += sum(len(call.arguments.encode()) for call in reply.calls)
        return Usage(input=sent // 4, output=received // 4, estimated=True)

    def _unique(self, call: ToolCall) -> ToolCall:
        """Ids are unique within the conversation; some providers number every turn from 0."""
        if not call.id or call.id in self._ids:
            call = replace(call, id=tool_call_id())
        self._ids.add(call.id)
        return call

    # --- its tool calls --------------------------------------------------------------------------------------------

    async def _answer(self, turn: int, reply: _Reply) -> None:
        """Runs the calls of one turn and appends their results, in call order."""
        spec = self._spec
        ours = [call for call in reply.calls if call.name not in self._client_names]
        theirs, outcomes = self._client_calls(turn, reply)
        shown = {call.id: call for call in (*ours, *theirs)}
        requested = [shown[call.id] for call in reply.calls if call.id in shown]
        sequence = TurnSequence([_requested(call, self._kind(call)) for call in requested], self._context.emit)
        limiter = anyio.CapacityLimiter(1 if spec.serial else MAX_PARALLEL_CALLS)

        async def run(call: ToolCall) -> None:
            async with limiter:
                if spec.done():
                    return
                if reply.finish in CUT_ENDS and is_empty(call):
                    outcomes[call.id] = failure(CUT_CALL, outcome="schema_error")
                    sequence.completed(self._completion(call, 0, ok=False, text=CUT_CALL))
                    return
                outcomes[call.id] = await self._run(call, turn, sequence)

        try:
            if spec.serial or len(ours) == 1:
                for call in ours:
                    await run(call)
            else:
                async with anyio.create_task_group() as calls:
                    for call in ours:
                        calls.start_soon(run, call)
        except asyncio.CancelledError:
            for call in ours:  # those that were still waiting for their turn
                sequence.completed(self._completion(call, 0, ok=False, text=_CANCELLED))
            raise

        executed = tuple(call for call in reply.calls if call.id in outcomes)
        self._messages.append(assistant("".join(reply.text), (*executed, *theirs), tuple(reply.blocks)))
        images = spec.model.capabilities.tool_images
        for call in executed:
            outcome = outcomes[call.id]
            self._messages.append(tool_result(call, _content(outcome, images), is_error=not outcome.ok))
        self.result.client_calls = theirs

    def _client_call_was_cut(self, reply: _Reply) -> bool:
        """Whether the answer ended inside a call that the caller would run."""
        return reply.finish in CUT_ENDS and any(
            call.name in self._client_names and (is_empty(call) or checked_call(call) is None) for call in reply.calls
        )

    def _client_calls(self, turn: int, reply: _Reply) -> tuple[tuple[ToolCall, ...], dict[str, ToolOutcome]]:
        """The calls to hand to the caller, or what the model is told when one of them cannot be read.

        Raises:
            ProviderProtocolError: One cannot be read, and no turn with tools is left.
        """
        theirs = [call for call in reply.calls if call.name in self._client_names]
        whole = tuple(checked for call in theirs if (checked := checked_call(call)) is not None)
        if len(whole) == len(theirs):
            return whole, {}
        if turn + 1 >= self._limit:
            model, names = self._spec.model, ", ".join(f"`{call.name}`" for call in theirs)
            raise ProviderProtocolError(
                f"Model `{model.model}` of provider `{model.provider}` called the client's tools {names} with arguments"
                " that are no JSON object, and no turn is left to ask again; repeat the request."
            )
        return (), {call.id: refusal(call) for call in theirs}

    async def _run(self, call: ToolCall, turn: int, sequence: TurnSequence) -> ToolOutcome:
        spec, run = self._spec, self._context
        began = run.clock.monotonic()

        def emit(event: Event) -> None:
            if isinstance(event, ToolProgress):
                sequence.progress(event)
            else:
                run.emit(event)

        context = CallContext(
            run=run,
            call_id=call.id,
            emit=emit,
            started=lambda token: sequence.started(ToolStarted(call.id, call.name, token)),
            turn=turn,
            turns_left=self._limit - turn,
            agent_id=spec.agent_id,
            initiator=spec.initiator,
            task_id=spec.task_id,
            attempt=spec.attempt,
            iteration=spec.iteration,
            model_sees_images=spec.model.capabilities.tool_images,
        )

        def complete(ok: bool, text: str) -> None:
            duration = round((run.clock.monotonic() - began) * 1000)
            sequence.completed(self._completion(call, duration, ok=ok, text=text))

        try:
            outcome = await spec.runner.run(call, context)
        except asyncio.CancelledError:
            complete(False, _CANCELLED)
            raise
        complete(outcome.ok, outcome.text)
        return outcome

    def _completion(self, call: ToolCall, duration_ms: int, *, ok: bool, text: str) -> ToolCompleted:
        result, error = (text, None) if ok else (None, text)
        return ToolCompleted(call.id, call.name, self._kind(call), duration_ms, ok, result=result, error=error)

    def _kind(self, call: ToolCall) -> ToolKind:
        if call.name in self._client_names:
            return "client"
        tool = self._spec.runner.toolset.get(call.name)
        return tool.kind if tool is not None else "orchestration"


def _specs(runner: ToolRunner) -> tuple[ToolSpec, ...]:
    return tuple(ToolSpec(tool.name, tool.description, tool.parameters) for tool in runner.toolset)


def _requested(call: ToolCall, kind: ToolKind) -> ToolRequested:
    parsed = parse_arguments(call.arguments)
    return ToolRequested(call.id, call.name, call.arguments, {} if isinstance(parsed, str) else parsed, kind)


def _content(outcome: ToolOutcome, images: bool) -> tuple[Part, ...]:
    attachments = tuple(p for p in outcome.attachments if images or not isinstance(p, ImagePart))
    return (TextPart(outcome.text), *attachments)
