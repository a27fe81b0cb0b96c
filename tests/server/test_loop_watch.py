"""What holds the event loop is found, with what it did meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from aura_py.server.loop_watch import LoopBlocked, LoopWatch


class Reports:
    """Collects reports, and lets the loop wait for the first."""

    def __init__(self) -> None:
        self.found: list[LoopBlocked] = []
        self._loop = asyncio.get_running_loop()
        self.any = asyncio.Event()

    def __call__(self, blocked: LoopBlocked) -> None:
        self.found.append(blocked)
        self._loop.call_soon_threadsafe(self.any.set)


def hold_the_loop(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.holds_loop
async def test_work_on_the_loop_is_reported_with_the_stack_of_what_did_it() -> None:
    reports = Reports()
    with LoopWatch(asyncio.get_running_loop(), reports):
        hold_the_loop(0.4)
        await reports.any.wait()
    (blocked,) = reports.found
    assert blocked.seconds > 0.2
    assert "hold_the_loop(0.4)" in str(blocked)


async def test_work_in_a_thread_and_waiting_are_nobodys_fault() -> None:
    reports = Reports()
    over = threading.Event()
    with LoopWatch(asyncio.get_running_loop(), reports):
        await asyncio.to_thread(hold_the_loop, 0.4)
        asyncio.get_running_loop().call_later(0.4, over.set)
        await asyncio.to_thread(over.wait)
    assert reports.found == []
