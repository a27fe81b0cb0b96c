"""Finds what holds the event loop: a development setting, and a check of every test."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

LIMIT_SECONDS: Final = 0.2
_INTERVAL_SECONDS: Final = 0.03


@dataclass(slots=True, frozen=True)
class LoopBlocked:
    """The loop answered nobody for ``seconds`` of its own CPU time; ``stack`` is what it did then, if it was seen."""

    seconds: float
    stack: str

    def __str__(self) -> str:
        return f"the event loop was held for {self.seconds:.2f} s of its CPU time by:\n{self.stack or '(not seen)'}"


class LoopWatch:
    """Watches the loop of the thread that enters it, from a thread of its own.

    CPU time of the loop's thread counts, not the time that has passed: waiting for a busy machine is nobody's fault.
    Where the system cannot tell it (macOS), the time that has passed does.

    Args:
        report: Called in the watching thread.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, report: Callable[[LoopBlocked], None], limit: float = LIMIT_SECONDS
    ) -> None:
        self._loop = loop
        self._report = report
        self._limit = limit
        self._used: Callable[[], float] = time.monotonic
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)

    def __enter__(self) -> Self:
        self._watched = threading.get_ident()
        clock_of = getattr(time, "pthread_getcpuclockid", None)
        if clock_of is not None:
            clock = clock_of(self._watched)
            self._used = lambda: time.clock_gettime(clock)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_INTERVAL_SECONDS):
            asked, answered = self._used(), threading.Event()
            at, stack = asked, ""

            def answer(answered: threading.Event = answered) -> None:
                nonlocal at
                at = self._used()
                answered.set()

            try:
                self._loop.call_soon_threadsafe(answer)
            except RuntimeError:  # the loop is closed
                return
            while not answered.wait(_INTERVAL_SECONDS) and not self._over.is_set():
                if not stack and self._used() - asked > self._limit:
                    frame = sys._current_frames().get(self._watched)
                    stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
            held = (at if answered.is_set() else self._used()) - asked
            if held > self._limit:
                self._report(LoopBlocked(held, stack))
