"""The body of ``POST /v1/chat/completions``, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aura_py.server.openai import fields
from aura_py.server.openai.call import Call
from aura_py.server.openai.content import Omitted
from aura_py.server.openai.limits import RequestLimits
from aura_py.server.openai.messages import parse_messages
from aura_py.server.openai.tools import client_tools, tool_choice


@dataclass(slots=True, frozen=True)
class ChatCall(Call):
    """One request for a chat completion. ``events`` is its own wish about ``aura.*`` data."""

    include_usage: bool
    events: bool | None


def parse_chat(body: Mapping[str, object], limits: RequestLimits = RequestLimits()) -> ChatCall:
    """Reads what every agent needs; unknown parameters are ignored, ``null`` is absent.

    Raises:
        RequestError: Something has the wrong type, is too long, or the conversation asks nothing.
    """
    limits.check(body)
    given = fields.array(body, "tools")
    choice, allowed = tool_choice(body)
    options = fields.table(body, "stream_options") or {}
    user = body.get("user")
    omitted = Omitted()
    call = ChatCall(
        body=body,
        model=fields.model(body),
        stream=fields.flag(body, "stream") or False,
        messages=parse_messages(fields.array(body, "messages"), with_tools=given is not None, omitted=omitted),
        tools=client_tools(given),
        tool_choice=choice,
        allowed_tools=allowed,
        parallel_tool_calls=fields.flag(body, "parallel_tool_calls") if given else None,
        session=fields.session(body),
        metadata=fields.string_pairs(body),
        user=user if isinstance(user, str) and user else None,
        response_format=fields.table(body, "response_format"),
        attached=tuple(omitted.refusals),
        include_usage=options.get("include_usage") is True,
        events=_events(body),
    )
    omitted.log()
    return call


def _events(body: Mapping[str, object]) -> bool | None:
    aura = body.get("aura")
    events = aura.get("events") if isinstance(aura, dict) else None
    return events if isinstance(events, bool) else None
