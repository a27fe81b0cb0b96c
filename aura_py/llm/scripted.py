"""The ``scripted`` model: answers from a script instead of a network (``scripted-provider.md``)."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator, Iterator
from functools import lru_cache
from typing import Final

import orjson

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
from aura_py.llm.failures import Asked
from aura_py.llm.script_rules import CompiledRule, Script, Situation
from aura_py.llm.script_templates import TemplateError
from aura_py.llm.script_text_calls import as_text
from aura_py.messages import FinishReason, Reasoning, ToolCall, Usage
from aura_py.tokens import counter_for

CAPABILITIES: Final = Capabilities(
    images=True,
    tool_images=True,
    reasoning=True,
    seed=True,
    response_format=True,
    reasoning_effort=True,
    notes=("answers from a script; sampling parameters are accepted and change nothing",),
)
_WORDS = re.compile(r"\s*\S+|\s+")
_BATCH = 32
"""Words sent together when the script sets no pace."""


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
        self._asked = Asked(agent, self.provider, config.model, "script", credentials="the script")
        self._script = Script(config.rules)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        situation = Situation.of(request)
        chosen = self._script.choose(situation)
        if chosen is None:
            deltas = self._answer(None, situation, {})
            failure = None
        else:
            rule, groups = chosen
            await self._silence(rule, situation)
            failure = rule.rule.error
            if failure is not None and failure.after_chars is None:
                raise self._failure(failure)
            deltas = self._answer(rule, situation, groups)
        if failure is not None:
            deltas = _cut(deltas, failure.after_chars or 0)
        async for batch in self._paced(deltas):
            yield batch
        if failure is not None:
            raise self._failure(failure)

    async def aclose(self) -> None:
        """Nothing to give back."""

    async def _silence(self, chosen: CompiledRule, situation: Situation) -> None:
        rule = chosen.rule
        wait: float = rule.delay_ms + self._config.first_token_ms
        if rule.jitter_ms:
            seed = f"{self._config.seed}:{chosen.number}:{situation.request.info.call}:{situation.user}"
            wait += random.Random(seed).uniform(0, rule.jitter_ms)
        if wait:
            await self._clock.sleep(wait / 1000)
        while rule.hang:
            await self._clock.sleep(3600)

    def _answer(self, chosen: CompiledRule | None, situation: Situation, groups: dict[str, str]) -> list[Delta]:
        """All deltas of the answer, rendered before the first is sent."""
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
        situation: Situation,
        thought: str,
        text: str,
        calls: list[ScriptCall],
        usage: Usage | None,
        finish: FinishReason,
    ) -> list[Delta]:
        deltas: list[Delta] = [Thinking(piece) for piece in self._split(thought)]
        if thought:
            deltas.append(ThinkingBlock(Reasoning(thought, self.provider)))
        deltas += [Text(piece) for piece in self._split(text)]
        ready: list[ToolCall] = []
        for position, call in enumerate(calls):
            arguments = orjson.dumps(call.arguments).decode()
            ready.append(ToolCall(_call_id(situation, position), call.name, arguments))
            deltas.append(ToolCallFragment(position, ready[-1].id, call.name, ""))
            deltas += [ToolCallFragment(position, ready[-1].id, call.name, piece) for piece in self._split(arguments)]
        deltas += [ToolCallReady(call) for call in ready]
        spoken = thought + text + "".join(call.name + call.arguments for call in ready)
        deltas.append(UsageReport(usage or self._count(situation, thought, spoken)))
        deltas.append(Finish("tool_calls" if ready and finish == "stop" else finish))
        return deltas

    def _split(self, text: str) -> Iterator[str]:
        size = self._config.chunk_chars
        if size:
            return (text[start : start + size] for start in range(0, len(text), size))
        return (found.group() for found in _WORDS.finditer(text))

    def _count(self, situation: Situation, thought: str, spoken: str) -> Usage:
        sent = sum(_tokens(self.model, message.text) for message in situation.request.messages)
        sent += sum(_tokens(self.model, call.arguments) for m in situation.request.messages for call in m.tool_calls)
        sent += sum(
            _tokens(self.model, f"{tool.name} {tool.description} {orjson.dumps(tool.parameters).decode()}")
            for tool in situation.request.tools
        )
        return Usage(sent, _tokens(self.model, spoken), reasoning=_tokens(self.model, thought))

    async def _paced(self, deltas: list[Delta]) -> AsyncGenerator[list[Delta], None]:
        pace = self._config.tokens_per_second
        if not pace:
            for start in range(0, len(deltas), _BATCH):
                yield deltas[start : start + _BATCH]
                await self._clock.sleep(0)
            return
        for delta in deltas:
            yield [delta]
            if isinstance(delta, Text | Thinking | ToolCallFragment):
                await self._clock.sleep(1 / pace)

    def _failure(self, failure: ScriptFailure) -> ProviderError:
        code = f"{failure.code}: " if failure.code else ""
        return self._asked.status(failure.status, f"{code}{failure.message}")


def _cut(deltas: list[Delta], characters: int) -> list[Delta]:
    """The deltas up to ``characters`` of text; a failing answer has no calls, usage or finish."""
    kept: list[Delta] = []
    for delta in deltas:
        if isinstance(delta, Thinking):
            kept.append(delta)
        elif isinstance(delta, Text):
            piece = delta.text[:characters]
            characters -= len(piece)
            if piece:
                kept.append(Text(piece))
    return kept


def _call_id(situation: Situation, position: int) -> str:
    """The same conversation gives the same ids; two calls of one conversation never share one."""
    earlier = sum(len(message.tool_calls) for message in situation.request.messages)
    seed = f"{situation.user}:{situation.request.info.call}:{earlier}:{position}"
    return f"call_{random.Random(seed).getrandbits(96):024x}"


@lru_cache(maxsize=4096)
def _tokens(model: str, text: str) -> int:
    return counter_for("scripted", model).count(text)


def build(config: ScriptedLLM, *, agent: str) -> ScriptedModel:
    """The model of an agent's table; patterns and templates are compiled once, here."""
    return ScriptedModel(config, agent=agent)
