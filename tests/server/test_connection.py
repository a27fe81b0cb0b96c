"""Requests that come in oddly over a real connection."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import orjson
import pytest
import uvicorn
from anyio.abc import ByteStream, SocketStream

from aura_py.server.app import create_app
from aura_py.server.connection import HttpConnection
from aura_py.server.run_response import Timing
from tests.server.rig import Rig

PATIENCE = 20
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
"""What Java's own HTTP client sends with every request over plain HTTP."""
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


class Impatient(HttpConnection):
    head_seconds = 0.05


@asynccontextmanager
async def connected(rig: Rig, kind: type[HttpConnection] = HttpConnection) -> AsyncIterator[SocketStream]:
    """A client's connection to a server on a real port."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(rig.state)
    server = uvicorn.Server(uvicorn.Config(app, http=kind, ws="none", lifespan="off", log_config=None))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[listener])
    try:
        async with await anyio.connect_tcp("127.0.0.1", listener.getsockname()[1]) as client:
            with anyio.fail_after(PATIENCE):
                yield client
    finally:
        await server.shutdown(sockets=[listener])


def chat(text: str, further: bytes = b"", *, stream: bool = False) -> bytes:
    body = orjson.dumps({"model": "ops", "stream": stream, "messages": [{"role": "user", "content": text}]})
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + further
    return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


async def until(client: ByteStream, end: bytes) -> bytes:
    received = b""
    while end not in received:
        received += await client.receive()
    return received


async def rest(client: ByteStream) -> bytes:
    """Everything up to the end of the connection."""
    received = b""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            received += await client.receive()
    return received


@pytest.mark.parametrize("pieces", [1, 3, 40])
async def test_a_request_that_offers_http2_is_answered_in_http1_body_and_all(rig: Rig, pieces: int) -> None:
    request = chat("hi" * 50_000, OFFER)
    size = -(-len(request) // pieces)
    async with connected(rig) as client:
        for _ in range(2):
            for start in range(0, len(request), size):
                await client.send(request[start : start + size])
            answer = await until(client, b'"chat_session_id"')
            assert answer.startswith(b"HTTP/1.1 200 OK")
            assert b"hihihi" in answer
            await client.send(HEALTH)  # the connection goes on as usual
            assert b'"healthy"' in await until(client, b"latency_ms")


async def test_a_websocket_is_not_opened_and_nothing_is_tunnelled(rig: Rig) -> None:
    async with connected(rig) as client:
        await client.send(HEALTH.replace(b"Host", b"Connection: upgrade\r\nUpgrade: websocket\r\nHost"))
        assert (await until(client, b"latency_ms")).startswith(b"HTTP/1.1 200 OK")
        await client.send(b"CONNECT example.com:80 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await rest(client)).startswith(b"HTTP/1.1 400")


async def test_endless_headers_are_431_before_they_fill_the_memory(rig: Rig) -> None:
    async with connected(rig) as client, anyio.create_task_group() as tasks:
        await client.send(b"GET /health HTTP/1.1\r\n")
        tasks.start_soon(_flood, client)
        answer = await until(client, b"}}")
        tasks.cancel_scope.cancel()
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "headers_too_large"


def padded(size: int, end: bytes = b"\r\n\r\n") -> bytes:
    """A request whose head has exactly this size."""
    start = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Pad: "
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("step", [1 << 20, 65_536, 65_535, 1_000])
async def test_the_limit_of_a_head_is_exact_however_it_comes_in(rig: Rig, step: int) -> None:
    limit = HttpConnection.head_bytes
    async with connected(rig) as client:
        for _ in range(2):  # the second one on a connection that is kept
            request = b"\r\n" + padded(limit)
            for start in range(0, len(request), step):
                await client.send(request[start : start + step])
            assert (await until(client, b"latency_ms")).startswith(b"HTTP/1.1 200 OK")
        request = padded(limit + 1)
        for start in range(0, len(request), step):
            await client.send(request[start : start + step])
        assert (await rest(client)).startswith(b"HTTP/1.1 431 ")


async def test_a_body_behind_a_head_at_the_limit_is_not_counted(rig: Rig) -> None:
    request = chat("hi" * 50_000)
    room = HttpConnection.head_bytes - len(request.partition(b"\r\n\r\n")[0]) - 4
    pad = b"X-Pad: " + b"x" * (room - len(b"X-Pad: \r\n")) + b"\r\n"
    async with connected(rig) as client:
        await client.send(request.replace(b"Host: x\r\n", b"Host: x\r\n" + pad))
        assert b"hihihi" in await until(client, b'"chat_session_id"')


@pytest.mark.parametrize("further", [b"", OFFER])
async def test_http_1_0_gets_a_stream_without_chunks_up_to_the_end_of_the_connection(rig: Rig, further: bytes) -> None:
    async with connected(rig) as client:
        await client.send(chat("slow", further, stream=True).replace(b"HTTP/1.1", b"HTTP/1.0"))
        head, _, body = (await rest(client)).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")


async def test_http_1_0_gets_a_measured_body_as_it_is(rig: Rig) -> None:
    async with connected(rig) as client:
        await client.send(chat("hi").replace(b"HTTP/1.1", b"HTTP/1.0"))
        head, _, body = (await rest(client)).partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head.lower()
    assert orjson.loads(body)["object"] == "chat.completion"


async def _flood(client: ByteStream) -> None:
    with suppress(anyio.BrokenResourceError):
        while True:
            await client.send(b"X-More: and more\r\n" * 100)


async def test_large_headers_and_trailers_are_no_trouble(rig: Rig) -> None:
    async with connected(rig) as client:
        await client.send(HEALTH.replace(b"Host", b"X-Pad: " + b"x" * 60_000 + b"\r\nHost"))
        assert (await until(client, b"latency_ms")).startswith(b"HTTP/1.1 200 OK")
        whole = chat("hi").partition(b"\r\n\r\n")
        head = whole[0].rpartition(b"\r\n")[0] + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head + b"%x\r\n%s\r\n0\r\nX-Chat-Session-Id: late\r\n\r\n" % (len(whole[2]), whole[2]))
        answer = await until(client, b'"chat_session_id"')
        assert b"x-chat-session-id: cs_" in answer


@pytest.mark.parametrize("further", [HEALTH, chat("hi"), b"\x00 not HTTP"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_sent_during_an_answer_never_gets_into_it_and_ends_the_connection(
    rig: Rig, further: bytes, at_once: bool
) -> None:
    request = chat("slow", stream=True)
    async with connected(rig) as client:
        await client.send(request + further if at_once else request)
        answer = await until(client, b'"role"')
        if not at_once:
            await client.send(further)
        answer += await rest(client)
        assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert answer.count(b"HTTP/1.1") == 1


async def test_a_client_that_has_sent_two_requests_at_once_is_missed_when_it_leaves(rig: Rig) -> None:
    async with connected(rig) as client:
        await client.send(chat("hang", stream=True) + HEALTH)
        await until(client, b'"role"')
        (run,) = rig.state.services.engine.live
        await client.aclose()
        await run.closed()


async def test_an_empty_line_after_a_request_is_harmless(rig: Rig) -> None:
    async with connected(rig) as client:
        for _ in range(2):
            await client.send(chat("slow", stream=True) + b"\r\n")
            await until(client, b"[DONE]\n\n\r\n0\r\n\r\n")


async def test_a_body_that_nobody_waits_for_does_not_hold_its_connection(rig: Rig) -> None:
    async with connected(rig, Impatient) as client:
        await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nxx")
        assert (await rest(client)).startswith(b"HTTP/1.1 415 ")


@pytest.mark.parametrize("sent", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_connection_without_a_whole_request_is_closed(rig: Rig, sent: bytes) -> None:
    async with connected(rig, Impatient) as client:
        if sent:
            await client.send(sent)
        assert await rest(client) == b""


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_a_silent_stream_beats_over_a_real_connection(rig: Rig, version: bytes) -> None:
    rig.state.timing = Timing(heartbeat=0.05)
    async with connected(rig) as client:
        await client.send(chat("hang", stream=True).replace(b"HTTP/1.1", version))
        received = b""
        while received.count(b": ping\n\n") < 3:
            received += await client.receive()
        run = rig.state.services.engine.live[0]
    with anyio.fail_after(PATIENCE):
        await run.closed()  # the client has left


async def test_a_reader_that_pauses_gets_the_whole_stream_in_order(rig: Rig) -> None:
    async with connected(rig) as client:
        await client.send(chat("long", stream=True))
        received = await until(client, b'"content"')
        await anyio.wait_all_tasks_blocked()  # the socket is full, and then the run's buffer
        received += await until(client, b"data: [DONE]\n\n")
    text = b"".join(re.findall(rb'"content":"([^"]*)"', received)).decode()
    assert text == "lorem ipsum " * 20_000
