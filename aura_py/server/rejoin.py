"""``GET /aura/runs/{id}``: the answer of a run that outlives its client."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp

from aura_py.errors import PathNotFound
from aura_py.server.admission import caller_of, edge_of
from aura_py.server.replay import Replay


async def rejoin(request: Request) -> ASGIApp:
    """Follows a running answer, or replays a finished one, from its first byte. The id is its ``x-request-id``."""
    run: str = request.path_params["run"]
    edge = edge_of(request)
    kept = edge.retries.kept(run, caller_of(request, None).owner)
    if kept is None:
        raise PathNotFound(
            f"There is no answer of a run `{run[:64]}` to be had; only those of agents with `on_disconnect = "
            '"continue"` are kept, for their own caller and for a while.'
        )
    tape, stream = kept
    return Replay(tape, stream, edge.pace)
