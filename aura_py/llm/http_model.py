"""A chat model behind an HTTP API: send one body, read one stream. Dialects add the body and the reader."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from aura_py.llm.contract import Capabilities, ChatRequest, Delta
from aura_py.llm.json_text import to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body, BodyOptions
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.transport import Connection, HttpResponse

if TYPE_CHECKING:
    from aura_py.config.models.llm import LLMBase

_DRAIN_SECONDS = 0.05


class HttpChatModel(ABC):
    """What the dialects share. Safe for concurrent calls."""

    capabilities: Capabilities

    def __init__(self, config: LLMBase, errors: ProviderErrors, connection: Connection) -> None:
        self.provider = errors.provider
        self.model = config.model
        self.context_window = config.context_window
        self.errors = errors
        self.options = BodyOptions(errors, config.max_tokens, config.temperature, config.additional_params)
        self._connection = connection

    @abstractmethod
    def body(self, request: ChatRequest) -> Body:
        """What is sent for ``request``."""

    @abstractmethod
    def reader(self, response: HttpResponse) -> StreamReader:
        """What reads ``response``."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        async with self._connection.post(self.errors, to_json(self.body(request))) as response:
            reader = self.reader(response)
            chunks = response.chunks()
            async for chunk in chunks:
                deltas = reader.feed(chunk)
                if deltas:
                    yield deltas
                if reader.failure is not None:
                    raise reader.failure
                if reader.done:
                    if not response.complete:
                        await _drain(chunks)
                    return
            deltas = reader.end()
            if deltas:
                yield deltas
            if reader.failure is not None:
                raise reader.failure

    async def aclose(self) -> None:
        await self._connection.aclose()


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read the end of a body, usually already here, so that the connection can serve the next call."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in chunks:
                pass
    except TimeoutError:
        # A server that holds the stream open after its end loses the connection instead.
        return
