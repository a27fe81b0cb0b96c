"""Vector stores."""

from __future__ import annotations

import pytest

from aura_py.config.models import BedrockKbStore, QdrantStore
from tests.config.files import MINIMAL, agent, codes, found, only

EMBEDDING = "[vector_stores.embedding_model]\nprovider = 'openai'\nmodel = 'e'\napi_key = 'k'\n"
QDRANT = "[[vector_stores]]\nname = 'books'\ntype = 'qdrant'\nurl = 'http://localhost:6334'\ncollection_name = 'c'\n"
KB = "[[vector_stores]]\nname = 'notes'\ntype = 'bedrock_kb'\nknowledge_base_id = 'KB'\nregion = 'eu-central-1'\n"


def test_stores_are_read_in_order_with_their_extensions() -> None:
    text = MINIMAL + QDRANT + "api_key = 'k'\ncontent_field = 'text'\nmetadata_fields = ['page']\n" + EMBEDDING + KB
    books, notes = agent(text).vector_stores
    assert isinstance(books, QdrantStore)
    assert (books.content_field, books.metadata_fields) == ("text", ("page",))
    assert books.embedding_model.provider == "openai"
    assert isinstance(notes, BedrockKbStore)
    assert not notes.managed


@pytest.mark.parametrize("key", ["name", "type", "url", "collection_name"])
def test_a_missing_key_is_named_with_its_store(key: str) -> None:
    lines = [line for line in QDRANT.splitlines() if not line.startswith(key)]
    error = only(found(MINIMAL + "\n".join(lines) + "\n" + EMBEDDING))
    assert error.code == "CFG-S01"
    assert f"`{key}`" in error.message
    assert error.key.startswith("vector_stores[0]" + ("" if key == "name" else " 'books'"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (QDRANT, "CFG-S01"),
        (KB.replace("knowledge_base_id = 'KB'\n", ""), "CFG-S01"),
        (KB.replace("region = 'eu-central-1'\n", ""), "CFG-R04"),
        (KB.replace("eu-central-1", " "), "CFG-R04"),
        (QDRANT + EMBEDDING.replace("'k'", "' '"), "CFG-R03"),
        (QDRANT + EMBEDDING.replace("openai", "bedrock").replace("api_key = 'k'\n", ""), "CFG-R04"),
        (QDRANT + EMBEDDING.replace("'e'", "''"), "CFG-L06"),
        (QDRANT + EMBEDDING + "region = 'x'\n", "CFG-L04"),
        (QDRANT.replace("qdrant", "chroma") + EMBEDDING, "CFG-S10"),
        (QDRANT.replace("http:", "grpc:") + EMBEDDING, "CFG-L06"),
        (QDRANT.replace("'books'", "'" + "b" * 51 + "'") + EMBEDDING, "CFG-R01"),
        (KB + KB, "CFG-R02"),
        (KB + "url = 'http://localhost'\n", "CFG-S05"),
    ],
)
def test_a_store_that_cannot_work_is_an_error(text: str, code: str) -> None:
    assert codes(found(MINIMAL + text)) == [code]


def test_an_undefined_store_is_named_beside_the_defined_ones() -> None:
    orchestration = "[orchestration]\ncoordinator_vector_stores = ['boks']\n"
    error = only(found(MINIMAL + orchestration + KB))
    assert (error.code, error.key) == ("CFG-R05", "orchestration.coordinator_vector_stores[0]")
    assert "`boks`" in error.message
    assert "`notes`" in error.message


def test_single_agents_and_generic_workers_reference_stores_by_having_them() -> None:
    assert codes(found(MINIMAL + KB)) == []
    assert codes(found(MINIMAL + "[orchestration]\nenabled = true\n" + KB)) == ["WARN-TO01"]
