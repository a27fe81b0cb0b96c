"""The process's vector stores: one for each that an agent declares, kept over reloads that do not change it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import anyio

from aura_py.config.models import (
    AgentConfig,
    BedrockKbStore,
    Embedding,
    InMemoryStore,
    PgvectorStore,
    QdrantStore,
    SearchableStore,
    VectorStore,
)
from aura_py.knowledge.base import KnowledgeBase
from aura_py.knowledge.contract import Store
from aura_py.knowledge.embedder import Embedder
from aura_py.llm import build_embeddings

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)


class KnowledgePool:
    """Stores by agent and table; two tables that are the same in every key share one."""

    def __init__(self) -> None:
        self._bases: dict[tuple[str, VectorStore], KnowledgeBase] = {}
        self._users: dict[tuple[str, VectorStore], int] = {}
        self._embedders: dict[Embedding, Embedder] = {}

    def stores(self, config: AgentConfig) -> dict[str, KnowledgeBase]:
        """The stores of an agent by name, to be given back with :meth:`release`. Nothing is opened yet.

        Raises:
            ConfigurationError: An embedding model cannot be what its table says.
        """
        found: dict[str, KnowledgeBase] = {}
        for store in config.vector_stores:
            key = (config.id, store)
            if key not in self._bases:
                embedder = self._embedder(store, config.id)
                self._bases[key] = KnowledgeBase(config.id, store, build_store(store, embedder), embedder)
            self._users[key] = self._users.get(key, 0) + 1
            found[store.name] = self._bases[key]
        return found

    async def keep_indexed(self, config: AgentConfig) -> None:
        """Fill the stores of an agent and keep them filled, until they are released."""
        async with anyio.create_task_group() as tasks:
            for store in config.vector_stores:
                base = self._bases.get((config.id, store))
                if base is not None and not base.in_background:
                    tasks.start_soon(base.keep_indexed, fingerprint)

    def get(self, config: AgentConfig, name: str) -> KnowledgeBase | None:
        return next((self._bases.get((config.id, store)) for store in config.vector_stores if store.name == name), None)

    async def release(self, config: AgentConfig) -> None:
        """Give the stores of an agent back; what nobody uses any more is closed."""
        for base in self.forget(config):
            await _close(base)

    def forget(self, config: AgentConfig) -> list[KnowledgeBase]:
        """Give back without closing; returns what nobody uses any more, which holds nothing unless it was opened."""
        unused: list[KnowledgeBase] = []
        for store in config.vector_stores:
            key = (config.id, store)
            self._users[key] = self._users.get(key, 0) - 1
            if self._users[key] <= 0:
                self._users.pop(key)
                if key in self._bases:
                    unused.append(self._bases.pop(key))
        return unused

    async def close(self) -> None:
        for base in self._bases.values():
            await _close(base)
        for embedder in self._embedders.values():
            await embedder.aclose()
        self._bases.clear()
        self._embedders.clear()

    def _embedder(self, store: VectorStore, agent: str) -> Embedder | None:
        model: Embedding | None = store.embedding_model if isinstance(store, SearchableStore) else None
        if model is None or (isinstance(store, SearchableStore) and store.search_mode == "lexical"):
            return None
        if model not in self._embedders:
            self._embedders[model] = Embedder(build_embeddings(model, agent=agent))
        return self._embedders[model]


async def _close(base: KnowledgeBase | None) -> None:
    if base is not None:
        try:
            await base.close()
        except Exception as error:
            logger.error("the vector store `%s` did not close cleanly (%s)", base.name, type(error).__name__)


def build_store(config: VectorStore, embedder: Embedder | None) -> Store:
    """The store that ``config`` describes. Only its own module is imported."""
    model = None if embedder is None else embedder.name
    if isinstance(config, InMemoryStore):
        return _embedded(config, None, model)
    if isinstance(config, QdrantStore) and config.path is not None:
        return _embedded(config, config.path, model)
    kinds: dict[type, tuple[str, str]] = {
        QdrantStore: ("remote", "RemoteStore"),
        PgvectorStore: ("postgres", "PostgresStore"),
        BedrockKbStore: ("bedrock_kb", "BedrockStore"),
    }
    module, name = kinds[type(config)]
    built: Store = getattr(import_module(f"aura_py.knowledge.{module}"), name)(config)
    return built


def _embedded(config: SearchableStore, path: Path | None, model: str | None) -> Store:
    from aura_py.knowledge.embedded import EmbeddedStore

    return EmbeddedStore(config.name, path, config.language, model)


def fingerprint(sources: Sequence[str]) -> Sequence[object]:
    """Name, size and time of every file below ``sources``. Blocking."""
    from aura_py.knowledge.documents import READERS
    from aura_py.knowledge.files import find_files

    seen: list[object] = []
    for path in find_files(sources, frozenset(READERS)).files:
        try:
            status = os.stat(path)
        except OSError:
            continue
        seen.append((path, status.st_size, status.st_mtime_ns))
    return seen
