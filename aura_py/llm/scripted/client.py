"""The ``scripted`` model: answers from a script instead of a network."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator, Iterator
from functools import lru_cache
from itertools import islice
from typing import Final

from anyio import to_thread

from aura_py.config.models import ScriptCall, ScriptedLLM, ScriptFailure
from aura_py.context import Clock, SystemClock
from aura_py.errors import ProviderError, ProviderProtocolError
from aura_py.llm.contract import (
    Capabilities,
    ChatRequest,
    Delta,
    Finish,
    Text,
    Thinking,
    ThinkingBlock,
    ToolCallFragment,
    ToolCallReady,
    UsageReport,
)
from aura_py.llm.json_text import to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.scripted.rules import CompiledRule, RuleTimeout, Script, ScriptRequest
from aura_py.llm.scripted.templates import TemplateError
from aura_py.llm.scripted.text_format import as_text
from aura_py.messages import FinishReason, Reasoning, ToolCall, Usage
from aura_py.tokens import TokenCounter, counter_for

CAPABILITIES: Final = Capabilities(
    notes=("answers from a script; sampling parameters are accepted and change nothing",),
)
_WORDS = re.compile(r"\s*\S+|\s+")
_BATCH = 32
"""Words sent together when the script sets no pace."""
_REMEMBERED = 8192
"""Characters of a text whose count is worth keeping: prompts and tools come again with every call."""


class ScriptedModel:
    """Deterministic: the same script and conversation give the same deltas."""

    provider: str = "scripted"

    def __init__(self, config: ScriptedLLM, *, agent: str, clock: Clock | None = None) -> None:
        self.model = config.model
        self.context_window = config.context_window
        self.capabilities = CAPABILITIES
        self._config = config
        self._agent = agent
        self._clock = clock or SystemClock()
        self._errors = ProviderErrors(agent, self.provider, config.model, "script", credentials="the script")
        self._script = Script(config.rules)
        self._counter = counter_for(self.provider, config.model)
        self._counts = False

    async def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        if not self._counts:
            await to_thread.run_sync(self._counter.load)
            self._counts = True
        situation = ScriptRequest.of(request)
        # Patterns and templates may take long, and so does counting a long conversation: never on the event loop.
        try:
            chosen = await to_thread.run_sync(self._script.choose, situation)
        except RuleTimeout as error:
            raise ProviderProtocolError(
                f"Agent `{self._agent}`: a pattern of {error} of the script of model `{self.model}` takes too long for"
                " this message; write the pattern without repetitions inside repetitions."
            ) from error
        if chosen is None:
            deltas, failure = await to_thread.run_sync(self._answer, None, situation, {}), None
        else:
            rule, groups = chosen
            await self._silence(rule, situation)
            failure = rule.rule.error
            if failure is not None and failure.after_chars is None:
                raise self._failure(failure)
            deltas = await to_thread.run_sync(self._answer, rule, situation, groups)
        if failure is not None:
            deltas = _cut(deltas, failure.after_chars or 0)
        async for batch in self._paced(deltas):
            yield batch
        if failure is not None:
            raise self._failure(failure)

    async def aclose(self) -> None:
        """Nothing to give back."""

    async def _silence(self, chosen: CompiledRule, situation: ScriptRequest) -> None:
        rule = chosen.rule
        wait: float = rule.delay_ms + self._config.first_token_ms
        if rule.jitter_ms:
            seed = f"{self._config.seed}:{chosen.number}:{situation.request.info.call}:{situation.user}"
            wait += random.Random(seed).uniform(0, rule.jitter_ms)
        if wait:
            await self._clock.sleep(wait / 1000)
        while rule.hang:
            await self._clock.sleep(3600)

    def _answer(self, chosen: CompiledRule | None, situation: ScriptRequest, groups: dict[str, str]) -> Iterator[Delta]:
        """The deltas of the answer. It is rendered and counted before the first is sent, and cut as they are taken."""
        if chosen is None:
            text = f"The script of model `{self.model}` has no rule for this conversation: {situation.user}"
            return self._deltas(situation, "", text, [], None, "stop")
        rule = chosen.rule
        scope = situation.scope(groups, self.model)
        templates = self._script.templates
        try:
            thought = templates.render(rule.reasoning or "", scope)
            text = templates.render(rule.say or "", scope)
            calls = [
                ScriptCall.model_construct(name=call.name, arguments=templates.render_table(call.arguments, scope))
                for call in rule.tool_calls
            ]
        except TemplateError as error:
            raise ProviderProtocolError(
                f"Agent `{self._agent}`: rule {chosen.number} of the script of model `{self.model}` cannot be"
                f" rendered ({error}); mend the template in the script."
            ) from error
        usage = None
        if rule.usage is not None:
            given = rule.usage
            usage = Usage(given.input, given.output, given.cached, 0, given.reasoning)
        if rule.as_text and calls:
            text += ("\n" if text and not text.endswith("\n") else "") + as_text(calls, rule.format)
            calls = []
        return self._deltas(situation, thought, text, calls, usage, rule.finish)

    def _deltas(
        self,
        situation: ScriptRequest,
        thought: str,
        text: str,
        calls: list[ScriptCall],
        usage: Usage | None,
        finish: FinishReason,
    ) -> Iterator[Delta]:
        ready = [
            ToolCall(_call_id(situation, position), call.name, to_json(call.arguments).decode())
            for position, call in enumerate(calls)
        ]
        if usage is None:
            spoken = thought + text + "".join(call.name + call.arguments for call in ready)
            usage = self._count(situation, thought, spoken)
        return self._spoken(thought, text, ready, usage, finish)

    def _spoken(
        self, thought: str, text: str, calls: list[ToolCall], usage: Usage, finish: FinishReason
    ) -> Iterator[Delta]:
        for piece in self._split(thought):
            yield Thinking(piece)
        if thought:
            yield ThinkingBlock(Reasoning(thought, self.provider))
        for piece in self._split(text):
            yield Text(piece)
        for position, call in enumerate(calls):
            yield ToolCallFragment(position, call.id, call.name, "")
            for piece in self._split(call.arguments):
                yield ToolCallFragment(position, call.id, call.name, piece)
        for call in calls:
            yield ToolCallReady(call)
        yield UsageReport(usage)
        yield Finish("tool_calls" if calls and finish == "stop" else finish)

    def _split(self, text: str) -> Iterator[str]:
        size = self._config.chunk_chars
        if size:
            return (text[start : start + size] for start in range(0, len(text), size))
        return (found.group() for found in _WORDS.finditer(text))

    def _count(self, situation: ScriptRequest, thought: str, spoken: str) -> Usage:
        request = situation.request
        sent = sum(_tokens(self._counter, message.text) for message in request.messages)
        sent += sum(
            _tokens(self._counter, call.arguments) for message in request.messages for call in message.tool_calls
        )
        for tool in request.tools:
            sent += _tokens(self._counter, f"{tool.name} {tool.description} {to_json(tool.parameters).decode()}")
        return Usage(sent, _tokens(self._counter, spoken), reasoning=_tokens(self._counter, thought))

    async def _paced(self, deltas: Iterator[Delta]) -> AsyncGenerator[list[Delta], None]:
        pace = self._config.tokens_per_second
        if not pace:
            while batch := list(islice(deltas, _BATCH)):
                yield batch
                await self._clock.sleep(0)
            return
        for delta in deltas:
            yield [delta]
            if isinstance(delta, Text | Thinking | ToolCallFragment):
                await self._clock.sleep(1 / pace)

    def _failure(self, failure: ScriptFailure) -> ProviderError:
        code = f"{failure.code}: " if failure.code else ""
        return self._errors.status(failure.status, f"{code}{failure.message}")


def _cut(deltas: Iterator[Delta], characters: int) -> Iterator[Delta]:
    """The deltas up to ``characters`` of text; a failing answer has no calls, usage or finish."""
    for delta in deltas:
        if isinstance(delta, Thinking):
            yield delta
        elif isinstance(delta, Text):
            piece = delta.text[:characters]
            characters -= len(piece)
            if piece:
                yield Text(piece)


def _call_id(situation: ScriptRequest, position: int) -> str:
    """The same conversation gives the same ids; two calls of one conversation never share one."""
    earlier = sum(len(message.tool_calls) for message in situation.request.messages)
    seed = f"{situation.user}:{situation.request.info.call}:{earlier}:{position}"
    return f"call_{random.Random(seed).getrandbits(96):024x}"


def _tokens(counter: TokenCounter, text: str) -> int:
    return _remembered(counter, text) if len(text) <= _REMEMBERED else counter.count(text)


@lru_cache(maxsize=4096)
def _remembered(counter: TokenCounter, text: str) -> int:
    return counter.count(text)


def preload() -> None:
    """Loads the vocabulary that usage is counted with."""
    counter_for(ScriptedModel.provider, "").load()


def build(config: ScriptedLLM, *, agent: str) -> ScriptedModel:
    """The model of an agent's table; patterns and templates are compiled once, here."""
    return ScriptedModel(config, agent=agent)
