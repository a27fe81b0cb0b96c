"""From a checked request to its response: the agent, side requests, repetitions, the session's turn, the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.types import ASGIApp

from aura_py.agent.contract import Turn
from aura_py.context import RunContext
from aura_py.run.catalog import ServedAgent
from aura_py.run.engine import Run
from aura_py.run.identity import new_context
from aura_py.run.recording import ResponseRecording
from aura_py.run.retries import Repeatable, identity_of
from aura_py.run.session_queue import SessionKey, Ticket
from aura_py.server.end_user import Caller
from aura_py.server.headers import forwarded_headers, forwarded_names, header_value, session_id
from aura_py.server.openai.call import Call
from aura_py.server.openai.sampling import refuse_unhonoured, sampling
from aura_py.server.parameter_names import rename_parameters
from aura_py.server.request_body import body_digest
from aura_py.server.run_response import Collector, RunAnswer, RunResponse, StreamEncoder
from aura_py.server.siblings import Siblings, may_pass_on
from aura_py.server.side_answer import side_answer, side_turn
from aura_py.server.side_requests import client_instructions, is_side_request
from aura_py.server.state import REQUEST_ID, caller_of, principal_of, state_of
from aura_py.server.vision import replace_unsupported_images

_CREDENTIALS: Final = ("authorization", "x-api-key", "api-key", "cookie", "x-chat-session-id", "x-openwebui-chat-id")


EncoderFactory: TypeAlias = Callable[[RunContext, ServedAgent, Iterable[str]], StreamEncoder | Collector]
"""Gets the run's context, its agent and the ids of tool calls that the conversation uses already."""


async def respond(
    request: Request,
    call: Call,
    body: bytes,
    encoder_for: EncoderFactory,
    parameter_names: Mapping[str, str] | None = None,
) -> ASGIApp:
    """The response to one request; a run has been started for it, unless it repeats another one.

    Args:
        body: The request as it came, by which a repetition is recognised.
        parameter_names: How this endpoint calls parameters that chat completions call otherwise.

    Raises:
        RequestError: The request cannot be served; nothing was started.
    """
    state = state_of(request)
    settings = state.settings
    if settings.strict_requests:
        refuse_unhonoured(call.body)
    served = state.choose(principal_of(request), call.model)
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
    session = session_id(call.session, request.headers, settings.session_headers)
    repeatable = await _repeatable(request, served, body, caller)
    if state.siblings is not None and may_pass_on(request):
        turns = None if side or session is None else (served.id, caller.owner, session)
        owner = await _owning_sibling(state.siblings, turns, repeatable)
        if owner is not None:
            return state.siblings.pass_on(
                owner, request, body, partial(respond, request, call, body, encoder_for, parameter_names)
            )
    recording = None
    if repeatable is not None:
        recording, repeats = state.retries.claim(repeatable)
        if repeats:
            return RunResponse(recording, stream=call.stream, timing=state.timing)
    if not side and served.config.agent.on_disconnect == "continue":
        recording = state.retries.keep(request.scope[REQUEST_ID], caller.owner, recording, stream=call.stream)
    recording = recording or ResponseRecording()
    try:
        context = _context(request, call, served, caller, session)
        encoder = encoder_for(context, served, [c.id for message in turn.messages for c in message.tool_calls])
        run = _start(request, served, turn, context, side=side)
    except BaseException:
        recording.discard()  # nobody must wait for what never comes
        raise
    headers = {"x-chat-session-id": context.session_id, "x-request-id": context.request_id}
    rewrite = rename_parameters(parameter_names) if parameter_names else None
    if answer is not None:
        rewrite = answer.rewrite
    started = RunAnswer(run, encoder, headers, settings.debug_provider_errors, rewrite)
    return RunResponse(recording, started, stream=call.stream, timing=state.timing)


async def _owning_sibling(siblings: Siblings, session: SessionKey | None, repeatable: Repeatable | None) -> int | None:
    """The process that orders the session's turns or remembers the request; ``None`` when any of them may answer."""
    if session is not None:
        return siblings.owner("session", *session)
    if repeatable is None:
        return None
    identity = identity_of(repeatable)
    if repeatable.key is not None:
        return siblings.owner("key", identity)
    return await siblings.holder(identity) if repeatable.again else None


def _turn(call: Call, served: ServedAgent) -> Turn:
    return Turn(
        replace_unsupported_images(call.messages, served),
        client_tools=call.tools,
        tool_choice=call.tool_choice,
        allowed_tools=call.allowed_tools,
        parallel_tool_calls=call.parallel_tool_calls,
        sampling=sampling(call.body, served.config.agent),
    )


async def _repeatable(request: Request, served: ServedAgent, body: bytes, caller: Caller) -> Repeatable | None:
    """How this request is recognised again; ``None`` when it cannot be."""
    headers = request.headers
    key = header_value(headers, "idempotency-key")
    count = header_value(headers, "x-stainless-retry-count") or ""
    if not key and not count.isdecimal():
        return None
    names = (*_CREDENTIALS, *forwarded_names(served.config), *state_of(request).settings.session_headers)
    values = (header_value(headers, name) for name in names)
    return Repeatable(
        owner=caller.owner,
        sender=(request.scope["path"], caller.user, served.id, *values),
        client=request.client.host if request.client is not None else "",
        digest=await body_digest(body, state_of(request).parsers),
        key=key,
        counts=count.isdecimal(),
        again=bool(count.strip("0")),
    )


def _context(request: Request, call: Call, served: ServedAgent, caller: Caller, session: str | None) -> RunContext:
    return new_context(
        session_id=session,
        headers=forwarded_headers(request.headers, forwarded_names(served.config)),
        principal=caller.principal,
        user=caller.user,
        owner=caller.owner,
        metadata=call.metadata,
        limits=state_of(request).services.limits(),
        request_id=request.scope[REQUEST_ID],
    )


def _start(request: Request, served: ServedAgent, turn: Turn, context: RunContext, *, side: bool) -> Run:
    """Starts the run; in a session that has a turn already, as the agent's policy says.

    ``side`` requests of a chat UI never wait for a turn.
    """
    state = state_of(request)
    ticket: Ticket | None = None
    if context.session_given and not side:
        session = (served.id, context.owner, context.session_id)
        ticket = state.queues.join(session, served.config.agent.session_turns)
    return state.services.engine.start(
        served.runnable, turn, context, agent=served.id, buffer=state.settings.streaming_buffer_size, ticket=ticket
    )
