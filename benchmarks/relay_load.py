"""Clients of a relay: streams that are read as they come, each event with its age."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import uvloop

_SENT: Final = re.compile(rb' t(\d+)(?=[" ])')
_OPENING: Final = 10
"""Events of each stream whose age does not count: they come while other streams are still opened."""
_LIMIT_SECONDS: Final = 40.0


@dataclass(slots=True, frozen=True)
class Plan:
    """What the upstream does for one request: how many chunks, milliseconds between them and before the first."""

    chunks: int
    interval: int = 0
    first: int = 0


@dataclass(slots=True)
class Seen:
    """Ages of events and waits for the first one, in milliseconds; ``events`` counts all of them."""

    ages: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    events: int = 0
    seconds: float = 0.0


class _Client(asyncio.Protocol):
    """Asks the same ``times`` times over one connection."""

    def __init__(self, request: bytes, times: int, chunks: int, seen: Seen) -> None:
        self._request = request
        self._times = times
        self._chunks = chunks
        self._seen = seen
        self._events = 0
        self._asked = 0
        self._tail = b""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvloop has it
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._events = 0
        self._tail = b""
        self._asked = time.monotonic_ns()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now, seen = time.monotonic_ns(), self._seen
        data = self._tail + data
        sent = list(_SENT.finditer(data))
        if sent:
            if not self._events:
                seen.first.append((now - self._asked) / 1e6)
            self._events += len(sent)
            if self._events > _OPENING:
                seen.ages += [(now - int(each[1])) / 1e6 for each in sent]
            data = data[sent[-1].end() :]
        self._tail = data
        if self._tail.endswith(b"\r\n0\r\n\r\n"):
            self._answered()

    def _answered(self) -> None:
        if self._events != self._chunks:
            self._fail(f"{self._events} of {self._chunks} chunks arrived")
            return
        self._seen.events += self._events
        self._times -= 1
        if self._times:
            self._ask()
        else:
            self._transport.close()
            if not self.over.done():
                self.over.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection was lost")

    def _fail(self, why: str) -> None:
        if not self.over.done():
            self.over.set_exception(RuntimeError(why))


def load(port: int, clients: int, plan: Plan, times: int = 1) -> Seen:
    """What ``clients`` at once see that ask ``times`` times each."""
    return uvloop.run(_load(port, clients, plan, times))


async def _load(port: int, clients: int, plan: Plan, times: int) -> Seen:
    text = f"chunks={plan.chunks} interval={plan.interval} first={plan.first}"
    body = json.dumps({"model": "relay", "stream": True, "messages": [{"role": "user", "content": text}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    request = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
    seen, loop = Seen(), asyncio.get_running_loop()
    begun, group = time.monotonic(), max(1, clients // 20)
    async with asyncio.timeout(_LIMIT_SECONDS):
        connected = []
        for number in range(clients):
            connected.append(
                await loop.create_connection(lambda: _Client(request, times, plan.chunks, seen), "127.0.0.1", port)
            )
            if plan.interval and number % group == 0:  # streams of real users do not tick together
                await asyncio.sleep(plan.interval / 1000 * group / clients)
        await asyncio.gather(*(client.over for _, client in connected))
    seen.seconds = time.monotonic() - begun
    return seen


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
