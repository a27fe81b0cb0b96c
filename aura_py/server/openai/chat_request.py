"""The body of ``POST /v1/chat/completions``, checked and typed (``http-api.md`` §9.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aura_py.agent.contract import ClientTool
from aura_py.llm.contract import ToolChoice
from aura_py.messages import JsonObject
from aura_py.server.openai import fields
from aura_py.server.openai.messages import Conversation, parse_messages
from aura_py.server.openai.tools import client_tools, tool_choice


@dataclass(slots=True, frozen=True)
class ChatCall:
    """One request. ``body`` is kept for parameters that only the chosen agent can judge."""

    body: Mapping[str, object]
    model: str | None
    stream: bool
    include_usage: bool
    conversation: Conversation
    tools: tuple[ClientTool, ...]
    tool_choice: ToolChoice
    parallel_tool_calls: bool | None
    session: str | None
    metadata: Mapping[str, str]
    user: str | None
    events: bool | None
    response_format: JsonObject | None


def parse_chat(body: Mapping[str, object]) -> ChatCall:
    """Reads what every agent needs; unknown parameters are ignored, ``null`` is absent.

    Raises:
        RequestError: Something has the wrong type, or the conversation asks nothing.
    """
    given = fields.array(body, "tools")
    options = fields.table(body, "stream_options") or {}
    user = body.get("user")
    return ChatCall(
        body=body,
        model=fields.text(body, "model"),
        stream=fields.flag(body, "stream") or False,
        include_usage=options.get("include_usage") is True,
        conversation=parse_messages(fields.array(body, "messages"), with_tools=given is not None),
        tools=client_tools(given),
        tool_choice=tool_choice(body),
        parallel_tool_calls=fields.flag(body, "parallel_tool_calls") if given else None,
        session=fields.session(body),
        metadata=fields.string_pairs(body),
        user=user if isinstance(user, str) and user else None,
        events=_events(body),
        response_format=fields.table(body, "response_format"),
    )


def _events(body: Mapping[str, object]) -> bool | None:
    aura = body.get("aura")
    events = aura.get("events") if isinstance(aura, dict) else None
    return events if isinstance(events, bool) else None
