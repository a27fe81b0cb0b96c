"""Opening the three transports (``mcp-tools.md`` §2.4)."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TextIO

import anyio
import anyio.to_thread
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage

from aura_py.config.models import HttpServer, McpServer, SseServer, StdioServer
from aura_py.mcp.http import MAX_EVENT, HttpFailure, ObservingClient, trusted_authorities
from aura_py.mcp.sse import open_sse
from aura_py.mcp.stdio import open_stdio

log = logging.getLogger(__name__)

Streams = tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]

_STDERR_LINE = 4096


class Observed:
    """What a transport has noticed about its server, apart from the messages."""

    def __init__(self) -> None:
        self.client: ObservingClient | None = None
        self.ending: str | None = None

    @property
    def first_failure(self) -> HttpFailure | None:
        return (self.client.refused_probe or self.client.first_failure) if self.client else None

    def process_ended(self, how: str) -> None:
        self.ending = how

    def take(self, message_id: int) -> HttpFailure | None:
        """The HTTP failure of one request, which is then forgotten."""
        return self.client.failures.pop(message_id, None) if self.client else None


@asynccontextmanager
async def open_transport(
    name: str, server: McpServer, headers: Mapping[str, str], observed: Observed
) -> AsyncIterator[Streams]:
    """Message streams to ``server``. Must be entered and left in one task."""
    match server:
        case StdioServer():
            async with _stdio(name, server, observed) as streams:
                yield streams
        case HttpServer():
            await anyio.to_thread.run_sync(trusted_authorities)
            client = ObservingClient(headers, connect_timeout=server.connect_timeout_secs or 30, answers=True)
            observed.client = client
            async with (
                client,
                streamable_http_client(
                    server.url.get_secret_value(), http_client=client, max_sse_event_size=MAX_EVENT
                ) as streams,
            ):
                yield streams
        case SseServer():
            await anyio.to_thread.run_sync(trusted_authorities)
            client = ObservingClient(headers, connect_timeout=server.connect_timeout_secs or 30, answers=False)
            observed.client = client
            async with open_sse(name, server.url.get_secret_value(), client) as streams:
                yield streams


@asynccontextmanager
async def _stdio(name: str, server: StdioServer, observed: Observed) -> AsyncIterator[Streams]:
    if not server.cmd:
        raise FileNotFoundError("`cmd` is empty; name an executable")
    command = server.cmd[0]
    env = dict(os.environ) if server.inherit_env else {}
    env |= {key: value.get_secret_value() for key, value in server.env.items()}
    if shutil.which(command, path=env.get("PATH", os.environ.get("PATH"))) is None:
        raise FileNotFoundError(f"`{os.path.basename(command)}` is not an executable that can be found")
    env = get_default_environment() | env
    async with (
        _stderr_to_log(name) as sink,
        open_stdio(name, [*server.cmd, *server.args], env, sink, observed.process_ended) as streams,
    ):
        sink.close()
        yield streams


@asynccontextmanager
async def _stderr_to_log(name: str) -> AsyncIterator[TextIO]:
    """A file for a child's stderr whose lines go to the debug log."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    sink = os.fdopen(writable, "w")
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_log_lines, name, readable)
            try:
                yield sink
            finally:
                tasks.cancel_scope.cancel()
    finally:
        sink.close()
        os.close(readable)


async def _log_lines(name: str, descriptor: int) -> None:
    pending = b""
    while True:
        await anyio.wait_readable(descriptor)
        try:
            chunk = os.read(descriptor, 65536)
        except BlockingIOError:
            continue
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        pending = pending[-_STDERR_LINE:]
        if log.isEnabledFor(logging.DEBUG):
            for line in lines:
                log.debug("stderr of MCP server `%s`: %s", name, line[:_STDERR_LINE].decode("utf-8", "replace"))
