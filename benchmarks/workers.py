"""What several processes on one port cost: CPU per request beside one process, and how even their shares are."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import psutil

from benchmarks.processes import free_port, running
from benchmarks.report import Row

ROUNDS = 5
REQUESTS = 400
CLIENTS = 8
CPU_RATIO = 1.1
SHARE = (0.4, 0.6)

_AGENT = """
[agent]
name = "a"
system_prompt = "Answer."
[agent.llm]
provider = "scripted"
model = "demo"
[[agent.llm.rules]]
say = "Yes."
"""
_QUESTION = json.dumps({"model": "a", "messages": [{"role": "user", "content": "Well?"}]})


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        agent = Path(folder, "agent.toml")
        agent.write_text(_AGENT)
        ports = free_port(), free_port()
        with (
            running(["-m", "aura_py", "serve", str(agent), "--port", str(ports[0])], ports[0]) as one,
            running(
                ["-m", "aura_py", "serve", str(agent), "--port", str(ports[1]), "--workers", "2"], ports[1]
            ) as several,
        ):
            for port in (*ports, *ports):
                _ask(port)
            alone, beside, share = [], [], []
            for _ in range(ROUNDS):
                alone.append(sum(_burnt([one], ports[0])))
                burnt = _burnt(several.children(), ports[1])
                beside.append(sum(burnt))
                share.append(burnt[0] / sum(burnt))
    ratio = statistics.median(b / a for a, b in zip(alone, beside, strict=True))
    part = statistics.median(share)
    return [
        Row(
            "workers: CPU per request with 2 processes, beside 1",
            f"{statistics.median(beside) / REQUESTS * 1e3:.2f} ms",
            f"{statistics.median(alone) / REQUESTS * 1e3:.2f} ms",
            ratio,
            f"<= {CPU_RATIO} x",
            ratio <= CPU_RATIO,
        ),
        Row(
            "workers: one process's share of the work of 2",
            f"{part:.0%}",
            "50%",
            part / 0.5,
            "40-60 %",
            SHARE[0] <= part <= SHARE[1],
        ),
    ]


def _burnt(processes: list[psutil.Process], port: int) -> list[float]:
    """CPU seconds of each process for a round of requests."""
    before = [_cpu(each) for each in processes]
    _ask(port)
    return [_cpu(each) - start for each, start in zip(processes, before, strict=True)]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _ask(port: int) -> None:
    with ThreadPoolExecutor(min(CLIENTS, 4 * (os.cpu_count() or 1))) as pool:
        list(pool.map(lambda _: _request(port), range(REQUESTS)))


def _request(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/v1/chat/completions", _QUESTION, {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    connection.close()
