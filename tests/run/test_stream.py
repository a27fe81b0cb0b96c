"""The way from a run to its reader."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from aura_py.events import Event, Notice, TextDelta, ToolProgress
from aura_py.run.stream import EventStream


def progress(n: int) -> ToolProgress:
    return ToolProgress("c", "t", float(n))


async def test_everything_unread_is_handed_over_as_one_list_in_order() -> None:
    stream = EventStream(10)
    await stream.put([TextDelta("a"), TextDelta("b")])
    stream.emit(Notice("n", "m"))
    await stream.put([TextDelta("c")])
    batch = await stream.take()
    assert [type(e).__name__ for e in batch] == ["TextDelta", "TextDelta", "Notice", "TextDelta"]


async def test_content_waits_for_a_slow_reader_and_goes_on_when_it_reads() -> None:
    stream = EventStream(2)
    written: list[int] = []

    async def produce() -> None:
        for n in range(6):
            await stream.put([TextDelta(str(n))])
            written.append(n)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(produce)
        await anyio.wait_all_tasks_blocked()
        assert written == [0]
        seen: list[Event] = []
        while len(seen) < 6:
            seen += await stream.take()
            await anyio.wait_all_tasks_blocked()
    assert [e.text for e in seen if isinstance(e, TextDelta)] == list("012345")


async def test_three_hundred_progress_notes_without_a_reader_neither_block_nor_push_out_what_matters() -> None:
    stream = EventStream(50)
    stream.emit(Notice("first", "kept"))
    for n in range(300):
        stream.emit(progress(n))
    stream.emit(Notice("last", "kept"))
    batch = await stream.take()
    assert [e.code for e in batch if isinstance(e, Notice)] == ["first", "last"]
    assert len(batch) <= 52
    assert max(e.progress for e in batch if isinstance(e, ToolProgress)) == 299


async def test_a_closed_stream_ends_after_its_last_event_and_ignores_what_comes_later() -> None:
    stream = EventStream(5)
    stream.close(Notice("end", ""))
    stream.close(Notice("again", ""))
    stream.emit(Notice("late", ""))
    await stream.put([TextDelta("late")])
    assert [e.code for e in await stream.take() if isinstance(e, Notice)] == ["end"]
    assert await stream.take() == []


async def test_a_reader_that_left_never_holds_the_run() -> None:
    stream = EventStream(1)
    blocked = asyncio.ensure_future(stream.put([TextDelta("a"), TextDelta("b")]))
    await anyio.wait_all_tasks_blocked()
    assert not blocked.done()
    stream.discard()
    await blocked
    await stream.put([TextDelta("c")])


async def test_a_sink_gets_batches_at_once_until_it_takes_no_more() -> None:
    stream = EventStream(10)
    seen: list[str] = []
    room = True

    def sink(batch: list[Event]) -> bool:
        if room:
            seen.extend(event.text for event in batch if isinstance(event, TextDelta))
        return room

    stream.push_to(sink)
    await stream.put([TextDelta("a")])
    room = False
    await stream.put([TextDelta("b")])
    room = True
    await stream.put([TextDelta("c")])  # not before what is unread
    assert seen == ["a"]
    assert await stream.take() == [TextDelta("b"), TextDelta("c")]
    await stream.put([TextDelta("d")])
    assert seen == ["a", "d"]


async def test_what_a_sink_raises_is_the_reader_s_failure() -> None:
    stream = EventStream(10)

    def sink(_batch: list[Event]) -> bool:
        raise ValueError("cannot be written")

    stream.push_to(sink)
    await stream.put([TextDelta("a")])
    with pytest.raises(ValueError, match="cannot be written"):
        await stream.take()
