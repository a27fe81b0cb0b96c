"""A clock that jumps to the next alarm whenever nothing else can happen."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import anyio.to_thread

_QUIET_ROUNDS = 40
_START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class JumpingClock:
    """For runs without sockets and files: waiting for those would look like quiet. Threads are waited for."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.sleeps: list[float] = []
        self._alarms: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._touched = 0

    def monotonic(self) -> float:
        self._touched += 1
        return self.elapsed

    def now(self) -> datetime:
        return _START + timedelta(seconds=self.elapsed)

    async def sleep(self, seconds: float) -> None:
        self._touched += 1
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self.sleeps.append(seconds)
        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._alarms, (self.elapsed + seconds, next(self._numbers), alarm))
        await alarm

    async def _jump(self) -> None:
        threads = anyio.to_thread.current_default_thread_limiter()
        while True:
            before, busy = self._touched, False
            for _ in range(_QUIET_ROUNDS):
                # looked at in every round: what a thread's result sets going has as many rounds as everything else
                if threads.borrowed_tokens:
                    busy = True
                    await asyncio.sleep(0.001)
                    break
                await asyncio.sleep(0)
            if busy or self._touched != before:
                continue
            while self._alarms and self._alarms[0][2].done():
                heapq.heappop(self._alarms)
            if self._alarms:
                moment, _, alarm = heapq.heappop(self._alarms)
                self.elapsed = max(self.elapsed, moment)
                alarm.set_result(None)
            else:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def jumping_clock() -> AsyncIterator[JumpingClock]:
    clock = JumpingClock()
    async with anyio.create_task_group() as group:
        group.start_soon(clock._jump)
        yield clock
        group.cancel_scope.cancel()
