"""The least that any relay can cost: bytes that arrive at one socket go to another, on uvloop."""

from __future__ import annotations

import asyncio
import sys

import uvloop


class _Copy(asyncio.Protocol):
    def __init__(self, to: asyncio.Transport | None, upstream: int = 0) -> None:
        self._to = to
        self._upstream = upstream
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvloop has it
        if self._upstream:
            self._connecting = asyncio.ensure_future(self._connect(transport))

    async def _connect(self, client: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        to, _ = await loop.create_connection(lambda: _Copy(client), "127.0.0.1", self._upstream)
        self._to = to
        to.writelines(self._early)

    def data_received(self, data: bytes) -> None:
        if self._to is None:
            self._early.append(data)
        else:
            self._to.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._to is not None:
            self._to.close()


async def main(port: int, upstream: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Copy(None, upstream), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
