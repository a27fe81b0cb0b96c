"""Connections whose request never comes (``clients.md`` ER-2)."""

from __future__ import annotations

import socket

import anyio
import pytest
import uvicorn

from aura_py.server.app import create_app
from aura_py.server.connection import HttpConnection
from tests.server.rig import Rig


class Impatient(HttpConnection):
    head_seconds = 0.05


@pytest.mark.parametrize("sent", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_connection_without_a_whole_request_is_closed(rig: Rig, sent: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(rig.state), http=Impatient, lifespan="off", log_config=None))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[listener])
    try:
        async with await anyio.connect_tcp("127.0.0.1", listener.getsockname()[1]) as client:
            if sent:
                await client.send(sent)
            with anyio.fail_after(10), pytest.raises(anyio.EndOfStream):
                await client.receive()
    finally:
        await server.shutdown(sockets=[listener])
