"""A response as it is sent, for requests that follow or repeat it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from aura_py.errors import RunCancelled
from aura_py.run.engine import Run

Head: TypeAlias = tuple[int, Sequence[tuple[bytes, bytes]]]
"""Status and headers."""


class ResponseRecording:
    """The frames of one response, and who reads them.

    Args:
        limit: How many bytes are kept; a longer response cannot be followed any more. 0 keeps nothing.
        grace: How many seconds the run of a response of which nothing was sent goes on without a reader, because its
            client is one that asks again.
        outlives_client: The run goes on without a reader, unless it still waits for its turn.
    """

    def __init__(
        self,
        limit: int = 0,
        *,
        grace: float = 0.0,
        outlives_client: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._grace = grace
        self.outlives_client = outlives_client
        self._now = now
        self._frames: list[bytes] = []
        self._news: asyncio.Event | None = None
        self._followers = 0
        self._run: Run | None = None
        self.head: Head | None = None
        self.size = 0
        self.complete = False
        self.discarded = not limit
        self.overlong = False
        self.ended: float | None = None

    def start(self, head: Head) -> None:
        if not self.discarded:
            self.head = head
            self._notify()

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
        self._notify()

    def discard(self) -> None:
        """The response ended before it was complete; a repeated request starts afresh. No effect on a complete one."""
        if not self.complete:
            self._forget()

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Every frame from the first on; ends when the response is complete or was discarded."""
        position = 0
        while True:
            while position < len(self._frames):
                position += 1
                yield self._frames[position - 1]
            if self.complete or self.discarded:
                return
            await self._next_news()

    async def wait_for_head(self) -> None:
        """Returns when the status is known or the response was discarded."""
        while self.head is None and not self.discarded:
            await self._next_news()

    async def _next_news(self) -> None:
        if self._news is None:
            self._news = asyncio.Event()
        await self._news.wait()

    # --- readers ---------------------------------------------------------------------------------------------------

    @contextmanager
    def following(self) -> Iterator[None]:
        """Counts the caller as a reader, from before the status is known until the block is left."""
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1
            if self._run is not None and not self._followers and not self.complete:
                self._goes_on_unread(self._run, begun=self.head is not None)

    def first_reader_left(self, run: Run, *, begun: bool) -> bool:
        """Whether the run goes on; else it is cancelled. ``begun``: something of the answer was sent to that reader.

        A run that goes on is cancelled later when the last follower leaves a response that has begun, or when the
        grace is over, nobody has come to follow, and asking again would repeat nothing.
        """
        self._run = run
        return bool(self._followers) or self._goes_on_unread(run, begun=begun)

    def _goes_on_unread(self, run: Run, *, begun: bool) -> bool:
        if self.outlives_client and not run.waiting:
            return True
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

    def _forget(self) -> None:
        self.discarded = True
        self.ended = self._now()
        self.size = 0
        if not self._followers:
            self._frames.clear()
        self._notify()

    def _notify(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None
