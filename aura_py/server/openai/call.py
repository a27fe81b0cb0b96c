"""What both OpenAI endpoints are asked, once it is checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aura_py.agent.contract import ClientTool
from aura_py.errors import UnsupportedContent
from aura_py.llm.contract import ToolChoice
from aura_py.messages import JsonObject, Message


@dataclass(slots=True, frozen=True)
class Call:
    """One request. ``body`` is kept for parameters that only the chosen agent can judge; they have the names of chat
    completions in it."""

    body: Mapping[str, object]
    model: str | None
    stream: bool
    messages: tuple[Message, ...]
    tools: tuple[ClientTool, ...]
    tool_choice: ToolChoice
    allowed_tools: frozenset[str] | None
    parallel_tool_calls: bool | None
    session: str | None
    metadata: Mapping[str, str]
    user: str | None
    response_format: JsonObject | None
    attached: tuple[UnsupportedContent, ...]
    """What the conversation holds that no model can be given, as refusals; notes stand in its place."""
