"""The one ordered, bounded way from a run to its reader.

What arrived since the reader last looked is handed over as one list, so a reader that is behind catches up with one
write. Content waits when the buffer is full; events of the side channel never wait: progress and reasoning that nobody
reads fast enough are dropped oldest first, everything else is kept.
"""

from __future__ import annotations

import asyncio

from aura_py.events import Event, ReasoningDelta, ToolProgress, WorkerReasoning

_DROPPABLE = (ToolProgress, WorkerReasoning, ReasoningDelta)


class EventStream:
    """Single producer task (plus its side channel), single reader."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pending: list[Event] = []
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._closed = False
        self._discarding = False

    async def put(self, batch: list[Event]) -> None:
        """Appends a batch; waits while more than the limit is unread."""
        if self._discarding or self._closed:
            return
        self._pending += batch
        self._wake_reader()
        while len(self._pending) >= self._limit and not self._discarding:
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None

    def emit(self, event: Event) -> None:
        """Appends one event of the side channel without waiting."""
        if self._discarding or self._closed:
            return
        if len(self._pending) >= self._limit and isinstance(event, _DROPPABLE):
            self._drop_oldest()
        self._pending.append(event)
        self._wake_reader()

    def close(self, last: Event) -> None:
        """Appends the closing event; :meth:`take` answers with an empty list after it. Only the first call counts."""
        if self._closed:
            return
        self._pending.append(last)
        self._closed = True
        self._wake_reader()

    def discard(self) -> None:
        """Forgets what is unread and whatever comes."""
        self._discarding = True
        self._pending.clear()
        self._wake_reader()
        self._wake_writer()

    async def take(self) -> list[Event]:
        """Everything unread; waits for something. Empty once the stream has ended. May be cancelled without loss."""
        while not self._pending and not self._closed:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        batch, self._pending = self._pending, []
        self._wake_writer()
        return batch

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_writer(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def _drop_oldest(self) -> None:
        for index, event in enumerate(self._pending):
            if isinstance(event, _DROPPABLE):
                del self._pending[index]
                return
