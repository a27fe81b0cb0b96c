"""One MCP tool call over Streamable HTTP: a warm pool beside the bare SDK, and a connection per request beside both."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from aura_py.config.models import HttpServer, McpServer
from aura_py.context import RunContext
from aura_py.mcp import McpPool
from aura_py.tools.contract import CallContext
from benchmarks.report import Row

_WARM = 300
_COLD = 25
_MESSAGE = "hello"


def measure() -> list[Row]:
    """Runs the fixture server in a process of its own and measures against it."""
    command = [sys.executable, "-m", "tests.servers.mock", "--http", "0"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            return anyio.run(_measure, process.stdout.readline().strip())
        finally:
            process.kill()


async def _measure(url: str) -> list[Row]:
    from mcp import Client

    servers: dict[str, McpServer] = {"mock": HttpServer.model_validate({"url": url})}

    async def through(pool: McpPool) -> None:
        attachment = await pool.attach(servers, headers={})
        tool = next(found for found in attachment.tools if found.name == "mock_tool")
        outcome = await tool.call({"message": _MESSAGE}, _context())
        assert outcome.ok
        await attachment.release()

    async def cold_pool() -> None:
        async with McpPool() as pool:
            await through(pool)

    async def cold_sdk() -> None:
        async with Client(url) as client:
            await client.list_tools()
            await client.call_tool("mock_tool", {"message": _MESSAGE})

    async with Client(url) as client, McpPool() as pool:

        async def bare() -> None:
            await client.call_tool("mock_tool", {"message": _MESSAGE})

        async def warm() -> None:
            await through(pool)

        async def attach() -> None:
            await (await pool.attach(servers, headers={})).release()

        await client.list_tools()
        warm_ms, bare_ms = await _both(warm, bare, _WARM)
        (attach_ms,) = await _rounds(_WARM, attach)
        cold_ms, cold_sdk_ms = await _both(cold_pool, cold_sdk, _COLD)
    return [
        Row(
            "mcp: attach + call, warm pool (p50)",
            f"{warm_ms:.2f} ms",
            f"{bare_ms:.2f} ms bare SDK call",
            warm_ms / bare_ms,
            "<= 15 ms over the bare call",
            warm_ms - bare_ms <= 15,
        ),
        Row("mcp: attach alone, warm pool (p50)", f"{attach_ms:.3f} ms", target="<= 1 ms", met=attach_ms <= 1),
        Row(
            "mcp: connection per request (p50)",
            f"{cold_ms:.1f} ms",
            f"{warm_ms:.2f} ms warm pool",
            cold_ms / warm_ms,
            f"what the pool saves; the SDK alone takes {cold_sdk_ms:.1f} ms",
        ),
    ]


async def _both(
    one: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[None]], rounds: int
) -> tuple[float, float]:
    """Medians in milliseconds of two things done in turn, so that both meet the same machine."""
    first, second = await _rounds(rounds, one, other)
    return first, second


async def _rounds(rounds: int, *actions: Callable[[], Awaitable[None]]) -> list[float]:
    spent: list[list[float]] = [[] for _ in actions]
    for number in range(rounds + 3):
        for action, times in zip(actions, spent, strict=True):
            begin = time.perf_counter()
            await action()
            if number >= 3:
                times.append((time.perf_counter() - begin) * 1000)
    return [statistics.median(times) for times in spent]


def _context() -> CallContext:
    return CallContext(run=RunContext("run", "req", "cs"), call_id="call", emit=lambda _event: None)
