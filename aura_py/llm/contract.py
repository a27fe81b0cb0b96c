"""The one way to ask a model: :class:`ChatModel`, its request and its deltas.

A dialect (one module per provider) turns a :class:`ChatRequest` into the provider's wire form and the provider's
stream into deltas. It makes exactly one call: retries, fallback and deadlines are written once, in ``resilience``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from aura_py.messages import FinishReason, JsonObject, Message, Reasoning, ToolCall, Usage

Caller = Literal["agent", "coordinator", "worker", "side"]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


@dataclass(slots=True, frozen=True)
class ToolSpec:
    """A tool as a model sees it. ``parameters`` is a JSON Schema whose root is an object.

    ``strict`` is the wish of a caller for a tool of its own, passed on where the provider speaks the caller's protocol.
    """

    name: str
    description: str
    parameters: JsonObject
    strict: bool = False


@dataclass(slots=True, frozen=True)
class NamedTool:
    """A ``tool_choice`` that forces one tool."""

    name: str


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | NamedTool


@dataclass(slots=True, frozen=True)
class Sampling:
    """What a request asks for beyond the agent's file. ``None`` leaves the configured value."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning_effort: ReasoningEffort | None = None
    response_format: JsonObject | None = None


@dataclass(slots=True, frozen=True)
class CallInfo:
    """Who asks: for the scripted provider, traces and logs. ``call`` counts this agent's calls in this run from 1."""

    caller: Caller = "agent"
    agent: str = ""
    worker: str | None = None
    phase: Literal["plan", "continue"] | None = None
    call: int = 1


@dataclass(slots=True, frozen=True)
class ChatRequest:
    """One model call. System messages come first. Deadlines are in seconds, ``None`` is no limit.

    ``from_caller`` are the parameters that the API's caller set, as Chat Completions calls them: they are honoured or
    refused. ``left_out`` are optional ones that a dialect must not send, because this model refuses them.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool | None = None
    sampling: Sampling = Sampling()
    from_caller: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    info: CallInfo = CallInfo()
    first_delta_timeout: float | None = None
    inactivity_timeout: float | None = None


# --- deltas --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Text:
    """``text`` is never empty and never splits a code point."""

    text: str


@dataclass(slots=True)
class Thinking:
    """Reasoning text to show while it arrives."""

    text: str


@dataclass(slots=True)
class ThinkingBlock:
    """A finished block of reasoning for the conversation; its text was already sent as :class:`Thinking`."""

    reasoning: Reasoning


@dataclass(slots=True)
class ToolCallFragment:
    """A piece of a call's arguments while they arrive. ``position`` counts the calls of this response from 0.

    For display only (``respond_directly`` is streamed from it); execution waits for :class:`ToolCallReady`.
    """

    position: int
    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class ToolCallReady:
    """A complete call, in order of first appearance. ``recovered`` calls were written as text."""

    call: ToolCall
    recovered: bool = False


@dataclass(slots=True)
class UsageReport:
    """The call's usage so far; the last report counts."""

    usage: Usage


@dataclass(slots=True)
class Finish:
    """The last delta of every call that did not fail."""

    reason: FinishReason


Delta: TypeAlias = Text | Thinking | ThinkingBlock | ToolCallFragment | ToolCallReady | UsageReport | Finish


@dataclass(slots=True, frozen=True)
class Capabilities:
    """What a dialect can do; the generated table in ``docs/providers.md`` and the contract tests read it.

    ``content_filter``: the provider tells when it withheld an answer. ``malformed_arguments``: arguments come as text,
    so a model's mistakes reach the loop instead of failing the call.
    """

    images: bool = True
    tool_images: bool = True
    reasoning: bool = True
    parallel_tools: bool = True
    tool_choice: bool = True
    seed: bool = True
    stop: bool = True
    response_format: bool = True
    reasoning_effort: bool = True
    prompt_cache: bool = False
    content_filter: bool = True
    malformed_arguments: bool = True
    notes: tuple[str, ...] = ()


class ChatModel(Protocol):
    """A model behind one provider's API. Safe for concurrent calls."""

    provider: str
    model: str
    context_window: int | None
    capabilities: Capabilities

    def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        """Makes one call and yields everything that arrived together.

        Ends with :class:`Finish`. Closing the iterator or cancelling the task closes the socket.

        Raises:
            ProviderError: A subclass says what went wrong; vendor exceptions never get out.
        """
        ...

    async def aclose(self) -> None:
        """Gives back connections; the model is not used afterwards."""
        ...
