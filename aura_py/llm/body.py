"""A response's body as it arrives, in fewer and larger pieces when a model is fast (``clients.md`` ST-10)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, ClassVar, Final, Self
from weakref import WeakSet

if TYPE_CHECKING:
    import aiohttp
    import httpx2

GATHER_SECONDS: Final = (0.01, 0.025)
"""The shortest and the longest time in which pieces are gathered."""
_SECONDS_PER_BODY: Final = 0.00125
_BULK: Final = 16 * 1024


class GatheredBody:
    """The pieces of an aiohttp body; what follows a piece within some ten milliseconds is read with the next one.

    Each piece costs a wake-up of everything between the socket and the client, which is most of what a token costs.
    The more bodies are open, the longer is gathered, so that a process with many streams has some eight hundred
    wake-ups a second instead of one for each token; it ends where an eye could see it. The first piece after a silence
    and the end of the body wait for nothing.
    """

    _open: ClassVar[WeakSet[GatheredBody]] = WeakSet()

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.Future[None] | None = None
        self._ready_at = 0.0
        self._last = 0.0
        self._open.add(self)
        content.on_eof(self._resume)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        loop, content = self._loop, self._content
        if loop.time() < self._ready_at and not content.is_eof():
            self._pause = loop.create_future()
            timer = loop.call_at(self._ready_at, self._resume)
            try:
                await self._pause
            finally:
                timer.cancel()
        piece = await content.readany()
        if not piece:
            raise StopAsyncIteration
        now = loop.time()
        gather = gather_seconds(len(self._open))
        fast = now - self._last < 2 * gather and len(piece) < _BULK
        self._last = now
        self._ready_at = now + gather if fast else 0.0
        return piece

    def _resume(self) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)


def gather_seconds(bodies: int) -> float:
    """How long pieces are gathered while so many bodies are open."""
    shortest, longest = GATHER_SECONDS
    return min(max(shortest, bodies * _SECONDS_PER_BODY), longest)


def pieces_of(response: httpx2.Response) -> AsyncIterator[bytes]:
    """The body of a response of an SDK's client.

    An unencoded body is read without the client library's layers, which cost more than parsing does; they are only
    left out where the transport is the one we know.
    """
    source = getattr(response.stream, "_stream", response.stream)
    content = getattr(getattr(source, "_aiohttp_response", None), "content", None)
    if content is None or response.headers.get("content-encoding", "identity") != "identity":
        return response.aiter_bytes()
    return GatheredBody(content)
