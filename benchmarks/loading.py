"""How long a directory of 1,000 agents takes to load, beside parsing the same files as TOML and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.processes import PROJECT
from benchmarks.report import Row

AGENTS = 1000
SECONDS = 3.0

_AGENT = """#:schema ./agent.schema.json
[agent]
name = "Agent {number}"
alias = "agent-{number}"
description = "Number {number} of many"
system_prompt = \"\"\"
You answer questions about area {number}.
Say so when you do not know.
\"\"\"
turn_depth = 8
mcp_filter = ["get_*", "list_*"]

[agent.llm]
provider = "openai"
model = "gpt-5"
api_key = "{{{{ env.BENCHMARK_KEY }}}}"
temperature = 0.2
max_tokens = 4000

[mcp.servers.logs]
transport = "http_streamable"
url = "https://logs.example.com/mcp"
headers = {{ Authorization = "Bearer {{{{ env.BENCHMARK_KEY }}}}" }}

[mcp.servers.local]
transport = "stdio"
cmd = ["python3", "-m", "somewhere"]
"""
_LOAD = """
import json, sys, time
from pathlib import Path
from aura_py.config import load
began = time.perf_counter()
loaded = load(Path(sys.argv[1]))
print(json.dumps([len(loaded.agents), time.perf_counter() - began]))
"""
_PARSE = """
import json, sys, time, tomllib
from pathlib import Path
began = time.perf_counter()
trees = [tomllib.loads(path.read_text()) for path in Path(sys.argv[1]).glob("*.toml")]
print(json.dumps([len(trees), time.perf_counter() - began]))
"""


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(AGENTS):
            Path(folder, f"agent-{number:04}.toml").write_text(_AGENT.format(number=number))
        loading = _seconds(_LOAD, folder)
        parsing = _seconds(_PARSE, folder)
    return [
        Row(
            f"loading: a directory of {AGENTS} agents, beside tomllib alone",
            f"{loading:.2f} s",
            f"{parsing:.2f} s",
            loading / parsing,
            f"< {SECONDS:g} s",
            loading < SECONDS,
        )
    ]


def _seconds(program: str, folder: str) -> float:
    ended = subprocess.run(
        [sys.executable, "-c", program, folder],
        cwd=PROJECT,
        env={"BENCHMARK_KEY": "sk-benchmark", "AURA_DISABLE_DOTENV": "true"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    count, seconds = json.loads(ended.stdout)
    if count != AGENTS:
        raise RuntimeError(f"{count} of {AGENTS} agents were loaded")
    return float(seconds)
