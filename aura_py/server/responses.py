"""``POST /v1/responses``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp

from aura_py.context import RunContext
from aura_py.errors import PathNotFound
from aura_py.run.catalog import ServedAgent
from aura_py.server.openai.responses_request import parse_responses
from aura_py.server.request_body import parse_body, read_body
from aura_py.server.respond import respond
from aura_py.server.sse import StreamShape
from aura_py.server.sse.responses import ResponsesCollector, ResponsesEncoder
from aura_py.server.state import state_of

_PARAMETER_NAMES: Final = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
}


async def create_response(request: Request) -> ASGIApp:
    """Answers with a stream or a JSON body. Nothing is stored: the conversation comes in ``input``."""
    state = state_of(request)
    settings = state.settings
    body = await read_body(request.headers, request.receive, settings.max_body_bytes)
    call = await parse_body(body, parse_responses, state.limits, state.parsers)

    def encoder(
        context: RunContext, served: ServedAgent, known_ids: Iterable[str]
    ) -> ResponsesEncoder | ResponsesCollector:
        shape = StreamShape(
            model=call.model or served.id,
            session_id=context.session_id,
            reasoning=served.config.agent.emit_reasoning,
            scratchpad_events=settings.emit_scratchpad_tool_events,
            result_limit=settings.tool_result_max_length,
            debug_errors=settings.debug_provider_errors,
        )
        metadata = {**call.metadata, "chat_session_id": context.session_id}
        written = ResponsesEncoder(
            shape,
            created=int(time.time()),
            metadata=metadata,
            request=call.body,
            temperature=served.config.agent.llm.temperature,
            known_ids=known_ids,
            tools=settings.responses_tools,
        )
        return written if call.stream else ResponsesCollector(written)

    return await respond(request, call, body, encoder, _PARAMETER_NAMES)


async def stored_response(request: Request) -> ASGIApp:
    """Retrieval, cancellation and deletion of responses, none of which is ever kept."""
    raise PathNotFound("Responses are not stored on this server; send the conversation again in `input`.")
