"""CPU per streamed event of `aura serve`, beside a relay that only copies and beside the usual way.

A local server streams 500 chunks to each of 20 clients at once, one chunk at a time per stream as a model would. The
same load goes through three relays: a bare one (aiohttp in, ASGI out, bytes untouched), the usual one (SDK objects,
pydantic, sse-starlette) and Aura. What counts is the CPU time of the relay's own process; the relays take turns, and
each is judged by its best round, so that a busy neighbour disturbs none of them more than the others.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from benchmarks.processes import free_port, running
from benchmarks.report import Row

STREAMS = 20
CHUNKS = 500
INTERVAL_MS = 5
ROUNDS = 5

_AGENT = """
[agent]
name = "relay"
system_prompt = "Answer."

[agent.llm]
provider = "openai"
model = "fake"
api_key = "none"
base_url = "http://127.0.0.1:{port}/v1"
"""
_REQUEST = json.dumps({"model": "relay", "stream": True, "messages": [{"role": "user", "content": "go"}]}).encode()


def measure() -> list[Row]:
    upstream = free_port()
    with ExitStack() as stack:
        stack.enter_context(
            running(["-m", "benchmarks.relay_upstream", str(upstream), str(CHUNKS), str(INTERVAL_MS)], upstream)
        )
        agent = Path(stack.enter_context(tempfile.TemporaryDirectory()), "agent.toml")
        agent.write_text(_AGENT.format(port=upstream))
        relays = [
            _started(stack, lambda port: ["-m", "benchmarks.relay_bare", port, str(upstream)]),
            _started(stack, lambda port: ["-m", "benchmarks.relay_usual", port, str(upstream)]),
            _started(stack, lambda port: ["-m", "aura_py", "serve", str(agent), "--port", port]),
        ]
        for port, _ in relays:
            asyncio.run(_load(port))  # warm: connections, imports, caches
        rounds = [[_cpu_per_event(port, process) for port, process in relays] for _ in range(ROUNDS)]
    bare, usual, aura = (min(values) for values in zip(*rounds, strict=True))
    return [
        Row(
            "relay: CPU per event, beside a bare relay",
            f"{aura:.0f} µs",
            f"{bare:.0f} µs",
            aura / bare,
            "<= 2.5 x the bare relay",
            aura <= 2.5 * bare,
        ),
        Row(
            "relay: CPU per event, beside SDK objects + pydantic + sse-starlette",
            f"{aura:.0f} µs",
            f"{usual:.0f} µs",
            usual / aura,
            ">= 5 x cheaper",
            usual >= 5 * aura,
        ),
    ]


def _started(stack: ExitStack, arguments: Callable[[str], list[str]]) -> tuple[int, psutil.Process]:
    port = free_port()
    return port, stack.enter_context(running(arguments(str(port)), port))


def _cpu_per_event(port: int, process: psutil.Process) -> float:
    """Microseconds of the relay's CPU for one chunk, over one round."""
    with _cpu_of(process) as used:
        asyncio.run(_load(port))
    return used[0] / (STREAMS * CHUNKS) * 1e6


@contextmanager
def _cpu_of(process: psutil.Process) -> Iterator[list[float]]:
    before, used = process.cpu_times(), list[float]()
    yield used
    after = process.cpu_times()
    used.append(after.user + after.system - before.user - before.system)


async def _load(port: int) -> None:
    async with asyncio.timeout(120):
        seen = await asyncio.gather(*(_read_stream(port) for _ in range(STREAMS)))
    if min(seen) < CHUNKS:
        raise RuntimeError(f"a stream of {CHUNKS} chunks arrived with {min(seen)}")


async def _read_stream(port: int) -> int:
    """The number of words in one whole stream, however they were cut into frames."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(_REQUEST) + _REQUEST)
    received = b""
    while b"data: [DONE]" not in received[-200:]:
        piece = await reader.read(65536)
        if not piece:
            break
        received += piece
    writer.close()
    await writer.wait_closed()
    return received.count(b"word")
