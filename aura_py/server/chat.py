"""``POST /v1/chat/completions``."""

from __future__ import annotations

import time
from collections.abc import Iterable

from starlette.requests import Request
from starlette.types import ASGIApp

from aura_py.context import RunContext
from aura_py.run.catalog import ServedAgent
from aura_py.server.chat_completion import ChatCollector
from aura_py.server.openai.chat_request import ChatCall, parse_chat
from aura_py.server.request_body import parse_body, read_body
from aura_py.server.respond import respond
from aura_py.server.sse import ChatEncoder, EventChannel, StreamShape
from aura_py.server.state import state_of

_ON = frozenset({"1", "t", "true", "y", "yes", "on"})
_OFF = frozenset({"0", "f", "false", "n", "no", "off"})


async def chat_completions(request: Request) -> ASGIApp:
    """Answers with a stream or a JSON body; only the body's ``stream`` decides."""
    state = state_of(request)
    body = await read_body(request.headers, request.receive, state.settings.max_body_bytes)
    call = await parse_body(body, parse_chat, state.limits, state.parsers)

    def encoder(context: RunContext, served: ServedAgent, known_ids: Iterable[str]) -> ChatEncoder | ChatCollector:
        shape = _shape(request, call, served, context.session_id)
        make = ChatEncoder if call.stream else ChatCollector
        return make(shape, created=int(time.time()), known_ids=known_ids)

    return await respond(request, call, body, encoder)


def _shape(request: Request, call: ChatCall, served: ServedAgent, session_id: str) -> StreamShape:
    settings = state_of(request).settings
    about = served.runnable.describe()
    legacy_chunks = settings.tool_result_mode == "open-web-ui"
    return StreamShape(
        model=f"{about.provider}/{about.model}" if legacy_chunks else call.model or served.id,
        session_id=session_id,
        agent_id="coordinator" if about.orchestrated else "main",
        events=event_channel(request.headers.get("x-aura-events", ""), call.events, named=settings.custom_events),
        mode=settings.tool_result_mode,
        include_usage=call.include_usage,
        reasoning=served.config.agent.emit_reasoning,
        reasoning_field=served.config.agent.reasoning_field,
        progress=served.config.agent.show_progress,
        reasoning_events=settings.emit_reasoning,
        scratchpad_events=settings.emit_scratchpad_tool_events,
        result_limit=settings.tool_result_max_length,
        debug_errors=settings.debug_provider_errors,
    )


def event_channel(header: str, body: bool | None, *, named: bool) -> EventChannel:
    """How a stream carries ``aura.*`` data.

    The operator's switch gives named events, which a request may refuse; without it a request may ask for vendor
    chunks. The header beats the body.
    """
    word = header.strip().lower()
    wish = True if word in _ON else False if word in _OFF else body
    if wish is False:
        return "none"
    if named:
        return "named"
    return "vendor" if wish else "none"
