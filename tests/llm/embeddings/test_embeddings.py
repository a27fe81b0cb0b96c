"""One contract for the embeddings of every provider."""

from __future__ import annotations

import pytest

from aura_py.errors import ConfigurationError, ProviderAuthError, ProviderOverloaded, ProviderUnreachable
from aura_py.llm.embeddings.model import BatchLimits, split
from tests.llm.embeddings.conftest import Embedder
from tests.wire.providers import providers


async def test_every_text_gets_its_vector_in_order(embedder: Embedder) -> None:
    vectors = await embedder.model().embed(["a", "bbb", "cc"], purpose="document")
    assert [vector[0] for vector in vectors] == [1.0, 3.0, 2.0]


async def test_many_texts_are_sent_in_batches_and_come_back_in_order(embedder: Embedder) -> None:
    texts = ["x" * length for length in range(1, 251)]
    vectors = await embedder.model().embed(texts, purpose="document")
    assert [vector[0] for vector in vectors] == [float(length) for length in range(1, 251)]
    assert len(await embedder.sent()) == 3


async def test_no_text_asks_nobody(embedder: Embedder) -> None:
    assert await embedder.model().embed([], purpose="query") == []
    assert await embedder.sent() == []


async def test_dimensions_are_sent_where_a_model_offers_them(embedder: Embedder) -> None:
    prefix = "cohere.embed-v4:0." if embedder.provider == "bedrock" else ""
    await embedder.model(prefix=prefix, dimensions=256).embed(["a"], purpose="query")
    (body,) = await embedder.sent()
    assert "256" in str(body)


async def test_a_passing_failure_is_tried_again(embedder: Embedder) -> None:
    vectors = await embedder.model("fails_twice").embed(["abc"], purpose="query")
    assert vectors[0][0] == 3.0
    assert len(await embedder.sent()) == 3


async def test_a_failure_for_good_is_told_once_and_without_the_key(embedder: Embedder) -> None:
    with pytest.raises(ProviderAuthError) as raised:
        await embedder.model("forbidden").embed(["abc"] * 300, purpose="document")
    assert "tester" in raised.value.message
    assert embedder.provider in raised.value.message
    assert providers.KEY not in raised.value.message + (raised.value.detail or "")


async def test_retries_end(embedder: Embedder) -> None:
    with pytest.raises(ProviderOverloaded):
        await embedder.model("overloaded").embed(["abc"], purpose="query")
    assert len(await embedder.sent()) == 3


async def test_an_unreachable_host_is_named(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder.address = "http://127.0.0.1:9"
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", embedder.address)
    with pytest.raises(ProviderUnreachable):
        await embedder.model().embed(["abc"], purpose="query")


async def test_queries_and_documents_are_told_apart_where_the_provider_can(embedder: Embedder) -> None:
    model = embedder.model()
    await model.embed(["a"], purpose="query")
    await model.embed(["a"], purpose="document")
    query, document = await embedder.sent()
    assert (query != document) == (embedder.provider in ("bedrock", "gemini"))


async def test_titan_takes_one_text_per_call(bedrock: Embedder) -> None:
    model = bedrock.model(prefix="eu.amazon.titan-embed-text-v2:0.")
    vectors = await model.embed(["a", "bb", "ccc"], purpose="query")
    assert [vector[0] for vector in vectors] == [1.0, 2.0, 3.0]
    bodies = await bedrock.sent()
    assert sorted(body["inputText"] for body in bodies) == ["a", "bb", "ccc"]
    assert all(body["dimensions"] == 1024 and body["normalize"] for body in bodies)


async def test_older_titan_is_not_told_dimensions(bedrock: Embedder) -> None:
    await bedrock.model(prefix="amazon.titan-embed-text-v1.").embed(["a"], purpose="query")
    assert await bedrock.sent() == [{"inputText": "a"}]


async def test_cohere_knows_a_query_from_a_document(bedrock: Embedder) -> None:
    await bedrock.model(prefix="us.cohere.embed-multilingual-v3.").embed(["a"], purpose="query")
    assert (await bedrock.sent())[0]["input_type"] == "search_query"


async def test_an_unknown_family_is_refused_when_it_is_built(bedrock: Embedder) -> None:
    with pytest.raises(ConfigurationError, match="no known family"):
        bedrock.model(prefix="acme.embed-1.")


async def test_dimensions_of_a_model_that_has_fixed_ones_are_refused(bedrock: Embedder) -> None:
    with pytest.raises(ConfigurationError, match="fixed dimensions"):
        bedrock.model(dimensions=256)


def test_a_batch_ends_at_its_number_of_texts_or_characters() -> None:
    limits = BatchLimits(texts=2, chars=5)
    assert list(split(["a", "b", "c", "ddddddd", "e"], limits)) == [["a", "b"], ["c"], ["ddddddd"], ["e"]]
