"""Clients that leave, stall or wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from aura_py.server.run_response import Timing
from tests.server.rig import Rig, serving


def question(text: str, *, stream: bool) -> dict[str, object]:
    return {"stream": stream, "messages": [{"role": "user", "content": text}]}


@contextmanager
def nothing_left_behind(rig: Rig) -> Iterator[None]:
    before = len(asyncio.all_tasks())
    yield
    assert rig.state.services.engine.live == ()
    assert len(asyncio.all_tasks()) <= before


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_cancels_its_run_at_once(rig: Rig, stream: bool) -> None:
    with nothing_left_behind(rig):
        for _ in range(20):
            async with rig.open("POST", "/v1/chat/completions", question("hang", stream=stream)) as exchange:
                while not rig.state.services.engine.live:
                    await anyio.lowlevel.checkpoint()
                run = rig.state.services.engine.live[0]
                exchange.leave()
                with anyio.fail_after(5):
                    await run.closed()


async def test_silence_is_filled_with_comments(rig: Rig) -> None:
    rig.state.timing = Timing(heartbeat=0.05)
    async with rig.open("POST", "/v1/chat/completions", question("hang", stream=True)) as exchange:
        await exchange.until(": ping\n\n: ping\n\n: ping\n\n")
    assert exchange.received.startswith(b'data: {"id"')


async def test_the_legacy_heartbeat_comes_at_once(agents: Path) -> None:
    async with serving(agents, default_agent="ops", custom_events="on") as rig:
        async with rig.open("POST", "/v1/chat/completions", question("hang", stream=True)) as exchange:
            await exchange.until(": heartbeat\n\n", seconds=5)
        assert exchange.received.startswith(b"event: aura.session_info\n")


@pytest.mark.parametrize("text", ["long", "hang"])
async def test_a_reader_that_stalls_is_dropped(rig: Rig, text: str) -> None:
    rig.state.timing = Timing(heartbeat=0.05, stall=0.2)
    with nothing_left_behind(rig):
        async with rig.open("POST", "/v1/chat/completions", question(text, stream=True)) as exchange:
            await exchange.until_started()
            exchange.pause()
            with anyio.fail_after(10):
                await exchange.returned.wait()
        assert exchange.aborted


async def test_a_slow_reader_gets_everything_and_slows_the_run_down(rig: Rig) -> None:
    async with rig.open("POST", "/v1/chat/completions", question("long", stream=True)) as exchange:
        await exchange.until_started()
        exchange.pause()
        await anyio.wait_all_tasks_blocked()
        assert len(rig.state.services.engine.live) == 1
        exchange.resume()
        await exchange.finished.wait()
    assert exchange.received.count(b"lorem") == 20000
    assert exchange.received.endswith(b"data: [DONE]\n\n")


async def test_a_deadline_fires_although_the_reader_stalls(agents: Path) -> None:
    async with serving(agents, default_agent="ops", streaming_timeout_secs="1", streaming_buffer_size="4") as rig:
        async with rig.open("POST", "/v1/chat/completions", question("long", stream=True)) as exchange:
            await exchange.until_started()
            exchange.pause()
            with anyio.fail_after(10):
                await rig.state.services.engine.live[0].closed()


async def test_a_drain_ends_streams_with_an_error_frame(rig: Rig) -> None:
    async with rig.open("POST", "/v1/chat/completions", question("hang", stream=True)) as exchange:
        await exchange.until_started()
        await rig.state.services.engine.drain(0)
        await exchange.finished.wait()
    text = exchange.received.decode()
    assert '"code":"server_shutdown"' in text
    assert text.endswith("data: [DONE]\n\n")
