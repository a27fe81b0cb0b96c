"""From `aura serve` to the first 200 of `/health` with five OpenAI agents, and the memory it then holds."""

from __future__ import annotations

import statistics
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.processes import free_port, running
from benchmarks.report import Row

RUNS = 3
START_SECONDS = 1.5
RESIDENT_MB = 80
AGENTS = 5
SETTLE_SECONDS = 3.0
"""Memory is read when the imports that go on after listening are done."""

_AGENT = """
[agent]
name = "startup {number}"
system_prompt = "Answer."

[agent.llm]
provider = "openai"
model = "gpt-5"
api_key = "none"
"""
_EMPTY = """
import http.server, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Quiet).serve_forever()
"""


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(AGENTS):
            Path(folder, f"agent-{number}.toml").write_text(_AGENT.format(number=number))
        times, burnt, sizes = zip(
            *(_start(["-m", "aura_py", "serve", folder, "--port"]) for _ in range(RUNS)), strict=True
        )
    empty_times, empty_burnt, empty_sizes = zip(*(_start(["-c", _EMPTY]) for _ in range(RUNS)), strict=True)
    cpu, empty_cpu = statistics.median(burnt), statistics.median(empty_burnt)
    seconds, resident = statistics.median(times), max(sizes)
    empty_seconds, empty_resident = statistics.median(empty_times), max(empty_sizes)
    return [
        Row(
            "startup: `aura serve` to the first 200 of /health, beside http.server",
            f"{seconds:.2f} s",
            f"{empty_seconds:.2f} s",
            seconds / empty_seconds,
            f"< {START_SECONDS} s",
            seconds < START_SECONDS,
        ),
        Row(
            "startup: CPU until then, beside http.server",
            f"{cpu:.2f} s",
            f"{empty_cpu:.2f} s",
            cpu / empty_cpu,
        ),
        Row(
            f"startup: resident memory when idle with {AGENTS} agents, beside http.server",
            f"{resident:.0f} MB",
            f"{empty_resident:.0f} MB",
            resident / empty_resident,
            f"< {RESIDENT_MB} MB",
            resident < RESIDENT_MB,
        ),
    ]


def _start(arguments: list[str]) -> tuple[float, float, float]:
    """Seconds and CPU seconds until the first 200 (404 from a server without `/health`), and megabytes after it."""
    port = free_port()
    began = time.perf_counter()
    with running([*arguments, str(port)], port) as process:
        _ask(port)
        seconds = time.perf_counter() - began
        spent = process.cpu_times()
        time.sleep(SETTLE_SECONDS)
        return seconds, spent.user + spent.system, process.memory_info().rss / 1e6


def _ask(port: int) -> None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert answer.status == 200
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
