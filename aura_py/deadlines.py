"""Deadlines that move with every event of a stream.

A timer of its own for each would be made and cancelled with every token. Instead one timer for each event loop looks at
all deadlines when the soonest is due, though not more than ten times a second, so one may pass up to 100 ms late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

NEVER: Final = float("inf")
_RESOLUTION: Final = 0.1

_sweeps: WeakKeyDictionary[asyncio.AbstractEventLoop, _Sweep] = WeakKeyDictionary()


class Deadline:
    """Calls ``missed`` when ``at`` has passed on the running loop's clock; moving it costs next to nothing.

    ``missed`` is called once for each time that is set, outside of any task.
    """

    __slots__ = ("_sweep", "at", "missed")

    def __init__(self, missed: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        sweep = _sweeps.get(loop)
        if sweep is None:
            sweep = _sweeps[loop] = _Sweep()
        self._sweep = sweep
        self.missed = missed
        self.at = NEVER
        sweep.deadlines.add(self)

    def move(self, at: float) -> None:
        self.at = at
        if at < self._sweep.due:
            self._sweep.wake_at(at)

    def close(self) -> None:
        """Forgets the deadline; it is not moved again."""
        self.at = NEVER
        self._sweep.forget(self)


class _Sweep:
    """All deadlines of one loop and the timer that looks at them."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self.deadlines: set[Deadline] = set()
        self.due = NEVER

    def wake_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.due = at
        self._timer = asyncio.get_running_loop().call_at(at, self._look)

    def forget(self, deadline: Deadline) -> None:
        self.deadlines.discard(deadline)
        if not self.deadlines and self._timer is not None:
            self._timer.cancel()
            self._timer, self.due = None, NEVER

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer, self.due = None, NEVER
        for deadline in [each for each in self.deadlines if each.at <= now]:
            if deadline.at <= now:  # the one before may have moved or closed it
                deadline.at = NEVER
                deadline.missed()
        soonest = min((each.at for each in self.deadlines), default=NEVER)
        if soonest < self.due:
            self.wake_at(max(soonest, now + _RESOLUTION))
