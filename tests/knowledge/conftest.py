"""The stores that the conformance suite runs against."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aura_py.knowledge.contract import Store
from aura_py.knowledge.embedded import EmbeddedStore
from tests.knowledge.documents import DIMENSIONS, WordVectors, chunks

STORES = ["embedded", "in_memory"]


@pytest.fixture(params=STORES)
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store with words and vectors that holds nothing."""
    store = new_store(request.param, tmp_path)
    await store.open(DIMENSIONS)
    try:
        yield store
    finally:
        await store.close()


def new_store(kind: str, directory: Path) -> Store:
    return EmbeddedStore("notes", directory / "store" if kind == "embedded" else None, "english", "test/words")


@pytest.fixture
async def store(empty: Store) -> Store:
    """A store with the documents of every test."""
    written = chunks()
    vectors = await WordVectors().embed([chunk.searched_text for chunk in written], purpose="document")
    await empty.upsert(written, vectors, owner="tests")
    return empty
