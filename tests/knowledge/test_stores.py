"""One suite that every store passes: the same documents, the same queries, the same answers."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from aura_py.knowledge.contract import Indexed, KnowledgeError, Match, Search, Store
from aura_py.knowledge.postgres import PostgresStore
from tests.knowledge.documents import DIMENSIONS, TEXTS, WordVectors, chunks

VECTORS = WordVectors()


def lexical(text: str, limit: int = 5, *filters: tuple[str, str]) -> Search:
    return Search(text, limit, filters=filters)


def vector(text: str, limit: int = 5, *filters: tuple[str, str], min_score: float | None = None) -> Search:
    return Search(text, limit, VECTORS.vector(text), lexical=False, min_score=min_score, filters=filters)


def hybrid(text: str, limit: int = 5, *filters: tuple[str, str], min_score: float | None = None) -> Search:
    return Search(text, limit, VECTORS.vector(text), min_score=min_score, filters=filters)


def sources(matches: Sequence[Match]) -> list[str]:
    return [match.source for match in matches]


async def test_an_empty_store_finds_nothing_and_says_so(empty: Store) -> None:
    for search in (lexical("replica"), vector("replica"), hybrid("replica")):
        assert await empty.search(search) == []
    assert await empty.documents() == {}
    info = await empty.info()
    assert (info.chunks, info.dimensions) == (0, DIMENSIONS)


@pytest.mark.parametrize("kind", [lexical, vector, hybrid])
async def test_the_best_passage_comes_first_with_its_place(store: Store, kind: type[Search]) -> None:
    found = await store.search(kind("replica is promoted when the primary database is lost"))
    first = found[0]
    assert first.text == TEXTS["/docs/postgres.md"][0][0]
    assert (first.source, first.heading, first.line, first.page) == ("docs/postgres.md", "Notes", 1, None)
    assert dict(first.metadata) == {"team": "db", "year": "2024"}
    assert first.score is not None
    assert [match.score for match in found] == sorted((match.score or 0 for match in found), reverse=True)
    assert len({match.id for match in found}) == len(found)


async def test_word_endings_and_stop_words_do_not_matter(store: Store) -> None:
    assert sources(await store.search(lexical("the router dropped a packet"))) == ["docs/network.md"]
    assert await store.search(lexical("the of and")) == []


async def test_scores_say_what_they_are(store: Store) -> None:
    for search, kind in ((lexical("yeast"), "bm25"), (vector("yeast"), "cosine"), (hybrid("yeast"), "fused")):
        found = {match.kind for match in await store.search(search)}
        assert found == {"text" if kind == "bm25" and isinstance(store, PostgresStore) else kind}
    (best, *_) = await store.search(vector(chunks()[0].searched_text))
    assert best.score == pytest.approx(1.0, abs=0.001)


async def test_a_smallest_score_concerns_vectors_and_leaves_words_alone(store: Store) -> None:
    query = "Notes Bread rises because yeast makes carbon dioxide."
    assert sources(await store.search(vector(query, min_score=0.9))) == ["docs/kitchen.md"]
    assert await store.search(vector("zzz qqq", min_score=0.999)) == []
    assert "docs/network.md" in sources(await store.search(hybrid("packets", min_score=0.999)))


@pytest.mark.parametrize("kind", [lexical, vector, hybrid])
async def test_filters_narrow_the_search_itself_and_not_its_first_results(store: Store, kind: type[Search]) -> None:
    found = await store.search(kind("failover packets notes", 1, ("team", "net")))  # type: ignore[arg-type]
    assert sources(found) == ["docs/network.md"]
    both = await store.search(kind("notes failover pooler", 5, ("team", "db"), ("year", "2025")))  # type: ignore[arg-type]
    assert [match.line for match in both] == [2]
    assert await store.search(kind("replica", 5, ("team", "nobody"))) == []  # type: ignore[arg-type]
    assert await store.search(kind("replica", 5, ("absent", "db"))) == []  # type: ignore[arg-type]
    bread = await store.search(kind("notes yeast", 5, ("source", "docs/kitchen.md")))  # type: ignore[arg-type]
    assert sources(bread) == ["docs/kitchen.md"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Köln Straße", "Die Straße"),
        ("koln strasse duesseldorf Düsseldorf", "Die Straße"),
        ("タワー", "東京"),
        ("東京", "東京"),
        ("creme brulee", "Émile"),
        ("CRÈME", "Émile"),
    ],
)
async def test_words_of_all_scripts_are_found(store: Store, query: str, expected: str) -> None:
    found = await store.search(lexical(query))
    assert found
    assert found[0].text.startswith(expected)


async def test_limits_are_kept(store: Store) -> None:
    for limit in (1, 3, 20):
        assert len(await store.search(vector("notes", limit))) == min(limit, 7)


@pytest.mark.parametrize("text", ["", " ", "'; DROP TABLE notes; --", "\\", "%_", "!!! ((( & | <->", "🚲", "a" * 8_000])
async def test_any_query_is_only_text(store: Store, text: str) -> None:
    await store.search(lexical(text))
    await store.search(hybrid(text))
    assert (await store.info()).chunks == 7


async def test_writing_a_chunk_again_replaces_it(store: Store) -> None:
    texts = {"/docs/network.md": [("Switches forward frames by their addresses.", {"team": "net"})]}
    new = chunks("d2", texts)
    await store.upsert(new, [VECTORS.vector(chunk.searched_text) for chunk in new], owner="tests")
    assert await store.search(lexical("routers")) == []
    assert sources(await store.search(lexical("switches"))) == ["docs/network.md"]
    assert (await store.info()).chunks == 7


async def test_documents_are_known_by_their_digest_and_owner(store: Store) -> None:
    assert await store.documents() == {document: Indexed("d1", "tests") for document in TEXTS}


async def test_parts_and_whole_documents_are_deleted(store: Store) -> None:
    await store.delete("/docs/unicode.md", from_part=1)
    assert await store.search(lexical("東京")) == []
    assert len(await store.search(lexical("Köln"))) == 1
    await store.delete("/docs/unicode.md")
    await store.delete("/docs/never-there.md")
    assert await store.search(lexical("Köln")) == []
    assert "/docs/unicode.md" not in await store.documents()
    assert (await store.info()).chunks == 4


async def test_a_hundred_searches_at_once_find_what_each_looks_for(store: Store) -> None:
    words = {"replica": "docs/postgres.md", "packets": "docs/network.md", "yeast": "docs/kitchen.md"}
    found: list[tuple[str, list[str]]] = []

    async def ask(word: str) -> None:
        found.append((word, sources(await store.search(lexical(word)))))

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(ask, list(words)[number % 3])
    assert len(found) == 100
    assert all(seen == [words[word]] for word, seen in found)


async def test_a_vector_of_another_length_is_refused_with_both_lengths(store: Store) -> None:
    with pytest.raises(KnowledgeError, match=r"`notes`.*16 dimensions, not of 3"):
        await store.search(Search("x", vector=[1.0, 0.0, 0.0], lexical=False))
    with pytest.raises(KnowledgeError, match=r"`notes`.*16 dimensions, not of 3"):
        await store.upsert(chunks()[:1], [[1.0, 0.0, 0.0]], owner="tests")


async def test_control_characters_do_no_harm(empty: Store) -> None:
    texts = {"/docs/odd.md": [("Tab\tbell\x07 and\u2028separator marmalade", {"k": "a=b"})]}
    odd = chunks("d", texts)
    await empty.upsert(odd, [VECTORS.vector("x")], owner="tests")
    (found,) = await empty.search(lexical("marmalade", 5, ("k", "a=b")))
    assert found.text == texts["/docs/odd.md"][0][0]
