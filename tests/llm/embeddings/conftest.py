"""Embedding models that speak to the fakes of the wire tests."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from aura_py.config import models
from aura_py.llm import build_embeddings
from aura_py.llm.embeddings import EmbeddingModel
from aura_py.llm.resilience import RetryPolicy
from tests.wire.providers import providers
from tests.wire.providers.conftest import Fakes

NAMES = ("openai", "bedrock", "gemini", "ollama")
_PREFIXES = {"bedrock": "cohere.embed-english-v3."}


def table(provider: str, model: str, address: str, **extra: Any) -> models.Embedding:
    key = SecretStr(providers.KEY)
    match provider:
        case "openai":
            return models.OpenAIEmbedding(model=model, api_key=key, base_url=f"{address}/v1", **extra)
        case "gemini":
            return models.GeminiEmbedding(model=model, api_key=key, base_url=address, **extra)
        case "ollama":
            return models.OllamaEmbedding(model=model, base_url=address, **extra)
        case _:
            return models.BedrockEmbedding(model=model, region="eu-west-1", **extra)


@dataclass(slots=True)
class Embedder:
    """One provider's embeddings and one test."""

    provider: str
    address: str
    token: str
    control: httpx.AsyncClient
    built: list[EmbeddingModel]

    def model(self, scenario: str = "plain_text", prefix: str | None = None, **extra: Any) -> EmbeddingModel:
        start = _PREFIXES.get(self.provider, "") if prefix is None else prefix
        config = table(self.provider, f"{start}scn.{scenario}.{self.token}", self.address, **extra)
        model = build_embeddings(config, agent="tester", policy=RetryPolicy(base=0, cap=0))
        self.built.append(model)
        return model

    async def sent(self) -> list[Any]:
        """The JSON bodies that the fake was sent."""
        seen = (await self.control.get(f"/__fake__/requests/{self.token}")).json()
        return [json.loads(request["body"]) for request in seen]


@pytest.fixture(scope="session")
def fakes() -> Iterator[Fakes]:
    with ExitStack() as stack:
        yield Fakes(stack)


async def _embedder(provider: str, fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Embedder]:
    address = fakes.address(provider)
    for name, value in providers.AWS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", address)
    async with httpx.AsyncClient(base_url=address, trust_env=False) as control:
        embedder = Embedder(provider, address, uuid.uuid4().hex[:12], control, [])
        yield embedder
        for model in embedder.built:
            await model.aclose()


@pytest.fixture(params=NAMES)
async def embedder(
    request: pytest.FixtureRequest, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Embedder]:
    """The test runs once for every provider."""
    async for each in _embedder(request.param, fakes, monkeypatch):
        yield each


@pytest.fixture
async def bedrock(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Embedder]:
    async for each in _embedder("bedrock", fakes, monkeypatch):
        yield each
