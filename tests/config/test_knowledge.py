"""Vector stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura_py.config import load
from aura_py.config.models import BedrockKbStore, QdrantStore, knowledge
from tests.config.files import MINIMAL, agent, codes, found, only, write

EMBEDDING = "[vector_stores.embedding_model]\nprovider = 'openai'\nmodel = 'e'\napi_key = 'k'\n"
QDRANT = "[[vector_stores]]\nname = 'books'\ntype = 'qdrant'\nurl = 'http://localhost:6334'\ncollection_name = 'c'\n"
KB = "[[vector_stores]]\nname = 'notes'\ntype = 'bedrock_kb'\nknowledge_base_id = 'KB'\nregion = 'eu-central-1'\n"


def test_stores_are_read_in_order_with_their_extensions() -> None:
    text = MINIMAL + QDRANT + "api_key = 'k'\ncontent_field = 'text'\nmetadata_fields = ['page']\n" + EMBEDDING + KB
    books, notes = agent(text).vector_stores
    assert isinstance(books, QdrantStore)
    assert (books.content_field, books.metadata_fields) == ("text", ("page",))
    assert books.embedding_model is not None
    assert books.embedding_model.provider == "openai"
    assert isinstance(notes, BedrockKbStore)
    assert not notes.managed


@pytest.mark.parametrize("key", ["name", "type", "url"])
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
    (error,) = (each for each in found(MINIMAL + orchestration + KB) if each.code != "CFG-N01")
    assert (error.code, error.key) == ("CFG-R05", "orchestration.coordinator_vector_stores[0]")
    assert "`boks`" in error.message
    assert "`notes`" in error.message


def test_single_agents_and_generic_workers_reference_stores_by_having_them() -> None:
    assert codes(found(MINIMAL + KB)) == []
    assert codes(found(MINIMAL + "[orchestration]\nenabled = true\n" + KB)) == ["WARN-TO01"]


def test_an_embedded_store_lies_beside_its_file_and_needs_no_model(tmp_path: Path) -> None:
    text = "[[vector_stores]]\nname = 'books'\ntype = 'qdrant'\npath = './index'\nsources = ['../docs', 'notes/*.md']\n"
    file = write(MINIMAL + text, Path("agents/agent.toml"))
    (store,) = load(file, env={}).agents[0].vector_stores
    assert isinstance(store, QdrantStore)
    assert (store.path, store.search_mode) == (tmp_path / "agents" / "index", "lexical")
    assert store.sources == (str(tmp_path / "docs"), str(tmp_path / "agents" / "notes" / "*.md"))
    more = write(MINIMAL + text + "[vector_stores.embedding_model]\nprovider = 'ollama'\nmodel = 'e'\n", file)
    (store,) = load(more, env={}).agents[0].vector_stores
    assert isinstance(store, QdrantStore)
    assert store.search_mode == "hybrid"


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        ("path = 'a'\nurl = 'http://h:6333'\n", "CFG-S01", "both `path` and `url`"),
        ("", "CFG-S01", "missing its `path` or `url`"),
        ("path = 'a'\ngrpc = true\n", "CFG-S05", "`grpc` belongs to a server"),
        ("path = 'a'\nlanguage = 'klingon'\n", "CFG-S10", "klingon"),
        ("path = 'a'\nmode = 'fuzzy'\n", "CFG-S10", "fuzzy"),
    ],
)
def test_keys_that_do_not_fit_together_are_errors(lines: str, code: str, words: str) -> None:
    (error,) = found(MINIMAL + "[[vector_stores]]\nname = 'books'\ntype = 'qdrant'\n" + lines)
    assert error.code == code
    assert words in error.message


def test_a_missing_extra_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "find_spec", lambda _name: None)
    text = "[[vector_stores]]\nname = 'books'\ntype = 'pgvector'\nurl = 'postgresql://h/d'\n"
    (error,) = (each for each in found(MINIMAL + text) if each.code != "CFG-N01")
    assert (error.code, "pip install 'aura_py[postgres]'" in error.fix) == ("CFG-X01", True)
    text = "[[vector_stores]]\nname = 'books'\ntype = 'in_memory'\nsources = ['a.md', 'scans/*.PDF']\n"
    (error,) = found(MINIMAL + text)
    assert (error.code, error.key) == ("CFG-X01", "vector_stores[0] 'books'.sources[1]")
    assert "pip install 'aura_py[documents]'" in error.fix
