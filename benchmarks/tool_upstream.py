"""A fake OpenAI server: asks for one call of `mock_tool`, and answers once it has the result."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping


async def main(port: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = await reader.readexactly(content_length(head))
                writer.write(_ANSWER if b'"role":"tool"' in body.replace(b" ", b"") else _CALL)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()  # the client hung up: the normal end of a connection

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def response(*deltas: Mapping[str, object], finish: str) -> bytes:
    frames = b"".join(_chunk(delta, None) for delta in deltas) + _chunk({}, finish) + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(frames)
    return head + frames


def _chunk(delta: Mapping[str, object], finish: str | None) -> bytes:
    body = {
        "id": "chatcmpl-BenchmarkBenchmarkBenchmark",
        "object": "chat.completion.chunk",
        "created": 1767600000,
        "model": "fake-2026-01-01",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


_FUNCTION = {"name": "mock_tool", "arguments": '{"message":"hello"}'}
_CALL = response(
    {"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": _FUNCTION}]},
    finish="tool_calls",
)
_ANSWER = response(*({"content": f" word{number}"} for number in range(20)), finish="stop")

if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
