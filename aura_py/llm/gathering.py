"""A response's body as it arrives, in fewer and larger pieces when a model is fast."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    import aiohttp

    from aura_py.errors import ProviderError

GATHER_SECONDS: Final = 0.005
"""How long pieces are gathered, and so the most that gathering may delay one of them."""
_BULK: Final = 16 * 1024


class GatheredBody:
    """The pieces of an aiohttp body; of a fast one those of five milliseconds together.

    Each piece costs a wake-up of everything between the socket and the client, which is most of what a token costs.
    The first piece after a silence, the pieces of a model that takes its time and the end of the body wait for nothing.

    ``broken`` makes the error that is raised in place of whatever the HTTP library raises.
    """

    __slots__ = ("_broken", "_content", "_loop", "_pace", "_pause", "_ready_at")

    def __init__(self, content: aiohttp.StreamReader, broken: Callable[[Exception], ProviderError]) -> None:
        self._content = content
        self._broken = broken
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.Future[None] | None = None
        self._pace = Pace()
        self._ready_at = 0.0
        content.on_eof(self._resume)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        loop, content = self._loop, self._content
        gathered = bool(self._ready_at) and loop.time() < self._ready_at and not content.is_eof()
        if gathered:
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
        fast = self._pace.is_fast(now, len(piece), gathered=gathered)
        self._ready_at = now + GATHER_SECONDS if fast else 0.0
        return piece

    def _resume(self) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)


class Pace:
    """How fast a body comes, from when its pieces were read."""

    __slots__ = ("_last", "_usual")

    def __init__(self) -> None:
        self._last = float("-inf")
        self._usual = 1

    def is_fast(self, now: float, size: int, *, gathered: bool) -> bool:
        """Whether the body comes so fast that waiting saves at least every other read.

        The gap between pieces is seen between two reads. A gathered read has hidden the gaps within it, so it counts
        as as many pieces as it has times the size of the last one that came alone.
        """
        pieces = 1.0
        if gathered:
            pieces = max(1.0, size / self._usual)
        else:
            self._usual = size
        gap, self._last = (now - self._last) / pieces, now
        return gap < GATHER_SECONDS / 2 and size < _BULK
