"""The order of the middlewares around every tool call, for agents and workers alike."""

from __future__ import annotations

from aura_py.agent.duplicates import DuplicateGuard
from aura_py.agent.nudges import TurnNudges
from aura_py.tools.contract import Middleware


def ordered_middlewares(
    *,
    submission: Middleware | None = None,
    nudges: TurnNudges,
    guard: DuplicateGuard,
    footer: Middleware | None = None,
    scratchpad: Middleware | None = None,
    recorder: Middleware | None = None,
) -> tuple[Middleware, ...]:
    """Return the middlewares that are there, outermost first.

    Nudges and the notes of the guard are added outside the scratchpad, so that they are never parked with an output;
    the recorder is innermost, because it keeps the output as the tool gave it.
    """
    chain = (submission, nudges if nudges.active else None, guard, footer, scratchpad, recorder)
    return tuple(middleware for middleware in chain if middleware is not None)
