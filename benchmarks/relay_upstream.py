"""A fake OpenAI server: answers every POST with a stream of chunks, as its request's text says.

The text holds ``chunks=N interval=MS first=MS``; an interval of 0 sends as fast as the reader takes it. Each chunk says
when it was sent, in nanoseconds of this machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Final

import uvloop

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_PLAN: Final = re.compile(rb"chunks=(\d+) interval=(\d+) first=(\d+)")
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _frame(delta: dict[str, str], finish: str | None) -> bytes:
    body = {
        "id": "chatcmpl-BenchmarkBenchmarkBenchmark",
        "object": "chat.completion.chunk",
        "created": 1767600000,
        "model": "fake-2026-01-01",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        "usage": None,
    }
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


_BEFORE, _AFTER = _frame({"content": " t@"}, None).split(b"@")
_END: Final = _chunked(_frame({}, "stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection, one request at a time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvloop has it
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._left = 0
        self._interval = self._due = 0.0
        self._paused = self._waiting = False

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not blank or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        plan = _PLAN.search(body)
        self._left, interval, first = (int(number) for number in plan.groups()) if plan else (1, 0, 0)
        self._interval = interval / 1000
        self._transport.write(_HEAD)
        self._due = self._loop.time() + first / 1000
        if first:
            self._loop.call_at(self._due, self._send)
        else:
            self._send()

    def _send(self) -> None:
        if self._transport.is_closing():
            return
        if self._paused:
            self._waiting = True
            return
        if not self._left:
            self._transport.write(_END)
            return
        self._left -= 1
        self._transport.write(_chunked(_BEFORE + b"%d" % time.monotonic_ns() + _AFTER))
        if self._interval:
            self._due += self._interval
            self._loop.call_at(self._due, self._send)
        else:
            self._loop.call_soon(self._send)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._waiting:
            self._waiting = False
            self._send()


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
