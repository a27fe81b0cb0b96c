"""From a checked request to a running run: identity, session, headers that MCP servers may get."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.requests import Request

from aura_py.agent.contract import Turn
from aura_py.run.admission import new_context
from aura_py.run.catalog import Served
from aura_py.run.engine import Run
from aura_py.server.edge import Edge
from aura_py.server.keys import Principal
from aura_py.server.retries import Claim
from aura_py.server.session import session_id

REQUEST_ID = "aura.request_id"
PRINCIPAL = "aura.principal"


def edge_of(request: Request) -> Edge:
    edge: Edge = request.app.state.edge
    return edge


def principal_of(request: Request) -> Principal:
    principal: Principal = request.scope[PRINCIPAL]
    return principal


def caller_headers(headers: Headers) -> dict[str, str]:
    """Names in lower case; of a repeated header the last value, values outside printable ASCII left out (§9.8)."""
    kept: dict[str, str] = {}
    for name, value in headers.raw:
        text = value.decode("latin-1")
        if text.isascii() and text.isprintable():
            kept[name.decode("latin-1").lower()] = text
    return kept


def claim(request: Request, served: Served, body: bytes) -> Claim | None:
    """Whether this request repeats another one (ER-5)."""
    client = request.client.host if request.client is not None else ""
    principal = principal_of(request).name
    return edge_of(request).retries.claim(
        request.headers, path=request.scope["path"], principal=principal, client=client, served=served, body=body
    )


def start_run(
    request: Request,
    served: Served,
    turn: Turn,
    *,
    session: str | None,
    metadata: Mapping[str, str],
    user: str | None,
) -> Run:
    """Starts the run of one request."""
    edge = edge_of(request)
    principal = principal_of(request)
    context = new_context(
        session_id=session_id(session, request.headers),
        headers=caller_headers(request.headers),
        principal=principal.name,
        user=user or principal.name,
        metadata=metadata,
        limits=edge.services.limits(),
        request_id=request.scope[REQUEST_ID],
    )
    return edge.services.engine.start(
        served.runnable, turn, context, agent=served.id, buffer=edge.settings.streaming_buffer_size
    )


def run_headers(run: Run) -> dict[str, str]:
    """What every response of a run carries."""
    return {"x-chat-session-id": run.context.session_id, "x-request-id": run.context.request_id}
