"""File work off the event loop, a few at a time in the whole process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

_AT_ONCE = 4
_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_limiter: RunVar[CapacityLimiter] = RunVar("aura_scratchpad_threads")


async def in_thread(work: Callable[[*_Ts], _T], *arguments: *_Ts, abandon: bool) -> _T:
    """Runs ``work`` in a thread. With ``abandon`` a cancelled caller does not wait for it to end."""
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(_AT_ONCE)
        _limiter.set(limiter)
    return await anyio.to_thread.run_sync(work, *arguments, abandon_on_cancel=abandon, limiter=limiter)
