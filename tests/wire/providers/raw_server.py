"""A server that answers with bytes, whatever they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

ECHO = b"%(head)s"
"""Stands in a reply for the head of the request."""


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = (line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return head, await reader.readexactly(int(next(lengths, b"0")))


Reply: TypeAlias = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class RawServer:
    """Reads requests and writes bytes, whatever they are."""

    reply: Reply
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head, body = await read_request(reader)
            self.requests.append(head + body)
            await self.reply(head, writer)
        writer.close()


@asynccontextmanager
async def raw_server(reply: bytes | Reply) -> AsyncIterator[RawServer]:
    async def write(head: bytes, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reply, bytes)
        writer.write(reply.replace(ECHO, head))
        await writer.drain()

    served = RawServer(write if isinstance(reply, bytes) else reply)
    server = await asyncio.start_server(served.connection, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield served
