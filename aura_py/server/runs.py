"""``GET /aura/runs/{id}``: the answer of a run that outlives its client."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.types import ASGIApp

from aura_py.errors import PathNotFound
from aura_py.run.retries import identity_of_run
from aura_py.server.run_response import RunResponse
from aura_py.server.siblings import may_pass_on
from aura_py.server.state import caller_of, state_of


async def get_run(request: Request) -> ASGIApp:
    """Follows a running answer, or replays a finished one, from its first byte. The id is its ``x-request-id``."""
    run: str = request.path_params["run"]
    state = state_of(request)
    owner = caller_of(request, None).owner
    kept = state.retries.kept(run, owner)
    if kept is None and state.siblings is not None and may_pass_on(request):
        holder = await state.siblings.holder(identity_of_run(run, owner))
        if holder is not None:
            return state.siblings.pass_on(holder, request, b"", partial(get_run, request))
    if kept is None:
        raise PathNotFound(
            f"There is no answer of a run `{run[:64]}` to be had; only those of agents with `on_disconnect = "
            '"continue"` are kept, for their own caller and for a while.'
        )
    recording, stream = kept
    return RunResponse(recording, stream=stream, timing=state.timing)
