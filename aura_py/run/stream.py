"""The one ordered, bounded way from a run to its reader.

What arrived since the reader last looked is handed over as one list, so a reader that is behind catches up with one
write. Content waits when the buffer is full; events of the side channel never wait: progress and reasoning that nobody
reads fast enough are dropped oldest first, everything else is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from aura_py.events import Event, ReasoningDelta, ToolProgress, WorkerReasoning

Sink: TypeAlias = Callable[[list[Event]], bool]
"""Gets a batch as it comes and says whether it took it; one that it did not take waits for the reader."""

_DROPPABLE = (ToolProgress, WorkerReasoning, ReasoningDelta)


class EventStream:
    """Single producer task (plus its side channel), single reader.

    A reader that can write at once without waiting gives a sink: handing every batch to the reader's task would cost a
    switch of tasks for each token. Whatever is unread goes first, so the order stays.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pending: list[Event] = []
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._sink: Sink | None = None
        self._broken: Exception | None = None
        self._closed = False
        self._discarding = False

    async def put(self, batch: list[Event]) -> None:
        """Appends a batch; waits while more than the limit is unread."""
        if self._discarding or self._closed or (self._sink is not None and not self._pending and self._sunk(batch)):
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

    def push_to(self, sink: Sink) -> None:
        """From now on batches go to ``sink`` if it takes them. What it raises is raised by :meth:`take`."""
        self._sink = sink

    def discard(self) -> None:
        """Forgets what is unread and whatever comes."""
        self._discarding = True
        self._sink = None
        self._pending.clear()
        self._wake_reader()
        self._wake_writer()

    async def take(self, within: float | None = None) -> list[Event]:
        """Everything unread; waits for something. May be cancelled without loss.

        Empty once the stream has ended, and when there was nothing ``within`` so many seconds.
        """
        if not self._pending and not self._closed and self._broken is None:
            loop = asyncio.get_running_loop()
            self._reader = loop.create_future()
            timer = None if within is None else loop.call_later(within, self._wake_reader)
            try:
                await self._reader
            finally:
                self._reader = None
                if timer is not None:
                    timer.cancel()
        if self._broken is not None:
            raise self._broken
        batch, self._pending = self._pending, []
        self._wake_writer()
        return batch

    def _sunk(self, batch: list[Event]) -> bool:
        assert self._sink is not None
        try:
            return self._sink(batch)
        except Exception as error:  # the reader's fault, which must not look like the run's
            self._broken, self._sink = error, None
            return False

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
