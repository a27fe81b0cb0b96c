"""Conversations that the tests of several dialects share."""

from __future__ import annotations

from typing import Any

from aura_py.llm.contract import ChatRequest, Sampling, ToolSpec
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.messages import Message, Reasoning, TextPart, ToolCall, assistant, system, tool_result, user

WEATHER = ToolSpec("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})
CALL = ToolCall("call_a1", "get_weather", '{"city":"Oslo"}')


def asked(provider: str, model: str) -> ProviderErrors:
    return ProviderErrors("tester", provider, model, "http://somewhere")


def ask(*messages: Message, **rest: Any) -> ChatRequest:
    return ChatRequest(messages or (system("Be brief."), user("hello")), **rest)


def sampled(**values: Any) -> ChatRequest:
    return ask(sampling=Sampling(**values))


def after_a_call(*reasoning: Reasoning, call: ToolCall = CALL) -> tuple[Message, ...]:
    """A question, a call, its result."""
    return (user("weather?"), assistant("", (call,), reasoning), tool_result(call, (TextPart("rain"),)))
