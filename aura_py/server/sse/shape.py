"""Which of the documented forms a stream takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ToolResultMode = Literal["none", "open-web-ui", "aura"]
EventChannel = Literal["none", "named", "vendor"]
"""``named``: SSE events of the legacy switch. ``vendor``: chunks with an ``aura`` key, asked for per request."""


@dataclass(slots=True, frozen=True)
class StreamShape:
    """Everything an encoder must know that is not an event.

    ``model`` is the id the client asked for. ``reasoning`` puts thinking into ``reasoning_field``, ``progress`` short
    lines about tools and workers;
    ``reasoning_events`` and ``scratchpad_events`` let the gated events through. ``agent_id`` is ``main`` or
    ``coordinator``. ``result_limit`` is in bytes, 0 is no limit.
    """

    model: str
    session_id: str
    agent_id: str = "main"
    events: EventChannel = "none"
    mode: ToolResultMode = "none"
    include_usage: bool = False
    reasoning: bool = True
    reasoning_field: Literal["reasoning_content", "reasoning"] = "reasoning_content"
    progress: bool = False
    reasoning_events: bool = False
    scratchpad_events: bool = False
    result_limit: int = 1000
    debug_errors: bool = False
    trace_id: str | None = None

    @property
    def legacy(self) -> bool:
        """One of the two legacy switches is on for this stream."""
        return self.events == "named" or self.mode == "open-web-ui"
