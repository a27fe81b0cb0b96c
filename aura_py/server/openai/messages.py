"""``messages`` of a chat completion as the conversation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import orjson

from aura_py.errors import RequestError
from aura_py.messages import Message, TextPart, ToolCall
from aura_py.server.openai.content import Omitted, content_parts
from aura_py.server.openai.fields import shown, wrong

logger = logging.getLogger(__name__)

_SYSTEM: Final = frozenset({"system", "developer"})


def parse_messages(messages: Sequence[object] | None, *, with_tools: bool, omitted: Omitted) -> tuple[Message, ...]:
    """The conversation in its original order, without system messages: the agent's own prompt is authoritative.

    Args:
        with_tools: The request offers tools, so calls and their results are part of the conversation.
        omitted: Gets what is left out.

    Raises:
        RequestError: Missing, empty, of a wrong shape, or ending with a message that asks nothing.
    """
    if messages is None:
        raise RequestError("`messages` is required; send the conversation as an array.", param="messages")
    if not messages:
        raise RequestError("No messages provided; `messages` must not be empty.", param="messages")
    kept: list[Message] = []
    system: list[str] = []
    last = ""
    for index, item in enumerate(messages):
        place = f"messages[{index}]"
        if not isinstance(item, dict):
            raise wrong(place, "an object")
        role = item.get("role")
        if not isinstance(role, str):
            raise wrong(f"{place}.role", "a string")
        if role in _SYSTEM:
            system.append(
                "".join(
                    p.text
                    for p in content_parts(item.get("content"), param=f"{place}.content", omitted=omitted)
                    if isinstance(p, TextPart)
                )
            )
            continue
        last = role
        message = _message(role, item, place, with_tools, omitted)
        if message is not None:
            kept.append(message)
    if system and last:
        logger.info("system messages of the client were dropped: the agent's own prompt is authoritative")
    if not last:
        kept.append(Message("user", (TextPart("\n\n".join(system)),)))
    if last == "function":
        last = kept[-1].role if kept else last
    check_ending(last or "user", kept, with_tools=with_tools)
    return tuple(kept)


def _message(role: str, item: dict[str, object], place: str, with_tools: bool, omitted: Omitted) -> Message | None:
    # What a tool answered is not the caller's to mend, so nothing in it is refused.
    refused = Omitted(notes=omitted.notes) if role == "tool" else omitted
    content = content_parts(item.get("content"), param=f"{place}.content", omitted=refused)
    if role == "user":
        return Message("user", content or (TextPart(""),))
    if role == "assistant":
        calls = _calls(item.get("tool_calls"), f"{place}.tool_calls")
        if not with_tools:
            calls = ()
        blank = not any(not isinstance(part, TextPart) or part.text.strip() for part in content)
        return None if blank and not calls else Message("assistant", () if blank else content, calls)
    if role == "tool":
        call_id = item.get("tool_call_id")
        if with_tools and isinstance(call_id, str) and call_id and item.get("content") is not None:
            return Message("tool", content or (TextPart(""),), tool_call_id=call_id)
        omitted.note("a tool result without `tools`, `tool_call_id` or content was left out")
        return None
    omitted.note(f"a message of the role `{shown(role)}` was left out")
    return None


def _calls(value: object, place: str) -> tuple[ToolCall, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise wrong(place, "an array")
    calls: list[ToolCall] = []
    for index, item in enumerate(value):
        function = item.get("function") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(function, dict):
            raise wrong(f"{place}[{index}]", "an object with `id` and `function`")
        call_id, name, arguments = item.get("id"), function.get("name"), function.get("arguments")
        if not isinstance(call_id, str) or not isinstance(name, str):
            raise wrong(f"{place}[{index}]", "a call with a string `id` and a string `function.name`")
        calls.append(ToolCall(call_id, name, call_arguments(arguments)))
    return tuple(calls)


def call_arguments(value: object) -> str:
    """JSON text of an object or at least of something; text that is not JSON travels as a JSON string."""
    if value is None or value == "":
        return "{}"
    if not isinstance(value, str):
        return orjson.dumps(value).decode()
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return orjson.dumps(value).decode()
    return value


def check_ending(last: str, kept: Sequence[Message], *, with_tools: bool, param: str = "messages") -> None:
    """A conversation ends with what is asked: a user's message, or results of the tools that the request offers.

    Raises:
        RequestError: It ends otherwise.
    """
    if last == "tool":
        if not with_tools:
            raise RequestError(
                "The last message has the role `tool`, but the request has no `tools`; send the tools again.",
                param=param,
            )
        if not any(message.role == "user" for message in kept):
            raise RequestError("A conversation that ends with a tool result needs a user message.", param=param)
    elif last != "user":
        raise RequestError(
            f"The last message has the role `{last[:64]}`; it must be `user`, or `tool` with `tools`.", param=param
        )
