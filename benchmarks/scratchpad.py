"""Parking 10 MB beside tokenising it whole by `tiktoken`, and exploring files of 10 and 50 MB beside reading them."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.processes import PROJECT
from benchmarks.report import Row

SHARE = 0.15
SECONDS = {10: 0.1, 50: 1.0}
"""What a tool may take on files of so many megabytes."""
MEGABYTES = 200

_PROGRAM = r"""
import anyio, gc, json, sys, tempfile, time
from pathlib import Path

from aura_py.config.models import ScratchpadSettings
from aura_py.context import RunContext
from aura_py.scratchpad import Scratchpad
from aura_py.scratchpad.documents import DOCUMENTS
from aura_py.tokens import counter_for, vocabulary
from aura_py.tools.contract import BuiltinTool, CallContext, Invocation, success

COUNTER = counter_for("openai", "gpt-4o")


def items(count):
    return json.dumps({"results": [
        {"id": n, "name": f"item-{n}", "status": ("ok", "error")[n % 2],
         "metadata": {"score": n / 7, "tags": ["a", "b"]}, "details": {"region": "eu-west", "version": f"1.{n}"}}
        for n in range(count)], "total": count})


def log(count):
    return "\n".join(
        f"2026-01-01T00:00:{n % 60:02} {('INFO', 'WARN', 'ERROR')[n % 3]} worker-{n % 8} took {n * 7 % 977} ms for {n}"
        for n in range(count))


def high_water():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000
    return 0.0


def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    return 0.0


def reset():
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


async def main():
    directory = Path(tempfile.mkdtemp()) / "pad"
    pad = Scratchpad.open(
        ScratchpadSettings(enabled=True), directory=directory, read_root=directory, thresholds={"big": 0},
        counter=COUNTER, context_window=100_000_000)
    context = CallContext(RunContext("r", "q", "s"), "c", lambda event: None)

    async def handler(arguments, context):
        return ""

    tool = BuiltinTool("big", "", {}, handler, "mcp")

    async def park(text):
        async def outcome(invocation, context):
            return success(text)
        return await pad.middleware(Invocation(tool, {}), context, outcome)

    COUNTER.count("warm")
    whole = vocabulary.encoding(COUNTER.encoding)
    small = items(60_000)
    tokenised = parked = 1e9
    for spaces in range(6):
        text = small + " " * spaces
        began = time.perf_counter()
        len(whole.encode(text, disallowed_special=()))
        tokenised = min(tokenised, time.perf_counter() - began)
        began = time.perf_counter()
        outcome = await park(text)
        parked = min(parked, time.perf_counter() - began)
        # As at the end of a run; else each round would measure memory that the machine has never touched.
        DOCUMENTS.forget(directory)
        (directory / outcome.meta["parked"]).unlink()
    megabytes = len(small) / 1e6
    del small, text
    explored = []
    for size in (10, 50):
        count = 3560 * size
        files = {"json": (await park(json.dumps(json.loads(items(count)), indent=2))).meta["parked"]}
        files["log"] = (await park(log(16_000 * size))).meta["parked"]
        files["line"] = (await park("x y " * (250_000 * size))).meta["parked"]
        gc.collect()
        calls = [
            ("json", "schema", {}), ("json", "item_schema", {"path": "results"}),
            ("json", "get_in", {"path": f"results[{count - 9}].name"}),
            ("json", "iterate_over", {"path": "results", "fields": "id, status"}),
            ("json", "iterate_over", {"path": "results", "fields": "id", "where": f"id > {count - 50}"}),
            ("json", "iterate_over", {"path": "results", "aggregate": "sum(metadata.score)", "group_by": "status"}),
            ("json", "grep", {"pattern": f"item-{count // 100}[0-9]+"}), ("json", "head", {}), ("json", "read", {}),
            ("json", "slice", {"start": count * 8, "end": count * 8 + 50}),
            ("log", "schema", {}), ("log", "grep", {"pattern": "(a|aa)+$"}), ("log", "grep", {"pattern": "ERROR"}),
            ("line", "head", {}), ("line", "grep", {"pattern": "(x+x+)+z"}),
        ]
        tools = {each.name: each for each in pad.tools}
        for kind, name, arguments in calls:
            seconds, again, grown, read = 1e9, 1e9, 0.0, 1e9
            for _ in range(3):
                DOCUMENTS.forget(directory)
                gc.collect()
                began = time.perf_counter()
                (directory / files[kind]).read_bytes()
                read = min(read, time.perf_counter() - began)
                before = resident()
                reset()
                began = time.perf_counter()
                await tools[name].call({"file": files[kind], **arguments}, context)
                seconds = min(seconds, time.perf_counter() - began)
                grown = max(grown, high_water() - before)
                began = time.perf_counter()
                await tools[name].call({"file": files[kind], **arguments}, context)
                again = min(again, time.perf_counter() - began)
            explored.append([size, kind, name, arguments, seconds, again, read, grown])
    pad.close()
    print(json.dumps({"megabytes": megabytes, "tokenised": tokenised, "parked": parked, "explored": explored}))


anyio.run(main)
"""


def measure() -> list[Row]:
    """Best of three, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=600
    )
    found = json.loads(done.stdout)
    share = found["parked"] / found["tokenised"]
    rows = [
        Row(
            f"park {found['megabytes']:.0f} MB of JSON",
            f"{found['parked'] * 1000:.0f} ms",
            f"{found['tokenised'] * 1000:.0f} ms to tokenise it",
            share,
            f"<= {SHARE} x the tokenisation",
            share <= SHARE,
        )
    ]
    for size, kind, name, arguments, seconds, again, read, grown in found["explored"]:
        told = (
            arguments.get("where")
            or arguments.get("aggregate")
            or arguments.get("pattern")
            or arguments.get("path")
            or ""
        )
        rows.append(
            Row(
                f"{name} on {size} MB {kind} {told}".rstrip(),
                f"{seconds * 1000:.0f} ms, again {again * 1000:.0f} ms, {max(0.0, grown):.0f} MB",
                f"{read * 1000:.0f} ms to read it",
                seconds / read,
                f"<= {SECONDS[size] * 1000:.0f} ms and {MEGABYTES} MB",
                seconds <= SECONDS[size] and grown <= MEGABYTES,
            )
        )
    return rows
