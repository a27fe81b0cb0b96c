"""`python -m benchmarks.providers_upstream PORT CHUNKS`: answers each POST with a long text in its provider's form.

The provider is known by its path. Bodies are written once, by the same code that the fakes of the wire tests use.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any

from tests.wire.providers.fakes.serving import Request
from tests.wire.providers.scenario import Step, Tokens

_WRITERS = {
    "openai": "ChatCompletions",
    "openrouter": "OpenRouter",
    "anthropic": "Messages",
    "gemini": "GenerateContent",
    "ollama": "Chat",
    "bedrock": "ConverseStream",
}
_EVENTS_PER_WRITE = 8


def packets(provider: str, chunks: int) -> tuple[str, list[bytes]]:
    """Content type, and the body in the pieces in which it is sent."""
    module = import_module(f"tests.wire.providers.fakes.{provider}")
    request = Request("POST", "/v1beta/models/m:streamGenerateContent", {}, b'{"model": "m"}')
    wire: Any = getattr(module, _WRITERS[provider])(request)
    events = [wire.begin(), *(wire.step(Step(text=f"token{number % 100} ")) for number in range(chunks))]
    tail = (wire.step(Step(stop="stop")), wire.step(Step(usage=Tokens(10, chunks))), wire.end())
    pieces = [b"".join(events[at : at + _EVENTS_PER_WRITE]) for at in range(0, len(events), _EVENTS_PER_WRITE)]
    return wire.content_type, [*pieces, b"".join(tail)]


def _provider(path: str) -> str:
    if path.startswith("/model/"):
        return "bedrock"
    if ":streamGenerateContent" in path:
        return "gemini"
    known = {"/v1/messages": "anthropic", "/api/chat": "ollama", "/v1/chat/completions": "openai"}
    return known.get(path, "openrouter")


async def _serve(port: int, chunks: int) -> None:
    bodies = {provider: packets(provider, chunks) for provider in _WRITERS}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
                await reader.readexactly(int(lengths[0].partition(":")[2]) if lengths else 0)
                kind, pieces = bodies[_provider(head.split(" ")[1])]
                start = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
                writer.write(start.encode())
                for piece in pieces:
                    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    await writer.drain()
                    await asyncio.sleep(0)
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
