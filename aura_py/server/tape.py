"""A response as it was sent, for requests that follow or repeat it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager

import anyio

from aura_py.errors import RunCancelled
from aura_py.run.engine import Run


class Tape:
    """Frames of one response. ``limit`` bytes are kept; a longer response cannot be followed any more.

    ``grace`` is how many seconds the run of a response of which nothing was sent goes on without a reader, because
    its client is one that asks again.
    """

    def __init__(self, limit: int, now: Callable[[], float] = time.monotonic, grace: float = 0.0) -> None:
        self._limit = limit
        self._now = now
        self._grace = grace
        self._frames: list[bytes] = []
        self._news = anyio.Event()
        self._followers = 0
        self._run: Run | None = None
        self.head: tuple[int, Sequence[tuple[bytes, bytes]]] | None = None
        self.size = 0
        self.complete = False
        self.discarded = False
        self.overlong = False
        self.ended: float | None = None

    def start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.head = (status, headers)
        self._tell()

    def append(self, data: bytes, *, last: bool = False) -> None:
        """Keeps one write."""
        if self.discarded:
            return
        self.size += len(data)
        if self.size > self._limit and not self._followers:
            self.overlong = True
            self._forget()
            return
        if data:
            self._frames.append(data)
        self.complete = last
        if last:
            self.ended = self._now()
        self._tell()

    def discard(self) -> None:
        """The response ended before it was complete; a repeated request starts afresh. No effect on a complete one."""
        if not self.complete:
            self._forget()

    def hand_over(self, run: Run, *, begun: bool) -> bool:
        """The first reader has left: whether the run goes on. ``begun``: something of the answer was sent to it.

        A run that goes on is cancelled when the last follower leaves a response that has begun, or when the grace is
        over, nobody has come to follow, and asking again would repeat nothing.
        """
        self._run = run
        return bool(self._followers) or self._wait_for_retry(run, begun=begun)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Counts the caller as a reader, from before the status is known until the block is left."""
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1
            if self._run is not None and not self._followers and not self.complete:
                self._wait_for_retry(self._run, begun=self.head is not None)

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Every frame from the first on; ends when the response is complete or was discarded."""
        position = 0
        while True:
            while position < len(self._frames):
                position += 1
                yield self._frames[position - 1]
            if self.complete or self.discarded:
                return
            await self._news.wait()

    def _wait_for_retry(self, run: Run, *, begun: bool) -> bool:
        if begun or run.waiting or not self._grace:
            self._stop(run)
            return False
        asyncio.get_running_loop().call_later(self._grace, self._grace_is_over, run)
        return True

    def _grace_is_over(self, run: Run) -> None:
        if not self._followers and not self.complete and not run.acted:
            self._stop(run)

    def _stop(self, run: Run) -> None:
        self.discard()
        run.cancel(RunCancelled("The client left before the answer was complete."))

    async def wait_for_head(self) -> None:
        """Returns when the status is known or the response was discarded."""
        while self.head is None and not self.discarded:
            await self._news.wait()

    def _forget(self) -> None:
        self.discarded = True
        self.ended = self._now()
        self.size = 0
        if not self._followers:
            self._frames.clear()
        self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()
