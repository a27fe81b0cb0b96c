"""The body of ``POST /v1/responses``, checked and typed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from aura_py.errors import RequestError
from aura_py.messages import Message, TextPart, ToolCall
from aura_py.server.openai import fields
from aura_py.server.openai.call import Call
from aura_py.server.openai.content import Omitted, content_parts
from aura_py.server.openai.limits import RequestLimits
from aura_py.server.openai.messages import call_arguments, check_ending
from aura_py.server.openai.tools import client_tools, tool_choice

_ROLES: Final = frozenset({"user", "assistant"})


def parse_responses(body: Mapping[str, object], limits: RequestLimits = RequestLimits()) -> Call:
    """Reads what every agent needs; unknown parameters are ignored, ``null`` is absent.

    Raises:
        RequestError: Something has the wrong type, is too long, or asks for a response that is kept on the server.
    """
    limits.check(body)
    _refuse_stored(body)
    given = fields.array(body, "tools")
    choice, allowed = tool_choice(body)
    user = body.get("user") or body.get("safety_identifier")
    renamed = _sampling_names(body)
    omitted = Omitted()
    call = Call(
        body=renamed,
        model=fields.model(body),
        stream=fields.flag(body, "stream") or False,
        messages=_messages(body, omitted),
        tools=client_tools(given),
        tool_choice=choice,
        allowed_tools=allowed,
        parallel_tool_calls=fields.flag(body, "parallel_tool_calls") if given else None,
        session=fields.session(body),
        metadata=fields.string_pairs(body),
        user=user if isinstance(user, str) and user else None,
        response_format=fields.table(renamed, "response_format"),
        attached=tuple(omitted.refusals),
    )
    omitted.log()
    return call


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


def _messages(body: Mapping[str, object], omitted: Omitted) -> tuple[Message, ...]:
    given = body.get("input")
    if given is None:
        raise RequestError("`input` is required; send text or an array of items.", param="input")
    if isinstance(given, str):
        return (Message("user", (TextPart(given),)),)
    if not isinstance(given, list):
        raise fields.wrong("input", "a string or an array of items")
    if not given:
        raise RequestError("No input provided; `input` must not be empty.", param="input")
    return _converted(given, omitted)


def _converted(items: Sequence[object], omitted: Omitted) -> tuple[Message, ...]:
    kept: list[Message] = []
    system: list[str] = []
    for index, item in enumerate(items):
        place = f"input[{index}]"
        if not isinstance(item, dict):
            raise fields.wrong(place, "an object")
        kind = item.get("type", "message")
        if kind == "message":
            message = _message(item, place, system, omitted)
            if message is not None:
                kept.append(message)
        elif kind == "function_call":
            kept.append(_call(item, "call_id", place))
        elif kind == "function_call_output":
            kept.append(_result(item.get("output"), _required(item, "call_id", place), place, omitted))
        elif kind == "mcp_call":
            kept += _finished_call(item, place, omitted)
        elif kind == "item_reference":
            raise _unsupported(
                place,
                f"`{place}` refers to a stored item; nothing is stored here, send the item itself (`store: false`).",
            )
        elif kind != "reasoning":
            omitted.note(f"an input item of the type `{fields.shown(str(kind))}` was left out")
    if not kept and system:
        kept.append(Message("user", (TextPart("\n\n".join(system)),)))
    check_ending(kept[-1].role if kept else "", kept, with_tools=True, param="input")
    return tuple(_with_calls_joined(kept))


def _with_calls_joined(messages: Iterable[Message]) -> Iterator[Message]:
    """Calls of one turn, which are items of their own here, belong to one message."""
    turn: Message | None = None
    calls: list[ToolCall] = []
    for message in messages:
        if turn is not None and message.role == "assistant" and message.tool_calls:
            calls += message.tool_calls
            continue
        if turn is not None:
            yield replace(turn, tool_calls=tuple(calls)) if calls else turn
        turn, calls = (message, list(message.tool_calls)) if message.role == "assistant" else (None, [])
        if turn is None:
            yield message
    if turn is not None:
        yield replace(turn, tool_calls=tuple(calls)) if calls else turn


def _message(item: dict[str, object], place: str, system: list[str], omitted: Omitted) -> Message | None:
    role = item.get("role")
    if not isinstance(role, str):
        raise fields.wrong(f"{place}.role", "a string")
    content = content_parts(item.get("content"), param=f"{place}.content", omitted=omitted)
    if role in ("system", "developer"):
        system.append("".join(part.text for part in content if isinstance(part, TextPart)))
        return None
    if role not in _ROLES:
        omitted.note(f"an input message of the role `{fields.shown(role)}` was left out")
        return None
    if role == "assistant":
        return Message("assistant", content) if content else None
    return Message("user", content or (TextPart(""),))


def _call(item: dict[str, object], id_key: str, place: str) -> Message:
    identity, name = _required(item, id_key, place), _required(item, "name", place)
    return Message("assistant", (), (ToolCall(identity, name, call_arguments(item.get("arguments"))),))


def _finished_call(item: dict[str, object], place: str, omitted: Omitted) -> Iterator[Message]:
    """A call that Aura ran in an earlier turn, with its result if the client kept it."""
    yield _call(item, "id", place)
    result = item.get("output")
    if result is None:
        result = item.get("error")
    if isinstance(result, dict):
        result = result.get("content") or result.get("message")
    if result is not None:
        yield _result(result, _required(item, "id", place), place, omitted)


def _result(output: object, call_id: str, place: str, omitted: Omitted) -> Message:
    """What a tool answered is not the caller's to mend, so nothing in it is refused."""
    content = content_parts(output, param=f"{place}.output", omitted=Omitted(notes=omitted.notes))
    return Message("tool", content or (TextPart(""),), tool_call_id=call_id)


def _required(item: dict[str, object], key: str, place: str) -> str:
    value = fields.text(item, key, param=f"{place}.{key}")
    if not value:
        raise RequestError(f"`{place}.{key}` is required.", param=f"{place}.{key}")
    return value
