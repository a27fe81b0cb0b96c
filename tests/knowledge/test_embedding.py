"""Stores with an embedding model over the wire: hybrid search, lengths that change, a provider that is away."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aura_py.config.models import AgentConfig
from aura_py.knowledge import KnowledgeBase, KnowledgeError, KnowledgePool, search_tool
from aura_py.messages import ToolCall
from aura_py.tools.runner import ToolRunner
from aura_py.tools.toolset import Toolset
from tests.agent.scenario import call_context
from tests.agent.test_agent import config as agent_config
from tests.knowledge.documents import WordVectors


@dataclass
class Provider:
    """``POST /embeddings`` as OpenAI-compatible servers answer it."""

    url: str = ""
    model: WordVectors = field(default_factory=WordVectors)
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def provider() -> Iterator[Provider]:
    state = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append(body)
            texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
            vectors = [
                {"object": "embedding", "index": i, "embedding": state.model.vector(t)} for i, t in enumerate(texts)
            ]
            answer = {
                "object": "list",
                "data": vectors,
                "model": "words",
                "usage": {"prompt_tokens": 1, "total_tokens": 1},
            }
            data = json.dumps(answer if state.status == 200 else {"error": {"message": "no"}}).encode()
            self.send_response(state.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Zebras\nA zebra has stripes.\n")
    (tmp_path / "docs" / "b.md").write_text("# Lions\nA lion has a mane.\n")
    return tmp_path / "docs"


@asynccontextmanager
async def opened(provider: Provider, docs: Path, **keys: Any) -> AsyncIterator[KnowledgeBase]:
    table: dict[str, Any] = {
        "name": "notes",
        "type": "qdrant",
        "path": docs.parent / "index",
        "sources": [str(docs)],
        "embedding_model": {"provider": "openai", "model": "words", "api_key": "k", "base_url": provider.url},
        **keys,
    }
    settings = AgentConfig.model_validate({**agent_config([]).model_dump(), "vector_stores": [table]})
    pool = KnowledgePool()
    try:
        yield pool.stores(settings)["notes"]
    finally:
        await pool.close()


@pytest.mark.parametrize(("mode", "kind"), [(None, "fused"), ("hybrid", "fused"), ("vector", "cosine")])
async def test_documents_and_queries_are_embedded_and_found(
    provider: Provider, docs: Path, mode: str | None, kind: str
) -> None:
    async with opened(provider, docs, mode=mode) as base:
        found = await base.search("zebra has stripes")
        assert (found[0].source, found[0].kind) == ("docs/a.md", kind)
        asked = len(provider.asked)
        await base.search("zebra has stripes")
        assert len(provider.asked) == asked


async def test_words_alone_ask_no_provider_although_one_is_named(provider: Provider, docs: Path) -> None:
    async with opened(provider, docs, mode="lexical") as base:
        assert (await base.search("zebra"))[0].kind == "bm25"
    assert provider.asked == []


async def test_a_model_that_changed_the_length_of_its_vectors_is_told(provider: Provider, docs: Path) -> None:
    async with opened(provider, docs) as base:
        await base.search("zebra")
    provider.model = WordVectors(8)
    async with opened(provider, docs) as base:
        with pytest.raises(KnowledgeError, match=r"filled with vectors of 16 dimensions .* opened with vectors of 8"):
            await base.search("zebra")


async def test_a_provider_that_is_away_is_named_and_nothing_is_stored(provider: Provider, docs: Path) -> None:
    provider.status = 401
    async with opened(provider, docs) as base:
        with pytest.raises(KnowledgeError, match="the embedding model `openai/words` failed") as raised:
            await base.search("zebra")
        assert provider.url not in str(raised.value)
        tool = search_tool(base)
        call = ToolCall("c", tool.name, '{"query": "zebra"}')
        outcome = await ToolRunner(Toolset([tool])).run(call, call_context())
        assert outcome.text.startswith(
            "ToolCallError: the vector store `notes` cannot be searched: the embedding model"
        )
        states = [base.state]
        provider.status = 200
        assert (await base.search("zebra"))[0].source == "docs/a.md"
        assert [*states, base.state] == ["failed", "ready"]
