"""The body of ``POST /v1/responses``, checked and typed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from aura_py.errors import RequestError, UnsupportedContent
from aura_py.messages import Message, TextPart, ToolCall
from aura_py.server.openai import fields
from aura_py.server.openai.call import Call
from aura_py.server.openai.content import content_parts
from aura_py.server.openai.messages import call_arguments, check_ending
from aura_py.server.openai.tools import client_tools, tool_choice

logger = logging.getLogger(__name__)

_ROLES: Final = frozenset({"user", "assistant"})


def parse_responses(body: Mapping[str, object]) -> Call:
    """Reads what every agent needs; unknown parameters are ignored, ``null`` is absent.

    Raises:
        RequestError: Something has the wrong type, or asks for a response that is kept on the server.
    """
    _refuse_stored(body)
    given = fields.array(body, "tools")
    choice, allowed = tool_choice(body)
    user = body.get("user") or body.get("safety_identifier")
    renamed = _sampling_names(body)
    attached: list[UnsupportedContent] = []
    return Call(
        body=renamed,
        model=fields.model(body),
        stream=fields.flag(body, "stream") or False,
        messages=_messages(body, attached),
        tools=client_tools(given),
        tool_choice=choice,
        allowed_tools=allowed,
        parallel_tool_calls=fields.flag(body, "parallel_tool_calls") if given else None,
        session=fields.session(body),
        metadata=fields.string_pairs(body),
        user=user if isinstance(user, str) and user else None,
        response_format=fields.table(renamed, "response_format"),
        attached=tuple(attached),
    )


def _refuse_stored(body: Mapping[str, object]) -> None:
    for key, wish in (("previous_response_id", "continue a stored response"), ("conversation", "use a stored one")):
        if body.get(key) is not None:
            raise _unsupported(
                key, f"`{key}` would {wish}; responses are not stored, send the conversation in `input`."
            )
    if body.get("prompt") is not None:
        raise _unsupported(
            "prompt", "`prompt` refers to a stored prompt, which this server does not have; the agent brings its own."
        )
    if body.get("background") is True:
        raise _unsupported("background", "`background` needs stored responses, which this server does not keep.")


def _unsupported(param: str, message: str) -> RequestError:
    return RequestError(message, param=param)


def _sampling_names(body: Mapping[str, object]) -> Mapping[str, object]:
    renamed = dict(body)
    reasoning = fields.table(body, "reasoning") or {}
    renamed["reasoning_effort"] = reasoning.get("effort")
    text = fields.table(body, "text") or {}
    shape = text.get("format")
    if isinstance(shape, Mapping) and shape.get("type") == "json_schema":
        schema = {key: value for key, value in shape.items() if key != "type"}
        renamed["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif isinstance(shape, Mapping):
        renamed["response_format"] = shape
    return renamed


def _messages(body: Mapping[str, object], attached: list[UnsupportedContent]) -> tuple[Message, ...]:
    given = body.get("input")
    if given is None:
        raise RequestError("`input` is required; send text or an array of items.", param="input")
    if isinstance(given, str):
        return (Message("user", (TextPart(given),)),)
    if not isinstance(given, list):
        raise fields.wrong("input", "a string or an array of items")
    if not given:
        raise RequestError("No input provided; `input` must not be empty.", param="input")
    return _converted(given, attached)


def _converted(items: Sequence[object], attached: list[UnsupportedContent]) -> tuple[Message, ...]:
    kept: list[Message] = []
    system: list[str] = []
    for index, item in enumerate(items):
        place = f"input[{index}]"
        if not isinstance(item, dict):
            raise fields.wrong(place, "an object")
        kind = item.get("type", "message")
        if kind == "message":
            message = _message(item, place, system, attached)
            if message is not None:
                kept.append(message)
        elif kind == "function_call":
            _add_call(kept, item, place)
        elif kind == "function_call_output":
            output = content_parts(item.get("output"), param=f"{place}.output", attached=[])
            kept.append(Message("tool", output or (TextPart(""),), tool_call_id=_required(item, "call_id", place)))
        elif kind == "mcp_call":
            _add_finished_call(kept, item, place)
        elif kind == "item_reference":
            raise _unsupported(
                place,
                f"`{place}` refers to a stored item; nothing is stored here, send the item itself (`store: false`).",
            )
        elif kind != "reasoning":
            logger.warning("an input item of the type `%s` was left out", fields.shown(str(kind)))
    if not kept and system:
        kept.append(Message("user", (TextPart("\n\n".join(system)),)))
    check_ending(kept[-1].role if kept else "", kept, with_tools=True, param="input")
    return tuple(kept)


def _message(
    item: dict[str, object], place: str, system: list[str], attached: list[UnsupportedContent]
) -> Message | None:
    role = item.get("role")
    if not isinstance(role, str):
        raise fields.wrong(f"{place}.role", "a string")
    content = content_parts(item.get("content"), param=f"{place}.content", attached=attached)
    if role in ("system", "developer"):
        system.append("".join(part.text for part in content if isinstance(part, TextPart)))
        return None
    if role not in _ROLES:
        logger.warning("an input message of the role `%s` was left out", fields.shown(role))
        return None
    if role == "assistant":
        return Message("assistant", content) if content else None
    return Message("user", content or (TextPart(""),))


def _add_call(kept: list[Message], item: dict[str, object], place: str) -> None:
    call = ToolCall(
        _required(item, "call_id", place), _required(item, "name", place), call_arguments(item.get("arguments"))
    )
    if kept and kept[-1].role == "assistant":
        kept[-1] = replace(kept[-1], tool_calls=(*kept[-1].tool_calls, call))
    else:
        kept.append(Message("assistant", (), (call,)))


def _add_finished_call(kept: list[Message], item: dict[str, object], place: str) -> None:
    """A call that Aura ran in an earlier turn, with its result if the client kept it."""
    identity = _required(item, "id", place)
    _add_call(kept, {**item, "call_id": identity}, place)
    result = item.get("output")
    if result is None:
        result = item.get("error")
    if isinstance(result, dict):
        result = result.get("content") or result.get("message")
    if result is not None:
        kept.append(Message("tool", content_parts(result, param=f"{place}.output", attached=[]), tool_call_id=identity))


def _required(item: dict[str, object], key: str, place: str) -> str:
    value = fields.text(item, key, param=f"{place}.{key}")
    if not value:
        raise RequestError(f"`{place}.{key}` is required.", param=f"{place}.{key}")
    return value
