"""A response as it was sent, for requests that follow or repeat it (``clients.md`` ER-5)."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence

import anyio


class Tape:
    """Frames of one response. ``limit`` bytes are kept; a longer response cannot be followed any more."""

    def __init__(self, limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._now = now
        self._frames: list[bytes] = []
        self._news = anyio.Event()
        self._followers = 0
        self._orphaned: Callable[[], None] | None = None
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

    def hand_over(self, orphaned: Callable[[], None]) -> bool:
        """The first reader has left: whether others still follow. ``orphaned`` is called when the last one leaves.

        Without followers the tape is discarded.
        """
        if not self._followers:
            self.discard()
            return False
        self._orphaned = orphaned
        return True

    async def follow(self) -> AsyncGenerator[bytes, None]:
        """Every frame from the first on; ends when the response is complete or was discarded."""
        self._followers += 1
        try:
            position = 0
            while True:
                while position < len(self._frames):
                    position += 1
                    yield self._frames[position - 1]
                if self.complete or self.discarded:
                    return
                await self._news.wait()
        finally:
            self._followers -= 1
            if not self._followers and self._orphaned is not None and not self.complete:
                self._orphaned()

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
