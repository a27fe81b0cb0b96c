"""A conversation as strict providers want it: user and assistant in turn, every tool call answered, nothing empty.

OpenAI's API forgives what Anthropic, Bedrock and Gemini reject; their dialects start from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import orjson

from aura_py.llm.contract import ChatRequest
from aura_py.llm.json_text import to_json
from aura_py.messages import JsonObject, Message, Part, TextPart, ToolCall, tool_result

_OPENING = "(The conversation begins with the assistant.)"
_GO_ON = "Continue."
_LONGEST_NAME = 64
_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{_LONGEST_NAME}}}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_UNANSWERED = "No result was recorded for this call."


@dataclass(slots=True)
class Turn:
    """Messages of one side in a row. Tool results belong to the user's side and come first in it."""

    role: Literal["user", "assistant"]
    messages: list[Message] = field(default_factory=list)


def split_turns(messages: Sequence[Message]) -> tuple[list[str], list[Turn]]:
    """The leading system texts, and the turns after them, repaired.

    A later system message is told by the user's side, at its place, so that the cached prefix stays as it was.
    A conversation of system messages only sends the last one as the user's.
    """
    count = 0
    while count < len(messages) and messages[count].role == "system":
        count += 1
    systems = [message.text for message in messages[:count] if message.text.strip()]
    rest = _answered(messages[count:])
    turns: list[Turn] = []
    for message in rest:
        role: Literal["user", "assistant"] = "assistant" if message.role == "assistant" else "user"
        if _empty(message):
            continue
        if not turns or turns[-1].role != role:
            turns.append(Turn(role))
        turns[-1].messages.append(message)
    if not turns and systems:
        return systems[:-1], [_user(systems[-1])]
    if not turns or turns[0].role == "assistant":
        turns.insert(0, _user(_OPENING if turns else _GO_ON))
    if turns[-1].role == "assistant":
        turns.append(_user(_GO_ON))
    return systems, turns


def nonblank_parts(content: Iterable[Part]) -> list[Part]:
    """The parts without blank texts."""
    return [part for part in content if not isinstance(part, TextPart) or part.text.strip()]


def arguments_object(call: ToolCall) -> JsonObject:
    """The object that was executed for a call, or what the model wrote wrongly as text, so that it sees its mistake."""
    if not call.arguments.strip():
        return {}
    try:
        value = orjson.loads(call.arguments)
        if isinstance(value, str):
            # Encoded twice: the runner unwraps it as well.
            value = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {"invalid_arguments": call.arguments}
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"invalid_arguments": call.arguments}


def arguments_text(call: ToolCall) -> str:
    """:func:`arguments_object` as JSON; what was an object already stays as it was written, for the prompt's cache."""
    value = arguments_object(call)
    written = call.arguments.lstrip().startswith("{") and "invalid_arguments" not in value
    return call.arguments if written else to_json(value).decode()


def call_id(id_: str) -> str:
    """An id that Anthropic and Bedrock take; another provider's may hold what they refuse (``functions.add:0``)."""
    return _NOT_IN_NAMES.sub("_", id_)[:_LONGEST_NAME]


def sendable_messages(request: ChatRequest) -> Sequence[Message]:
    """The conversation with names of tools that a provider takes: models make up some that none does, even empty ones.

    What the request offers keeps its name.
    """
    offered = {tool.name for tool in request.tools}
    odd = {
        call.name: _NOT_IN_NAMES.sub("_", call.name)[:_LONGEST_NAME] or "unnamed"
        for message in request.messages
        for call in message.tool_calls
        if call.name not in offered and not _NAME.fullmatch(call.name)
    }
    return [_renamed(message, odd) for message in request.messages] if odd else request.messages


def _renamed(message: Message, names: Mapping[str, str]) -> Message:
    calls = tuple(replace(call, name=names.get(call.name, call.name)) for call in message.tool_calls)
    name = names.get(message.name or "", message.name) if message.role == "tool" else message.name
    return replace(message, tool_calls=calls, name=name)


def _user(text: str) -> Turn:
    return Turn("user", [Message("user", (TextPart(text),))])


def _empty(message: Message) -> bool:
    # Reasoning alone does not count: providers reject a message that ends with it.
    return not (message.tool_calls or message.role == "tool" or nonblank_parts(message.content))


def _answered(messages: Sequence[Message]) -> list[Message]:
    """Every assistant message with calls is followed by exactly their results, in call order; orphans are dropped."""
    out: list[Message] = []
    index = 0
    while index < len(messages):
        message = messages[index]
        index += 1
        if message.role == "tool":
            continue
        out.append(message)
        if not message.tool_calls:
            continue
        results: dict[str | None, Message] = {}
        while index < len(messages) and messages[index].role == "tool":
            results.setdefault(messages[index].tool_call_id, messages[index])
            index += 1
        for call in message.tool_calls:
            found = results.get(call.id)
            out.append(found or tool_result(call, (TextPart(_UNANSWERED),), is_error=True))
    return out


def calls_as_text(turns: Sequence[Turn]) -> list[Turn]:
    """The same turns with calls and results as plain text, for a request that offers no tools.

    Anthropic and Bedrock reject tool blocks in a conversation without tool definitions.
    """
    return [Turn(turn.role, [_call_as_text(message) for message in turn.messages]) for turn in turns]


def _call_as_text(message: Message) -> Message:
    if message.role == "tool":
        what = "Error from" if message.is_error else "Result of"
        return Message("user", (TextPart(f"{what} tool {message.name}: "), *(message.content or (TextPart("-"),))))
    if not message.tool_calls:
        return message
    calls = tuple(TextPart(f"[called tool {call.name} with {call.arguments or '{}'}]") for call in message.tool_calls)
    return Message(message.role, (*message.content, *calls))
