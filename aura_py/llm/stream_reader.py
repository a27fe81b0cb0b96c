"""What the readers of provider streams share: bytes in, deltas out, a failure kept until what came before it is out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

import orjson

from aura_py.errors import ProviderError
from aura_py.llm.contract import Delta
from aura_py.llm.json_text import MALFORMED
from aura_py.llm.lenient_json import DONE, LenientJson
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.sse import OversizedEvent, SseReader
from aura_py.llm.stream_errors import stated_error, stream_error

_DRAIN_SECONDS = 0.05


class StreamReader(Protocol):
    """Reads one response. After each call the caller yields the deltas, then raises ``failure`` if there is one."""

    @property
    def failure(self) -> ProviderError | None: ...

    @property
    def done(self) -> bool:
        """The provider said that nothing more will come."""
        ...

    def feed(self, chunk: bytes) -> list[Delta]: ...

    def end(self) -> list[Delta]:
        """The body has ended."""
        ...


Answer: TypeAlias = tuple[StreamReader, AsyncIterator[bytes]]
"""An open response: what reads it, and its bytes."""


async def stream_deltas(opened: AbstractAsyncContextManager[Answer]) -> AsyncGenerator[list[Delta], None]:
    """Sends the call by entering ``opened`` and yields what the answer says, one list for each chunk of bytes.

    Raises:
        ProviderError: The reader found a failure; what came before it has been yielded.
    """
    async with opened as (reader, chunks):
        async for chunk in chunks:
            deltas = reader.feed(chunk)
            if deltas:
                yield deltas
            if reader.failure is not None:
                raise reader.failure
            if reader.done:
                await drain(chunks)
                return
        deltas = reader.end()
        if deltas:
            yield deltas
        if reader.failure is not None:
            raise reader.failure


class SseStreamReader:
    """A response of JSON objects in server-sent events."""

    def __init__(self, errors: ProviderErrors) -> None:
        self.errors = errors
        self.failure: ProviderError | None = None
        self.done = False
        self.json = LenientJson()
        self._sse = SseReader()

    def feed(self, chunk: bytes) -> list[Delta]:
        try:
            payloads = self._sse.feed(chunk)
        except OversizedEvent as error:
            self.failure = self.errors.garbage("an event without an end", error)
            return []
        return self._deltas(payloads)

    def end(self) -> list[Delta]:
        deltas = self._deltas(self._sse.close())
        if self.failure is None and not self.done:
            if self._sse.junk:
                self.failure = self.odd(self._sse.junk)
            else:
                last: list[Delta] = []
                try:
                    self.finish(last)
                except ProviderError as error:
                    self.failure = error
                deltas += self.json.joined(last)
        return deltas

    def take(self, event: Any, out: list[Delta]) -> None:
        """Appends the deltas of one event. Raises :class:`ProviderError`, or what wrong JSON makes of itself."""
        raise self.errors.garbage(str(event))

    def finish(self, out: list[Delta]) -> None:
        """The body ended although nothing said it would; raises :class:`ProviderError` unless that is how it ends."""
        raise self.errors.broken()

    def odd(self, junk: bytes) -> ProviderError:
        """What a body that is no event stream means: one object with an error, or something foreign."""
        try:
            error = stated_error(orjson.loads(junk))
        except MALFORMED:
            error = None
        if error:
            return stream_error(self.errors, error)
        return self.errors.garbage(junk.decode(errors="replace"))

    def _deltas(self, payloads: Iterable[bytes]) -> list[Delta]:
        deltas: list[Delta] = []
        for payload in payloads:
            try:
                try:
                    self.take(orjson.loads(payload), deltas)
                except orjson.JSONDecodeError:
                    for event in self.json.values(payload):
                        if event != DONE:
                            self.take(event, deltas)
            except ProviderError as error:
                self.failure = error
                break
            except MALFORMED as error:
                # After the last word, what gateways append is no part of the answer.
                if not self.done:
                    self.failure = self.errors.garbage(payload.decode(errors="replace"), error)
                break
        return self.json.joined(deltas)


async def drain(chunks: AsyncIterator[bytes], seconds: float = _DRAIN_SECONDS) -> None:
    """Reads the end of a body, usually already here, so that the connection can serve the next call."""
    try:
        async with asyncio.timeout(seconds):
            async for _ in chunks:
                pass
    except TimeoutError:
        # A server that holds the stream open after its end loses the connection instead.
        return
