"""One request with one MCP tool call through `aura serve`, beside its parts made bare.

The parts are the tool call over the SDK's open session and the two model calls; what is left is Aura's own time. With
a connection per request every request carries a header of its own that the tool server gets, as new users do.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import httpx
import psutil

from benchmarks.processes import PROJECT, free_port, running
from benchmarks.report import Row

_WARM = 150
_COLD = 30
_UNCOUNTED = 5
_LIMIT_MS = 15.0
_CPU_MS = 5.0
_CPU_RATIO = 2.0
_ROUNDS = 5
_REQUESTS = 150
_AGENT = """
[agent]
name = "one"
system_prompt = "Answer."

[agent.llm]
provider = "openai"
model = "fake"
api_key = "none"
base_url = "http://127.0.0.1:MODEL/v1"

[mcp.servers.mock]
transport = "http_streamable"
url = "TOOLS"
headers_from_request = { x-user = "x-user" }
"""
_QUESTION: dict[str, Any] = {"role": "user", "content": "go"}
_FUNCTION = {"name": "mock_tool", "arguments": '{"message":"hello"}'}
_RESULT: list[dict[str, Any]] = [
    {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": _FUNCTION}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "Mock tool received: hello"},
]


def measure() -> list[Row]:
    command = [sys.executable, "-m", "tests.servers.mock", "--http", "0"]
    model, port = free_port(), free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tools,
    ):
        try:
            assert tools.stdout is not None
            url = tools.stdout.readline().strip()
            agent = Path(folder, "agent.toml")
            agent.write_text(_AGENT.replace("MODEL", str(model)).replace("TOOLS", url))
            by_hand = free_port()
            with (
                running(["-m", "benchmarks.tool_upstream", str(model)], model),
                running(["-m", "aura_py", "serve", str(agent), "--port", str(port)], port) as aura,
                running(["-m", "benchmarks.tool_by_hand", str(by_hand), str(model), url], by_hand) as hand,
            ):
                rows: list[Row] = anyio.run(_measure, url, model, port)
                return rows + anyio.run(_costs, {port: aura, by_hand: hand})
        finally:
            tools.kill()


async def _measure(tools: str, model: int, port: int) -> list[Row]:
    from mcp import Client

    users = count()
    async with httpx.AsyncClient(timeout=30) as http, Client(tools) as client:

        async def ask(url: str, messages: list[dict[str, Any]], user: str = "same") -> bytes:
            body = {"model": "one", "stream": True, "messages": messages}
            async with http.stream("POST", f"{url}/v1/chat/completions", json=body, headers={"x-user": user}) as reply:
                received = await reply.aread()
            assert b"[DONE]" in received, received
            return received

        async def parts() -> None:
            upstream = f"http://127.0.0.1:{model}"
            await ask(upstream, [_QUESTION])
            await client.call_tool("mock_tool", {"message": "hello"})
            await ask(upstream, [_QUESTION, *_RESULT])

        async def warm() -> None:
            assert b"word19" in await ask(f"http://127.0.0.1:{port}", [_QUESTION])

        async def cold() -> None:
            assert b"word19" in await ask(f"http://127.0.0.1:{port}", [_QUESTION], f"user-{next(users)}")

        await client.list_tools()
        warm_ms, parts_ms = await _medians(_WARM, warm, parts)
        (cold_ms,) = await _medians(_COLD, cold)
    over = warm_ms - parts_ms
    return [
        Row(
            "request with one MCP call, warm pool: Aura's own time (p50)",
            f"{over:.1f} ms",
            f"{warm_ms:.1f} ms with, {parts_ms:.1f} ms the bare tool call and two model calls",
            warm_ms / parts_ms,
            f"<= {_LIMIT_MS:g} ms over its parts",
            over <= _LIMIT_MS,
        ),
        Row(
            "request with one MCP call, a connection per request (p50)",
            f"{cold_ms:.1f} ms",
            f"{warm_ms:.1f} ms with a warm pool",
            cold_ms / warm_ms,
            "what the pool saves",
        ),
    ]


async def _costs(servers: dict[int, psutil.Process]) -> list[Row]:
    """CPU of a request, Aura's and that of the same bytes by hand, in turns."""
    spent: dict[int, list[float]] = {port: [] for port in servers}
    body = {"model": "one", "stream": True, "messages": [_QUESTION]}
    async with httpx.AsyncClient(timeout=30) as http:
        for _ in range(_ROUNDS + 1):
            for port, server in servers.items():
                before = _cpu(server)
                for _ in range(_REQUESTS):
                    reply = await http.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body)
                    assert b"word19" in reply.content, reply.content
                spent[port].append((_cpu(server) - before) / _REQUESTS * 1000)
    aura, hand = (statistics.median(times[1:]) for times in spent.values())
    return [
        Row(
            "request with one MCP call: CPU, beside the same bytes by hand",
            f"{aura:.1f} ms",
            f"{hand:.1f} ms",
            aura / hand,
            f"<= {_CPU_MS:g} ms and <= {_CPU_RATIO:g} x by hand",
            aura <= _CPU_MS and aura <= hand * _CPU_RATIO,
        )
    ]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _medians(rounds: int, *actions: Callable[[], Awaitable[None]]) -> list[float]:
    """Milliseconds of things done in turn, so that all meet the same machine."""
    spent: list[list[float]] = [[] for _ in actions]
    for number in range(rounds + _UNCOUNTED):
        for action, times in zip(actions, spent, strict=True):
            begun = time.perf_counter()
            await action()
            if number >= _UNCOUNTED:
                times.append((time.perf_counter() - begun) * 1000)
    return [statistics.median(times) for times in spent]
