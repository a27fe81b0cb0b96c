"""An embedded vector store of 100,000 passages: filling it, searching it, and what that does to the event loop.

`KNOWLEDGE_CHUNKS` chooses another size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from benchmarks.processes import PROJECT
from benchmarks.report import Row

CHUNKS = int(os.environ.get("KNOWLEDGE_CHUNKS", "100000"))

_PROGRAM = r"""
import anyio, itertools, json, logging, random, statistics, sys, tempfile, time
from pathlib import Path

from aura_py.agent.agent import Agent  # what a server has imported anyway
from aura_py.config.models import QdrantStore
from aura_py.context import RunContext
from aura_py.knowledge.base import KnowledgeBase
from aura_py.knowledge.bm25 import word_model
from aura_py.knowledge.contract import Chunk, Search
from aura_py.knowledge.embedded import EmbeddedStore
from aura_py.knowledge.embedder import Embedder
from aura_py.knowledge.ingest import index
from aura_py.knowledge.tool import search_tool
from aura_py.messages import ToolCall
from aura_py.tools.contract import CallContext
from aura_py.tools.runner import ToolRunner
from aura_py.tools.toolset import Toolset

COUNT, SIZE = int(sys.argv[1]), 384
CHANCE = random.Random(1)
WORDS = ["".join(CHANCE.choice("abcdefghijklmnop") for _ in range(CHANCE.randint(3, 9))) for _ in range(30_000)]
WEIGHTS = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(WORDS))))


def text(words):
    return " ".join(CHANCE.choices(WORDS, cum_weights=WEIGHTS, k=words))


def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000


class Model:
    provider, model = "bench", "random"

    async def embed(self, texts, *, purpose):
        return [[CHANCE.gauss(0, 1) for _ in range(SIZE)] for _ in texts]

    async def aclose(self):
        pass


class Ticker:
    # The most processor time of this process for which the event loop did not come round.
    def __init__(self):
        self.longest = 0.0

    async def run(self):
        last = time.process_time()
        while True:
            await anyio.sleep(0.001)
            now = time.process_time()
            self.longest, last = max(self.longest, now - last), now


async def median(action, count=200):
    took = []
    for _ in range(count):
        query = text(5)
        start = time.perf_counter()
        await action(query)
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1000


async def searched(base, store, vector):
    runner = ToolRunner(Toolset([search_tool(base)]))
    context = CallContext(RunContext("r", "q", "s"), "c", emit=lambda event: None)

    async def bare(query):
        shard = store._open
        search = Search(query, vector=await base._embedder.query(query) if vector else None)
        with shard.lock:
            shard.search(search)

    async def tool(query):
        outcome = await runner.run(ToolCall("c", base.tool_name, json.dumps({"query": query})), context)
        assert outcome.ok, outcome.text

    ticker = Ticker()
    async with anyio.create_task_group() as tasks:
        result = {"bare": await median(bare)}
        tasks.start_soon(ticker.run)
        result["search"] = await median(base.search)
        result["tool"] = await median(tool)
        tasks.cancel_scope.cancel()
    result["loop"] = ticker.longest * 1000
    return result


async def lexical(place):
    docs = place / "docs"
    docs.mkdir()
    for number in range(COUNT // 50):
        parts = "\n\n".join(f"## Part {part}\n\n{text(100)}" for part in range(50))
        (docs / f"{number:05}.md").write_text(f"# Document {number}\n\n{parts}\n")
    store = EmbeddedStore("bench", place / "words", "english", None)
    base = KnowledgeBase("bench", QdrantStore(name="bench", path=place / "words"), store, None)
    await base.open()
    ticker = Ticker()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ticker.run)
        start, cpu = time.perf_counter(), time.process_time()
        progress = await index(store, None, [str(docs)], owner="bench")
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        tasks.cancel_scope.cancel()
    start = time.perf_counter()
    again = await index(store, None, [str(docs)], owner="bench")
    again_seconds = time.perf_counter() - start
    result = {"rate": progress.chunks / seconds, "cpu": progress.chunks / cpu, "loop": ticker.longest * 1000}
    result |= {"again": again_seconds, "unchanged": again.unchanged}
    bare = EmbeddedStore("bare", None, "english", None)
    await bare.open(None)
    some = [Chunk(f"/{n}", 0, f"{n}", text(100), "d") for n in range(5_000)]
    start = time.process_time()
    for first in range(0, len(some), 50):
        bare._open.upsert(some[first:first + 50], None, "bench")
    result["engine"] = len(some) / (time.process_time() - start)
    await bare.close()
    result |= {"searched": await searched(base, store, False), "memory": resident()}
    await base.close()
    return result


