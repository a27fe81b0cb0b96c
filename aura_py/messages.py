"""The conversation, free of any provider's JSON.

Dialects in ``llm/`` convert at their edge; nothing else knows what a provider sends or wants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
JsonObject: TypeAlias = Mapping[str, Json]

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(slots=True, frozen=True)
class TextPart:
    text: str


@dataclass(slots=True, frozen=True)
class ImagePart:
    """An image by ``url`` (http, https or ``data:``). ``detail`` is OpenAI's hint (``low``, ``high``, ``auto``)."""

    url: str
    detail: str | None = None


@dataclass(slots=True, frozen=True)
class FilePart:
    """A file by base64 ``data`` or by ``url``; ``media_type`` is its MIME type."""

    data: str | None = None
    url: str | None = None
    name: str | None = None
    media_type: str | None = None


Part: TypeAlias = TextPart | ImagePart | FilePart


@dataclass(slots=True, frozen=True)
class Reasoning:
    """One block of a model's thinking.

    ``opaque`` is what the provider wants back unchanged in later turns (signatures, encrypted or redacted thinking,
    ``reasoning_details``); only the dialect named in ``provider`` reads it.
    """

    text: str
    provider: str = ""
    opaque: JsonObject = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class ToolCall:
    """A call that a model proposes. ``arguments`` is the JSON text exactly as the model wrote it.

    ``opaque`` is provider data that must travel with the call (Gemini's thought signature).
    """

    id: str
    name: str
    arguments: str
    opaque: JsonObject = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Message:
    """One message of a conversation.

    ``reasoning`` and ``tool_calls`` belong to assistant messages; ``tool_call_id``, ``name`` (the tool's) and
    ``is_error`` to tool messages.
    """

    role: Role
    content: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: tuple[Reasoning, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    is_error: bool = False

    @property
    def text(self) -> str:
        """All text parts, joined without a separator."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


def system(text: str) -> Message:
    return Message("system", (TextPart(text),))


def user(text: str) -> Message:
    return Message("user", (TextPart(text),))


def assistant(text: str = "", tool_calls: tuple[ToolCall, ...] = (), reasoning: tuple[Reasoning, ...] = ()) -> Message:
    return Message("assistant", (TextPart(text),) if text else (), tool_calls, reasoning)


def tool_result(call: ToolCall, content: tuple[Part, ...], *, is_error: bool = False) -> Message:
    return Message("tool", content, tool_call_id=call.id, name=call.name, is_error=is_error)


@dataclass(slots=True, frozen=True)
class Usage:
    """Tokens of one model call, or a sum of calls.

    ``input`` counts everything sent, cached tokens included; ``output`` everything generated, reasoning included.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        return self.input + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.cache_write + other.cache_write,
            self.reasoning + other.reasoning,
            self.estimated or other.estimated,
        )
