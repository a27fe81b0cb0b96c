"""What becomes of a run when its client leaves, and once its response is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from aura_py.errors import RunCancelled
from aura_py.run.engine import Run
from aura_py.server.outlet import Outlet
from aura_py.server.tape import Tape

_CLOSING: Final = 10.0


def client_left(run: Run, tape: Tape | None, *, stays: bool, begun: bool) -> bool:
    """Whether the run goes on: it ``stays`` once it has its turn, or its tape has another reader or waits for one."""
    if stays and not run.waiting:
        return True
    if tape is not None:
        return tape.hand_over(run, begun=begun)
    run.cancel(RunCancelled("The client left before the answer was complete."))
    return False


async def serve_run(outlet: Outlet, writer: Callable[[], Awaitable[None]], run: Run, tape: Tape | None) -> None:
    """Runs ``writer`` through the outlet, then ends whatever of the run is left."""
    try:
        await outlet.serve(writer)
    finally:
        run.abandon()
        run.cancel(RunCancelled("The client's connection was closed."))
        if tape is not None:
            tape.discard()
    with anyio.move_on_after(_CLOSING):
        await run.closed()
