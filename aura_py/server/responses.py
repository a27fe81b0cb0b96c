"""``POST /v1/responses`` (``clients.md`` §9)."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.types import ASGIApp

from aura_py.agent.contract import Turn
from aura_py.errors import PathNotFound
from aura_py.run.catalog import Served
from aura_py.server.admission import claim, edge_of, end_user, principal_of, run_headers, start_run
from aura_py.server.body import json_object, read_body
from aura_py.server.json_run import Collector, JsonRun
from aura_py.server.openai import fields
from aura_py.server.openai.responses_request import ResponsesCall, parse_responses
from aura_py.server.openai.sampling import sampling
from aura_py.server.openai.strict import refuse_unhonoured
from aura_py.server.replay import Replay
from aura_py.server.run_stream import RunStream, StreamEncoder
from aura_py.server.side_answer import SideCollector, SideEncoder, side_answer, side_turn
from aura_py.server.side_requests import is_side_request
from aura_py.server.sse import StreamShape
from aura_py.server.sse.responses import ResponsesCollector, ResponsesEncoder
from aura_py.server.vision import seen


async def create_response(request: Request) -> ASGIApp:
    """Answers with a stream or a JSON body. Nothing is stored: the conversation comes in ``input``."""
    edge = edge_of(request)
    settings = edge.settings
    body = await read_body(request.headers, request.receive, settings.max_body_bytes)
    call = parse_responses(json_object(body))
    if settings.strict_requests:
        refuse_unhonoured(call.body)
    served = edge.choose(principal_of(request), call.model)
    response_format = fields.table(call.body, "response_format")
    side = is_side_request(
        request.headers,
        stream=call.stream,
        has_tools=bool(call.tools),
        messages=call.messages,
        for_tasks=call.model is not None and call.model == settings.task_model,
    )
    answer = side_answer(request.headers, served, call.messages, response_format) if side else None
    turn = _turn(call, served) if answer is None else side_turn(served, call.messages, response_format)
    user = end_user(request, call.user)
    claimed = claim(request, served, body, user=user)
    if claimed is not None and claimed.repeats:
        return Replay(claimed.tape, call.stream, edge.pace)
    tape = claimed.tape if claimed is not None else None
    run = start_run(
        request, served, turn, session=call.session, metadata=call.metadata, user=user, side=side, tape=tape
    )
    stays = not side and served.config.agent.on_disconnect == "continue"
    shape = StreamShape(
        model=call.model or served.id,
        session_id=run.context.session_id,
        reasoning=served.config.agent.emit_reasoning,
        scratchpad_events=settings.emit_scratchpad_tool_events,
        result_limit=settings.tool_result_max_length,
        debug_errors=settings.debug_provider_errors,
    )
    encoder = ResponsesEncoder(
        shape,
        created=int(time.time()),
        metadata={**call.metadata, "chat_session_id": run.context.session_id},
        known_ids=[c.id for message in turn.messages for c in message.tool_calls],
    )
    headers = run_headers(run)
    if call.stream:
        writer: StreamEncoder = encoder if answer is None else SideEncoder(answer, encoder)
        return RunStream(run, writer, headers, edge.pace, settings.debug_provider_errors, tape, stays)
    collector: Collector = ResponsesCollector(encoder)
    if answer is not None:
        collector = SideCollector(answer, collector)
    return JsonRun(run, collector, headers, settings.debug_provider_errors, edge.pace.stall, tape, stays)


def _turn(call: ResponsesCall, served: Served) -> Turn:
    return Turn(
        seen(call.messages, served),
        client_tools=call.tools,
        tool_choice=call.tool_choice,
        parallel_tool_calls=call.parallel_tool_calls,
        sampling=sampling(call.body, served.config.agent),
    )


async def stored_response(request: Request) -> ASGIApp:
    """Retrieval, cancellation and deletion of responses, none of which is ever kept."""
    raise PathNotFound("Responses are not stored on this server; send the conversation again in `input`.")