async def hybrid(place):
    model = Model()
    store = EmbeddedStore("bench", place / "vectors", "english", "bench/random")
    config = QdrantStore(name="bench", path=place / "vectors", mode="hybrid",
                         embedding_model={"provider": "ollama", "model": "m"})
    base = KnowledgeBase("bench", config, store, Embedder(model))
    await base.open()
    for first in range(0, COUNT, 500):
        chunks = [Chunk(f"/{n}", 0, f"{n}", text(100), "d") for n in range(first, min(COUNT, first + 500))]
        await store.upsert(chunks, await model.embed(chunks, purpose="document"), owner="bench")
    start = time.perf_counter()
    await store.settle(COUNT)
    settled = time.perf_counter() - start
    result = {"settled": settled, "searched": await searched(base, store, True), "memory": resident()}
    await base.close()
    return result


async def main():
    with tempfile.TemporaryDirectory() as place:
        kind = lexical if sys.argv[2] == "lexical" else hybrid
        print(json.dumps(await kind(Path(place))))


if __name__ == "__main__":
    logging.disable()
    anyio.run(main, backend_options={"use_uvloop": True})
"""


def measure() -> list[Row]:
    """Rows about words alone, then about words and vectors of 384 numbers."""
    words, both = (_run(kind) for kind in ("lexical", "hybrid"))
    size = f"{CHUNKS:,} passages"
    rows = [
        Row("indexing Markdown, words only", f"{words['rate']:.0f} passages/s", "on the clock, readers beside it"),
        Row(
            "the same for each second of the server's processor time",
            f"{words['cpu']:.0f} passages",
            f"bare engine {words['engine']:.0f}",
            words["cpu"] / words["engine"],
            ">= 3,000",
            words["cpu"] >= 3_000,
        ),
        Row("the same again, unchanged", f"{words['again']:.1f} s", f"{words['unchanged']} documents"),
        Row(
            "event loop while indexing",
            f"held {words['loop']:.0f} ms at most",
            target="<= 200 ms",
            met=words["loop"] <= 200,
        ),
        Row("indexes of vectors, in another process", f"{both['settled']:.0f} s"),
        Row(
            "memory of the process",
            f"{both['memory']:.0f} MB",
            f"words only {words['memory']:.0f} MB",
            target="<= 1,000 MB",
            met=both["memory"] <= 1_000,
        ),
    ]
    for name, found in (("words", words["searched"]), ("words and vectors", both["searched"])):
        bare = f"engine {found['bare']:.2f} ms"
        search, tool = found["search"], found["tool"]
        rows.append(
            Row(f"{name}: search of {size}", f"{search:.2f} ms", bare, search / found["bare"], "<= 5 ms", search <= 5)
        )
        rows.append(
            Row(f"{name}: as a tool call", f"{tool:.2f} ms", bare, tool / found["bare"], "<= 10 ms", tool <= 10)
        )
        rows.append(
            Row(
                f"{name}: event loop",
                f"held {found['loop']:.0f} ms at most",
                target="<= 50 ms",
                met=found["loop"] <= 50,
            )
        )
    return rows


def _run(kind: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(CHUNKS), kind], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(ended.stdout)
    return found
