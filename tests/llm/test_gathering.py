"""Bodies in gathered pieces, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import anyio
import pytest
from aiohttp import web

from aura_py.errors import ProviderUnreachable
from aura_py.llm import gathering
from aura_py.llm.gathering import GatheredBody, Pace
from tests.llm.conversations import asked

BROKEN = asked("openai", "m").broken
LONG = 60.0
"""A time to gather that no test outlives: what arrives anyway did not wait for it."""


@asynccontextmanager
async def answering(pieces: list[bytes], *, hold: asyncio.Event | None = None) -> AsyncIterator[aiohttp.StreamReader]:
    """The open body of a server that sends each piece by itself; it ends when ``hold`` is set."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        if hold is not None:
            await hold.wait()
        return response

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        _, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as response:
            yield response.content
    finally:
        await runner.cleanup()


async def all_of(pieces: AsyncIterator[bytes]) -> list[bytes]:
    with anyio.fail_after(30):
        return [piece async for piece in pieces]


async def test_nothing_is_lost_or_reordered() -> None:
    words = [b"%d;" % number for number in range(500)]
    async with answering(words) as content:
        assert b"".join(await all_of(GatheredBody(content, BROKEN))) == b"".join(words)


async def test_the_end_of_the_body_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "GATHER_SECONDS", LONG)
    words = [b"%d;" % number for number in range(50)]
    async with answering(words) as content:
        assert b"".join(await all_of(GatheredBody(content, BROKEN))) == b"".join(words)


async def test_the_first_piece_after_a_silence_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "GATHER_SECONDS", LONG)
    hold = asyncio.Event()
    async with answering([b"first"], hold=hold) as content:
        with anyio.fail_after(30):
            assert await anext(GatheredBody(content, BROKEN)) == b"first"
        hold.set()


async def test_a_broken_connection_is_told() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as response:
        pieces = GatheredBody(response.content, BROKEN)
        with pytest.raises(ProviderUnreachable):
            await all_of(pieces)


def test_a_body_is_fast_when_at_least_two_pieces_come_in_the_time_of_gathering() -> None:
    pace = Pace()
    times = [10.0, 10.02, 10.024, 10.0263, 10.027]
    assert [pace.is_fast(now, 200, gathered=False) for now in times] == [False, False, False, True, True]


def test_a_gathered_read_tells_the_pace_by_its_size() -> None:
    pace = Pace()
    assert [pace.is_fast(now, 200, gathered=False) for now in (1.0, 1.001)] == [False, True]
    assert pace.is_fast(1.006, 1000, gathered=True)  # five pieces
    assert not pace.is_fast(1.011, 200, gathered=True)  # one, as if nothing had been gathered


def test_large_pieces_are_not_gathered() -> None:
    pace = Pace()
    assert not any(pace.is_fast(now, 64 * 1024, gathered=False) for now in (1.0, 1.0001, 1.0002))
