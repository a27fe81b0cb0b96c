"""From a checked request to its answer: the agent, side requests, repetitions, the run, its form on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from starlette.requests import Request
from starlette.types import ASGIApp

from aura_py.agent.contract import Turn
from aura_py.run.catalog import Served
from aura_py.run.engine import Run
from aura_py.server.admission import REQUEST_ID, caller_of, claim, edge_of, principal_of, run_headers, start_run
from aura_py.server.json_run import Collector, JsonRun
from aura_py.server.openai.call import Call
from aura_py.server.openai.sampling import sampling
from aura_py.server.openai.strict import refuse_unhonoured
from aura_py.server.replay import Replay
from aura_py.server.run_stream import RunStream, StreamEncoder
from aura_py.server.side_answer import SideCollector, SideEncoder, side_answer, side_turn
from aura_py.server.side_requests import client_instructions, is_side_request
from aura_py.server.vision import seen


class Form(Protocol):
    """How an endpoint writes a run, as a stream or as one body."""

    def encoder(self) -> StreamEncoder: ...
    def collector(self) -> Collector: ...


MakeForm: TypeAlias = Callable[[Run, Served, Iterable[str]], Form]
"""Gets the run, its agent and the ids of tool calls that the conversation uses already."""


def respond(request: Request, call: Call, body: bytes, form_of: MakeForm) -> ASGIApp:
    """The response to one request; a run has been started for it, unless it repeats another one.

    Args:
        body: The request as it came, by which a repetition is recognised.

    Raises:
        RequestError: The request cannot be served; nothing was started.
    """
    edge = edge_of(request)
    settings = edge.settings
    if settings.strict_requests:
        refuse_unhonoured(call.body)
    served = edge.choose(principal_of(request), call.model)
    if call.attached and served.config.agent.images != "note":
        raise call.attached[0]
    instructions = client_instructions(call.body)
    side = is_side_request(
        request.headers,
        stream=call.stream,
        has_tools=bool(call.tools),
        messages=call.messages,
        instructions=instructions,
        for_tasks=call.model is not None and call.model == settings.task_model,
    )
    answer = side_answer(request.headers, served, call.messages, call.response_format) if side else None
    if answer is None:
        turn = _turn(call, served)
    else:
        turn = side_turn(served, call.messages, call.response_format, instructions=instructions, cap=answer.cap)
    caller = caller_of(request, call.user)
    claimed = claim(request, served, body, caller)
    if claimed is not None and claimed.repeats:
        return Replay(claimed.tape, call.stream, edge.pace)
    tape = claimed.tape if claimed is not None else None
    stays = not side and served.config.agent.on_disconnect == "continue"
    if stays:
        tape = edge.retries.keep(request.scope[REQUEST_ID], caller.owner, tape, stream=call.stream)
    run = start_run(
        request, served, turn, session=call.session, metadata=call.metadata, caller=caller, side=side, tape=tape
    )
    form = form_of(run, served, [c.id for message in turn.messages for c in message.tool_calls])
    headers, debug = run_headers(run), settings.debug_provider_errors
    if call.stream:
        encoder = form.encoder()
        if answer is not None:
            encoder = SideEncoder(answer, encoder)
        return RunStream(run, encoder, headers, edge.pace, debug, tape, stays)
    collector = form.collector()
    if answer is not None:
        collector = SideCollector(answer, collector)
    return JsonRun(run, collector, headers, debug, edge.pace.stall, tape, stays)


def _turn(call: Call, served: Served) -> Turn:
    return Turn(
        seen(call.messages, served),
        client_tools=call.tools,
        tool_choice=call.tool_choice,
        allowed_tools=call.allowed_tools,
        parallel_tool_calls=call.parallel_tool_calls,
        sampling=sampling(call.body, served.config.agent),
    )
