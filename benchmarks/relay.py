"""CPU per streamed event of `aura serve`, beside a relay that only copies and beside the usual way.

A local server streams 500 chunks to each of 20 clients at once, one chunk at a time per stream as a model would. The
same load goes through three relays: a bare one (aiohttp in, ASGI out, bytes untouched), the usual one (SDK objects,
pydantic, sse-starlette) and Aura. What counts is the CPU time of the relay's own process.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.processes import free_port, running
from benchmarks.report import Row

STREAMS = 20
CHUNKS = 500
INTERVAL_MS = 5
ROUNDS = 3

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
    with running(["-m", "benchmarks.relay_upstream", str(upstream), str(CHUNKS), str(INTERVAL_MS)], upstream):
        bare = _cpu_per_event(["-m", "benchmarks.relay_bare"], upstream)
        usual = _cpu_per_event(["-m", "benchmarks.relay_usual"], upstream)
        with tempfile.TemporaryDirectory() as folder:
            agent = Path(folder, "agent.toml")
            agent.write_text(_AGENT.format(port=upstream))
            aura = _cpu_per_event(["-m", "aura_py", "serve", str(agent), "--port"], None)
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


def _cpu_per_event(arguments: list[str], upstream: int | None) -> float:
    """Microseconds of the relay's CPU for one chunk."""
    port = free_port()
    last = [] if upstream is None else [str(upstream)]
    with running([*arguments, str(port), *last], port) as process:
        asyncio.run(_load(port))  # warm: connections, imports, caches
        with _cpu_of(process) as used:
            for _ in range(ROUNDS):
                asyncio.run(_load(port))
    return used[0] / (ROUNDS * STREAMS * CHUNKS) * 1e6


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
