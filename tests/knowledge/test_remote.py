"""What only servers can get wrong: keys, collections of others, lengths of vectors, not being there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from qdrant_client import models

from aura_py.knowledge.contract import KnowledgeError, Search
from aura_py.knowledge.remote import RemoteStore
from tests.knowledge.conftest import pgvector, qdrant
from tests.knowledge.documents import WordVectors, chunks
from tests.knowledge.qdrant_server import API_KEY, QdrantServer, qdrant_server

EMBEDDING = {"provider": "ollama", "model": "e"}


@pytest.fixture
def foreign(server: QdrantServer) -> str:
    """A collection as others make them: one vector without a name, any payload."""
    name = f"foreign-{uuid.uuid4()}"
    params = models.VectorParams(size=3, distance=models.Distance.COSINE)
    server.create(name, models.CreateCollection(vectors=params))
    payloads: list[dict[str, Any]] = [
        {"text": "Restart with care", "team": "db", "page": 17, "urgent": "yes", "meta": {"lang": "en"}},
        {"text": "Call the plumber", "team": "home", "page": 4, "ratio": 0.5},
        {"title": "no text here", "team": "db", "page": 17},
    ]
    server.collections[name].upsert(
        [
            models.PointStruct(id=number, vector=[1.0, number / 10, 0.0], payload=payload)
            for number, payload in enumerate(payloads)
        ]
    )
    return name


def reading(server: QdrantServer, name: str, grpc: bool, **keys: Any) -> RemoteStore:
    url = server.grpc if grpc else server.rest
    return qdrant(url, grpc=grpc, collection_name=name, sources=[], embedding_model=EMBEDDING, mode="vector", **keys)


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
async def test_a_collection_of_others_is_read_as_it_is(server: QdrantServer, foreign: str, grpc: bool) -> None:
    store = reading(server, foreign, grpc)
    assert (await store.open(3)).dimensions == 3
    found = await store.search(Search("any", 2, [1.0, 0.0, 0.0], lexical=False))
    assert [match.id for match in found] == ["0", "1"]
    assert found[0].text.startswith('{"text":"Restart with care"') or '"Restart with care"' in found[0].text
    assert not store.writable
    await store.close()
    store = reading(server, foreign, grpc, content_field="text", metadata_fields=["team", "page"])
    await store.open(3)
    first, _, third = await store.search(Search("any", 3, [1.0, 0.0, 0.0], lexical=False))
    assert (first.text, dict(first.metadata)) == ("Restart with care", {"team": "db", "page": 17})
    assert "no text here" in third.text
    await store.close()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([("team", "home")], ["1"]),
        ([("page", "17")], ["0", "2"]),
        ([("page", "17"), ("urgent", "yes")], ["0"]),
        ([("meta.lang", "en")], ["0"]),
        ([("ratio", "0.5")], ["1"]),
        ([("team", "nobody")], []),
    ],
)
@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
async def test_filters_reach_the_server_whatever_the_type_of_the_value(
    server: QdrantServer, foreign: str, grpc: bool, filters: list[tuple[str, str]], expected: list[str]
) -> None:
    store = reading(server, foreign, grpc)
    await store.open(3)
    found = await store.search(Search("any", 5, [1.0, 0.0, 0.0], lexical=False, filters=filters))
    assert sorted(match.id for match in found) == expected
    await store.close()


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
@pytest.mark.parametrize(
    ("keys", "dimensions", "words"),
    [
        ({"collection_name": "absent", "sources": []}, None, "the server has no collection `absent`"),
        ({}, 4, r"holds vectors of 3 dimensions.* makes 4"),
        ({"mode": "hybrid"}, 3, 'write `mode = "vector"`'),
        ({"sources": ["docs"]}, 3, "remove `sources`"),
    ],
    ids=["missing", "dimensions", "words", "sources"],
)
async def test_a_collection_that_does_not_fit_is_refused_in_a_sentence(
    server: QdrantServer, foreign: str, grpc: bool, keys: dict[str, Any], dimensions: int | None, words: str
) -> None:
    url = server.grpc if grpc else server.rest
    table: dict[str, Any] = {"collection_name": foreign, "sources": [], "embedding_model": EMBEDDING, "mode": "vector"}
    store = qdrant(url, grpc=grpc, **{**table, **keys})
    with pytest.raises(KnowledgeError, match=words):
        await store.open(dimensions)
    await store.close()


@pytest.fixture(scope="module")
def locked() -> Iterator[QdrantServer]:
    with qdrant_server(API_KEY) as server:
        yield server


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
async def test_the_key_is_sent_and_a_wrong_one_is_told_without_it(locked: QdrantServer, grpc: bool) -> None:
    url = locked.grpc if grpc else locked.rest
    wrong = qdrant(url, grpc=grpc, api_key="wrong-key")
    with pytest.raises(KnowledgeError, match="refuses the credentials; check `api_key`") as raised:
        await wrong.open(3)
    assert not raised.value.transient
    assert "wrong-key" not in str(raised.value)
    await wrong.close()
    right = qdrant(url, grpc=grpc, api_key=API_KEY)
    await right.open(3)
    assert API_KEY in locked.keys
    await right.close()


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
async def test_a_server_that_is_down_is_worth_another_try(grpc: bool) -> None:
    store = qdrant("http://127.0.0.1:9", grpc=grpc)
    with pytest.raises(KnowledgeError, match="`notes` does not answer") as raised:
        await store.open(3)
    assert raised.value.transient
    assert "127.0.0.1" not in str(raised.value)
    await store.close()


async def test_port_6334_speaks_grpc_unless_told_otherwise(server: QdrantServer) -> None:
    for url, grpc, expected in (
        ("http://h:6334", None, True),
        ("http://h:6333", None, False),
        ("http://h:6333", True, True),
        ("https://h", None, False),
    ):
        client: Any = await anyio.to_thread.run_sync(qdrant(url, grpc=grpc)._new_client)
        assert client._client._prefer_grpc is expected, url
        await client.close()


async def test_words_alone_need_no_vectors(server: QdrantServer) -> None:
    store = qdrant(server.rest, mode="lexical")
    assert (await store.open(None)).dimensions is None
    await store.upsert(chunks(), None, owner="tests")
    assert [match.source for match in await store.search(Search("yeast"))] == ["docs/kitchen.md"]
    await store.close()


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


async def test_a_table_with_other_vectors_is_refused(postgres: str) -> None:
    first = pgvector(postgres)
    await first.open(16)
    again = pgvector(postgres, table=first._table_name)
    with pytest.raises(KnowledgeError, match=r"holds vectors of 16 dimensions.* makes 8"):
        await again.open(8)
    await again.close()
    await first.close()


async def test_a_database_that_is_away_is_worth_another_try_and_shows_no_password() -> None:
    store = pgvector("postgresql://user:hunter2@127.0.0.1:9/db")
    with pytest.raises(KnowledgeError, match="PostgreSQL does not answer") as raised:
        await store.open(3)
    assert raised.value.transient
    assert "hunter2" not in str(raised.value)
    await store.close()


async def test_a_table_is_filled_without_vectors_and_indexed_with_them(postgres: str) -> None:
    store = pgvector(postgres, table="public.My table; DROP", language="none")
    await store.open(None)
    await store.upsert(chunks(), None, owner="tests")
    assert len(await store.search(Search("rises"))) == 1
    assert await store.search(Search("rise")) == []
    await store.close()
    model = WordVectors()
    store = pgvector(postgres)
    await store.open(model.dimensions)
    await store.upsert(chunks(), [model.vector(each.text) for each in chunks()], owner="tests")
    await store.settle(7)
    near = model.vector(chunks()[2].text)
    found = await store.search(Search("x", 2, near, lexical=False, filters=[("team", "food")]))
    assert [match.source for match in found] == ["docs/kitchen.md"]
    await store.close()


def test_no_store_imports_what_another_one_needs(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys\nfrom aura_py.knowledge.pool import build_store\nfrom aura_py.config.models import QdrantStore\n"
        "from aura_py.run.services import Services\n"
        "names = ['qdrant_client', 'psycopg', 'boto3', 'semantic_text_splitter']\n"
        "print([m for m in (*names, 'qdrant_edge') if m in sys.modules])\n"
        "build_store(QdrantStore(name='a', path='x'), None)\n"
        "print([m for m in names if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]
