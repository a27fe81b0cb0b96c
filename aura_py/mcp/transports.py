"""Opening the three transports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio.to_thread
from mcp.client.streamable_http import streamable_http_client

from aura_py.config.models import HttpServer, McpServer, SseServer, StdioServer
from aura_py.mcp.answers import MAX_EVENT, HttpFailure
from aura_py.mcp.dispatcher import MessageStreams
from aura_py.mcp.http import McpHttpClient, ssl_context
from aura_py.mcp.sse import open_sse
from aura_py.mcp.stdio import open_stdio


class TransportDiagnostics:
    """What a transport has noticed about its server, apart from the messages."""

    def __init__(self) -> None:
        self.client: McpHttpClient | None = None
        self.ending: str | None = None

    @property
    def first_failure(self) -> HttpFailure | None:
        return (self.client.refused_probe or self.client.first_failure) if self.client else None

    def process_ended(self, how: str) -> None:
        if self.ending is None:
            self.ending = how

    def take(self, message_id: int) -> HttpFailure | None:
        """The HTTP failure of one request, which is then forgotten."""
        return self.client.failures.pop(message_id, None) if self.client else None


@asynccontextmanager
async def open_transport(
    name: str, server: McpServer, headers: Mapping[str, str], diagnostics: TransportDiagnostics
) -> AsyncIterator[MessageStreams]:
    """Message streams to ``server``. Must be entered and left in one task."""
    match server:
        case StdioServer():
            async with open_stdio(name, server, diagnostics.process_ended) as streams:
                yield streams
        case HttpServer():
            await anyio.to_thread.run_sync(ssl_context)
            client = McpHttpClient(headers, connect_timeout=server.connect_timeout_secs or 30, answers=True)
            diagnostics.client = client
            async with (
                client,
                streamable_http_client(
                    server.url.get_secret_value(), http_client=client, max_sse_event_size=MAX_EVENT
                ) as streams,
            ):
                yield streams
        case SseServer():
            await anyio.to_thread.run_sync(ssl_context)
            client = McpHttpClient(headers, connect_timeout=server.connect_timeout_secs or 30, answers=False)
            diagnostics.client = client
            async with open_sse(name, server.url.get_secret_value(), client) as streams:
                yield streams
