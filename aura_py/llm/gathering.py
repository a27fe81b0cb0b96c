"""A response's body as it arrives, in fewer and larger pieces when a model is fast."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final, Self
from weakref import WeakSet

if TYPE_CHECKING:
    import aiohttp

    from aura_py.errors import ProviderError

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

    ``broken`` makes the error that is raised in place of whatever the HTTP library raises.
    """

    _open: ClassVar[WeakSet[GatheredBody]] = WeakSet()

    def __init__(self, content: aiohttp.StreamReader, broken: Callable[[Exception], ProviderError]) -> None:
        self._content = content
        self._broken = broken
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
        try:
            piece = await content.readany()
        except Exception as error:
            raise self._broken(error) from error
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
