"""``POST /v1/chat/completions`` (``http-api.md`` §9, ``clients.md`` §3–§8)."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.types import ASGIApp

from aura_py.agent.contract import Turn
from aura_py.run.catalog import Served
from aura_py.server.admission import claim, edge_of, end_user, principal_of, run_headers, start_run
from aura_py.server.body import json_object, read_body
from aura_py.server.chat_completion import ChatCollector
from aura_py.server.edge import Edge
from aura_py.server.json_run import Collector, JsonRun
from aura_py.server.openai.chat_request import ChatCall, parse_chat
from aura_py.server.openai.sampling import sampling
from aura_py.server.openai.strict import refuse_unhonoured
from aura_py.server.replay import Replay
from aura_py.server.run_stream import RunStream, StreamEncoder
from aura_py.server.side_answer import SideCollector, SideEncoder, side_answer, side_turn
from aura_py.server.side_requests import is_side_request
from aura_py.server.sse import ChatEncoder, EventChannel, StreamShape
from aura_py.server.vision import seen

_ON = frozenset({"1", "t", "true", "y", "yes", "on"})
_OFF = frozenset({"0", "f", "false", "n", "no", "off"})


async def chat_completions(request: Request) -> ASGIApp:
    """Answers with a stream or a JSON body; only the body's ``stream`` decides (EP-3)."""
    edge = edge_of(request)
    settings = edge.settings
    body = await read_body(request.headers, request.receive, settings.max_body_bytes)
    call = parse_chat(json_object(body))
    if settings.strict_requests:
        refuse_unhonoured(call.body)
    served = edge.choose(principal_of(request), call.model)
    messages, response_format = call.conversation.messages, call.response_format
    side = is_side_request(
        request.headers,
        stream=call.stream,
        has_tools=bool(call.tools),
        messages=messages,
        for_tasks=call.model is not None and call.model == settings.task_model,
    )
    answer = side_answer(request.headers, served, messages, response_format) if side else None
    turn = _turn(call, served) if answer is None else side_turn(served, messages, response_format)
    user = end_user(request, call.user)
    claimed = claim(request, served, body, user=user)
    if claimed is not None and claimed.repeats:
        return Replay(claimed.tape, call.stream, edge.pace)
    tape = claimed.tape if claimed is not None else None
    run = start_run(
        request, served, turn, session=call.session, metadata=call.metadata, user=user, side=side, tape=tape
    )
    stays = not side and served.config.agent.on_disconnect == "continue"
    shape = _shape(edge, request, call, served, run.context.session_id)
    known = [c.id for message in turn.messages for c in message.tool_calls]
    created = int(time.time())
    if call.stream:
        encoder: StreamEncoder = ChatEncoder(shape, created=created, known_ids=known)
        if answer is not None:
            encoder = SideEncoder(answer, encoder)
        return RunStream(run, encoder, run_headers(run), edge.pace, settings.debug_provider_errors, tape, stays)
    collector: Collector = ChatCollector(shape, created=created, known_ids=known)
    if answer is not None:
        collector = SideCollector(answer, collector)
    return JsonRun(run, collector, run_headers(run), settings.debug_provider_errors, edge.pace.stall, tape, stays)


def _turn(call: ChatCall, served: Served) -> Turn:
    return Turn(
        seen(call.conversation.messages, served),
        client_tools=call.tools,
        tool_choice=call.tool_choice,
        parallel_tool_calls=call.parallel_tool_calls,
        sampling=sampling(call.body, served.config.agent),
    )


def _shape(edge: Edge, request: Request, call: ChatCall, served: Served, session_id: str) -> StreamShape:
    settings = edge.settings
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
    """How a stream carries ``aura.*`` data (VX-1, ``sse-events.md`` S17).

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
