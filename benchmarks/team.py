"""A team of six tasks through `aura serve`, over a provider's real protocol, with its files on disk.

The critical path is four model calls: the plan, five tasks side by side, the sixth, the answer.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.processes import free_port, running
from benchmarks.report import Row

CPU_MS = 40.0
SILENCE = 0.5
"""Seconds that the model takes for each answer."""
RUNS = 20
CALLS = 4
_AGENT = """
memory_dir = "MEMORY"
[agent]
name = "team"
system_prompt = "Be of use."
[agent.llm]
provider = "openai"
model = "fake"
api_key = "none"
base_url = "http://127.0.0.1:MODEL/v1"
[orchestration]
enabled = true
[orchestration.worker.hand]
description = "Does parts."
preamble = "You do parts."
"""
_BODY: dict[str, Any] = {"model": "team", "stream": True, "messages": [{"role": "user", "content": "Do the work."}]}


def measure() -> list[Row]:
    return [*_served(0.0, _cost), *_served(SILENCE, _makespan)]


def _served(seconds: float, look: Any) -> list[Row]:
    model, port = free_port(), free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(["-m", "benchmarks.team_upstream", str(model), str(seconds)], model),
    ):
        agent = Path(folder, "team.toml")
        agent.write_text(_AGENT.replace("MODEL", str(model)).replace("MEMORY", f"{folder}/memory"))
        with running(["-m", "aura_py", "serve", str(agent), "--port", str(port)], port) as server:
            rows: list[Row] = asyncio.run(look(server, f"http://127.0.0.1:{port}/v1/chat/completions"))
            return rows


async def _cost(server: psutil.Process, url: str) -> list[Row]:
    async with httpx.AsyncClient(timeout=60) as client:
        for _ in range(3):
            await _run(client, url)
        rounds = []
        for _ in range(5):
            before = _cpu(server)
            for _ in range(RUNS):
                await _run(client, url)
            rounds.append((_cpu(server) - before) / RUNS * 1000)
    each = statistics.median(rounds)
    return [Row("team of six tasks: CPU per run", f"{each:.1f} ms", "", None, f"<= {CPU_MS:.0f} ms", each <= CPU_MS)]


async def _makespan(_server: psutil.Process, url: str) -> list[Row]:
    rows = []
    async with httpx.AsyncClient(timeout=60) as client:
        await _run(client, url)
        for at_once, bound in ((1, 1.05), (10, 1.10)):
            took = []
            for _ in range(5):
                began = time.perf_counter()
                await asyncio.gather(*(_run(client, url) for _ in range(at_once)))
                took.append(time.perf_counter() - began)
            path = SILENCE * CALLS
            ratio = statistics.median(took) / path
            rows.append(
                Row(
                    f"team of six tasks: makespan, {at_once} at once",
                    f"{ratio * path * 1000:.0f} ms",
                    f"{path * 1000:.0f} ms critical path",
                    ratio,
                    f"<= {bound} x",
                    ratio <= bound,
                )
            )
    return rows


async def _run(client: httpx.AsyncClient, url: str) -> None:
    async with client.stream("POST", url, json=_BODY) as answer:
        text = "".join([part async for part in answer.aiter_text()])
    assert "All done." in text, text


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
