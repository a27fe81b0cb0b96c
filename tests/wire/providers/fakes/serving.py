"""The server that every fake provider shares: real HTTP/1.1 on a loopback socket, one scenario per request.

A request names its scenario by a model of the form ``<anything>scn.<scenario>.<token>``; the token keeps tests apart.
Beside the provider's own endpoints there is a control plane for tests:

- ``GET /__fake__/requests/<token>``: the requests seen so far, as a JSON list of ``{path, headers, body}``;
- ``POST /__fake__/open/<token>/<gate>``: opens a gate;
- ``GET /__fake__/closed/<token>``: answers when the client has closed a connection of that token.

The process prints its port and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.wire.providers.scenario import Failure, Scenario, Step, load

_TLS = b"\x16"
"""The first byte of a TLS handshake; a plain server answers it in plain words."""
_MODEL = re.compile(r"scn\.([a-z0-9_]+)\.([0-9a-f]+)")


class Wire(Protocol):
    """One response in a provider's wire form. Every method returns the bytes to send next, maybe none."""

    content_type: str

    def begin(self) -> bytes: ...

    def step(self, step: Step) -> bytes:
        """``step`` is of kind text, reasoning, call, usage, stop, fail or keepalive."""
        ...

    def end(self) -> bytes:
        """After the last step of a scenario that was not cut."""
        ...


@dataclass(slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(slots=True)
class Fake:
    """A provider: how a stream is written, and how a refusal looks. ``model`` finds the model's name in a request."""

    stream: Callable[[Request], Wire]
    refuse: Callable[[Failure], tuple[str, bytes]]
    """Content type and body for a status that is not a success."""
    model: Callable[[Request], str]
    headers: Callable[[Failure], dict[str, str]] = lambda _failure: {}
    plain: Callable[[Request], bytes | None] = lambda _request: None
    """Endpoints that do not stream (embeddings): the JSON body, or ``None``."""


@dataclass(slots=True)
class _Seen:
    requests: list[dict[str, Any]] = field(default_factory=list)
    gates: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class _Server:
    def __init__(self, fake: Fake) -> None:
        self._fake = fake
        self._seen: defaultdict[str, _Seen] = defaultdict(_Seen)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = _Connection(reader)
        try:
            while (request := await _read(wire, writer)) is not None and await self._answer(request, wire, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, wire: _Connection, writer: asyncio.StreamWriter) -> bool:
        if request.path.startswith("/__fake__/"):
            await _send(writer, 200, "application/json", await self._control(request))
            return True
        plain = self._fake.plain(request)
        found = _MODEL.search(self._fake.model(request))
        if found is not None:
            seen = self._seen[found.group(2)]
            body = request.body.decode(errors="replace")
            seen.requests.append({"path": request.path, "headers": request.headers, "body": body})
        if plain is not None:
            refusal = load(found.group(1)).error if found else None
            if refusal is not None and (refusal.times is None or len(seen.requests) <= refusal.times):
                await self._refuse(writer, refusal)
            else:
                await _send(writer, 200, "application/json", plain)
            return True
        if found is None:
            kind, body_bytes = self._fake.refuse(Failure(404, f"no such model: {self._fake.model(request)}"))
            await _send(writer, 404, kind, body_bytes)
            return True
        scenario = load(found.group(1))
        if scenario.then is not None and len(seen.requests) > 1:
            scenario = load(scenario.then)
        failure = scenario.error
        counts = failure is not None and (failure.times is None or len(seen.requests) <= failure.times)
        if failure is not None and counts and re.search(failure.when, seen.requests[-1]["body"]):
            await self._refuse(writer, failure)
            return True
        watch = asyncio.create_task(wire.watch(seen.closed))
        try:
            return await self._stream(scenario, request, seen, writer)
        finally:
            watch.cancel()
            await asyncio.wait({watch})

    async def _refuse(self, writer: asyncio.StreamWriter, failure: Failure) -> None:
        if failure.body is not None:
            kind, body = failure.content_type, failure.body.encode()
        else:
            kind, body = self._fake.refuse(failure)
        await _send(writer, failure.status, kind, body, {**failure.headers, **self._fake.headers(failure)})

    async def _stream(self, scenario: Scenario, request: Request, seen: _Seen, writer: asyncio.StreamWriter) -> bool:
        wire = self._fake.stream(request)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {wire.content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        await writer.drain()
        if scenario.joined:
            whole = wire.begin() + b"".join(_bytes(wire, step) for step in scenario.steps) + wire.end()
            await _packets(writer, whole, 0)
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return True
        await _packets(writer, wire.begin(), scenario.packet)
        for step in scenario.steps:
            if step.gate is not None:
                await seen.gates[step.gate].wait()
            elif step.cut == "reset":
                _reset(writer)
                return False
            elif step.cut == "close":
                return False
            elif step.cut == "end":
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                return True
            else:
                await _packets(writer, _bytes(wire, step), scenario.packet)
        await _packets(writer, wire.end(), scenario.packet)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _control(self, request: Request) -> bytes:
        action, token, *rest = request.path.removeprefix("/__fake__/").split("/")
        seen = self._seen[token]
        if action == "open":
            seen.gates[rest[0]].set()
        elif action == "closed":
            await seen.closed.wait()
        return json.dumps(seen.requests).encode()


def _bytes(wire: Wire, step: Step) -> bytes:
    return step.raw.encode() if step.raw is not None else wire.step(step)


class _Connection:
    """The client's half of a connection, which can be watched without losing what comes next."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader
        self.ahead = b""

    async def watch(self, closed: asyncio.Event) -> None:
        """Sets ``closed`` when the client ends the connection while its answer is still being sent."""
        try:
            self.ahead = await self.reader.read(1)
        except ConnectionError:
            self.ahead = b""
        if not self.ahead:
            closed.set()

    async def head(self) -> bytes:
        first, self.ahead = self.ahead or await self.reader.read(1), b""
        if first in (b"", _TLS):
            return first
        return first + await self.reader.readuntil(b"\r\n\r\n")


async def _read(wire: _Connection, writer: asyncio.StreamWriter) -> Request | None:
    raw = await wire.head()
    if raw == _TLS:
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
    if raw in (b"", _TLS):
        return None
    head, reader = raw.decode("latin-1"), wire.reader
    first, *lines = head.strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = b""
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    elif length := int(headers.get("content-length", "0")):
        body = await reader.readexactly(length)
    method, path, _ = first.split(" ")
    return Request(method, path, headers, body)


async def _send(
    writer: asyncio.StreamWriter, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None
) -> None:
    lines = [f"HTTP/1.1 {status} Scripted", f"content-type: {kind}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await writer.drain()


async def _packets(writer: asyncio.StreamWriter, data: bytes, size: int) -> None:
    """Each packet is a chunk of its own; between packets the client has a chance to read."""
    for piece in _split(data, size):
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
        await asyncio.sleep(0)


def _split(data: bytes, size: int) -> Iterator[bytes]:
    if not data:
        return
    for start in range(0, len(data), size or len(data)):
        yield data[start : start + (size or len(data))]


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _serve(fake: Fake) -> None:
    server = await asyncio.start_server(_Server(fake).connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()  # its connections end with the process


def run(fake: Fake) -> None:
    """Serves until standard input ends."""
    asyncio.run(_serve(fake))
