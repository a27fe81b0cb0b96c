"""From a checked request to a running run: identity, session, headers that MCP servers may get."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from aura_py.agent.contract import Turn
from aura_py.run.admission import new_context
from aura_py.run.catalog import Served
from aura_py.run.engine import Run
from aura_py.server.edge import Edge
from aura_py.server.end_user import Caller
from aura_py.server.headers import forwarded_headers, forwarded_names
from aura_py.server.keys import Principal
from aura_py.server.retries import Claim
from aura_py.server.session import session_id
from aura_py.server.tape import Tape
from aura_py.server.turns import Place, SessionBusy

REQUEST_ID = "aura.request_id"
PRINCIPAL = "aura.principal"


def edge_of(request: Request) -> Edge:
    edge: Edge = request.app.state.edge
    return edge


def principal_of(request: Request) -> Principal:
    principal: Principal = request.scope[PRINCIPAL]
    return principal


def caller_of(request: Request, named: str | None) -> Caller:
    """Who asks; ``named`` is ``user`` of the request's body."""
    return edge_of(request).users.caller(request.headers, principal_of(request), named)


def claim(request: Request, served: Served, body: bytes, caller: Caller) -> Claim | None:
    """Whether this request repeats another one."""
    client = request.client.host if request.client is not None else ""
    return edge_of(request).retries.claim(
        request.headers, path=request.scope["path"], caller=caller, client=client, served=served, body=body
    )


def start_run(
    request: Request,
    served: Served,
    turn: Turn,
    *,
    session: str | None,
    metadata: Mapping[str, str],
    caller: Caller,
    side: bool = False,
    tape: Tape | None = None,
) -> Run:
    """Starts the run of one request; in a session that has a turn already, as the agent's policy says.

    Args:
        side: A side request of a chat UI, which never waits for a turn.
        tape: Discarded when nothing is started.

    Raises:
        SessionBusy: The agent lets nobody wait in this session, or too many do.
        RequestError: A header that names the session or is passed on is sent more than once.
    """
    edge = edge_of(request)
    context = new_context(
        session_id=session_id(session, request.headers, edge.settings.session_headers),
        headers=forwarded_headers(request.headers, forwarded_names(served.config)),
        principal=caller.principal,
        user=caller.user,
        owner=caller.owner,
        metadata=metadata,
        limits=edge.services.limits(),
        request_id=request.scope[REQUEST_ID],
    )
    place: Place | None = None
    if context.session_given and not side:
        try:
            conversation = (served.id, caller.owner, context.session_id)
            place = edge.turns.join(conversation, served.config.agent.session_turns)
        except SessionBusy:
            if tape is not None:
                tape.discard()
            raise
    run = edge.services.engine.start(
        served.runnable, turn, context, agent=served.id, buffer=edge.settings.streaming_buffer_size, place=place
    )
    if place is not None:
        place.stop = run.cancel
    return run


def run_headers(run: Run) -> dict[str, str]:
    """What every response of a run carries."""
    return {"x-chat-session-id": run.context.session_id, "x-request-id": run.context.request_id}
