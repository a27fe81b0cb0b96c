"""Deadlines that move with every event of a stream."""

from __future__ import annotations

import asyncio

import anyio

from aura_py.deadlines import NEVER, Deadline


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_a_deadline_that_passes_is_told_once() -> None:
    told: list[str] = []
    passed = asyncio.Event()

    def miss() -> None:
        told.append("first")

    first = Deadline(miss)
    second = Deadline(passed.set)
    first.move(soon(0.01))
    second.move(soon(0.02))
    with anyio.fail_after(5):
        await passed.wait()
    assert (told, first.at) == (["first"], NEVER)
    first.close()
    second.close()


async def test_a_deadline_that_is_put_off_is_not_missed() -> None:
    told: list[str] = []
    passed = asyncio.Event()
    busy = Deadline(lambda: told.append("busy"))
    silent = Deadline(passed.set)
    busy.move(soon(0.01))
    silent.move(soon(0.02))
    busy.move(soon(60))
    with anyio.fail_after(5):
        await passed.wait()
    assert told == []
    busy.close()
    silent.close()


async def test_a_closed_deadline_leaves_no_timer_behind() -> None:
    deadline = Deadline(lambda: None)
    deadline.move(soon(60))
    deadline.close()
    assert deadline._sweep.due == NEVER


async def test_a_deadline_may_be_set_again_when_it_is_missed() -> None:
    passed = asyncio.Event()
    told: list[int] = []

    def again() -> None:
        told.append(len(told))
        if len(told) == 3:
            passed.set()
        else:
            deadline.move(soon(0.001))

    deadline = Deadline(again)
    deadline.move(soon(0.001))
    with anyio.fail_after(5):
        await passed.wait()
    deadline.close()
    assert told == [0, 1, 2]
