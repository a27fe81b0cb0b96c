"""What an open stream costs: 1,000 clients of `aura serve` at once, each told one event a second, or nothing at all.

The streams have the named events, so a heartbeat is due every three seconds whatever else is sent, and a late one
shows. Memory is what the server's process holds resident, before and while the streams are open; a few streams go
before, so that what is loaded once is not counted. The same load through a provider's own HTTP stream is shown beside
it: most of what it adds belongs to the SDK and its connection.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.processes import free_port, running
from benchmarks.report import Row

STREAMS = 1000
SECONDS = 15.0
LIMIT_KB = 60.0
_BEAT = 3.0
_LATE = 1.0
_FEW = 20
_OPENING = 50
"""Connections that are opened side by side."""

_SCRIPTED = """
[agent]
name = "ticker"
system_prompt = "Tick."

[agent.llm]
provider = "scripted"
model = "ticker"
tokens_per_second = 1

[[agent.llm.rules]]
say = "{% for i in range(300) %}tick {% endfor %}"
"""
_SILENT = """
[agent]
name = "ticker"
system_prompt = "Tick."

[agent.llm]
provider = "scripted"
model = "ticker"

[[agent.llm.rules]]
hang = true
"""
_RELAYED = """
[agent]
name = "ticker"
system_prompt = "Tick."

[agent.llm]
provider = "openai"
model = "fake"
api_key = "none"
base_url = "http://127.0.0.1:PORT/v1"
"""
_PLAN = "chunks=300 interval=1000 first=0"
_REQUEST = json.dumps({"model": "ticker", "stream": True, "messages": [{"role": "user", "content": _PLAN}]}).encode()


@dataclass(slots=True)
class _Load:
    """What the clients saw."""

    mark: bytes
    """What a heartbeat looks like."""
    beats: int = 0
    late: int = 0
    events: int = 0
    ended: int = 0


def measure() -> list[Row]:
    scripted, load = _per_stream(_SCRIPTED)
    _, silent = _per_stream(_SILENT, named=False)
    upstream = free_port()
    with running(["-m", "benchmarks.relay_upstream", str(upstream)], upstream):
        relayed, beside = _per_stream(_RELAYED.replace("PORT", str(upstream)))
    missed = sum(each.late + each.ended for each in (load, beside, silent))
    expected = STREAMS * (SECONDS - 1)
    return [
        Row(
            f"streams: resident memory of each of {STREAMS} open ones",
            f"{scripted:.1f} kB",
            f"{relayed:.1f} kB through a provider's HTTP stream",
            target=f"<= {LIMIT_KB:g} kB",
            met=scripted <= LIMIT_KB,
        ),
        Row(
            "streams: heartbeats late or missed, connections lost",
            f"{missed}",
            f"{load.events + beside.events} events, {sum(each.beats for each in (load, beside, silent))} heartbeats",
            target="0",
            met=missed == 0 and min(load.events, beside.events) >= expected,
        ),
    ]


def _per_stream(agent: str, *, named: bool = True) -> tuple[float, _Load]:
    """Kilobytes of resident memory for each open stream, and what the clients saw.

    With ``named`` events heartbeats come regularly, else when there was nothing for as long.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "agent.toml")
        path.write_text(agent)
        flags = ["--aura-custom-events", "true"] if named else []
        flags += ["--heartbeat-secs", f"{_BEAT / 1.5:g}" if named else f"{_BEAT:g}"]
        with running(["-m", "aura_py", "serve", str(path), *flags, "--port", str(port)], port) as process:
            return asyncio.run(_measure(port, process, b": heartbeat" if named else b": ping"))


async def _measure(port: int, process: psutil.Process, mark: bytes) -> tuple[float, _Load]:
    await _hold(port, _FEW, 2.0, _Load(mark))
    await asyncio.sleep(1)
    before, load = process.memory_info().rss, _Load(mark)
    held = asyncio.create_task(_hold(port, STREAMS, SECONDS, load))
    highest = before
    while not held.done():
        await asyncio.sleep(0.5)
        highest = max(highest, process.memory_info().rss)
    await held
    return (highest - before) / STREAMS / 1000, load


async def _hold(port: int, count: int, seconds: float, load: _Load) -> None:
    """Opens ``count`` streams, reads them all for ``seconds`` and leaves."""
    gate, opening = asyncio.Event(), asyncio.Semaphore(_OPENING)
    opened = [asyncio.create_task(_open(port, opening)) for _ in range(count)]
    connections = await asyncio.gather(*opened)
    readers = [asyncio.create_task(_read(reader, gate, load)) for reader, _ in connections]
    await asyncio.sleep(seconds)
    gate.set()
    for _, writer in connections:
        writer.close()
    await asyncio.gather(*readers)


async def _open(port: int, opening: asyncio.Semaphore) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with opening:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(_REQUEST) + _REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"\n\n")
        return reader, writer


async def _read(reader: asyncio.StreamReader, gate: asyncio.Event, load: _Load) -> None:
    last = time.monotonic()
    while not gate.is_set():
        try:
            piece = await reader.read(65536)
        except ConnectionError:
            piece = b""
        now = time.monotonic()
        if not piece:
            load.ended += not gate.is_set()
            return
        load.events += piece.count(b'"content":')
        beats = piece.count(load.mark)
        if beats:
            load.late += now - last > _BEAT + _LATE
            load.beats += beats
            last = now
    load.late += time.monotonic() - last > _BEAT + _LATE
