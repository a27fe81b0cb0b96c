"""Gemini's ``batchEmbedContents``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from aura_py.llm.embeddings.batching import BatchLimits
from aura_py.llm.embeddings.contract import EmbeddingModel, Purpose, Vector
from aura_py.llm.embeddings.model import BatchedModel
from aura_py.llm.gemini.connection import ADDRESS, GeminiClient, model_path
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.resilience import RetryPolicy
from aura_py.llm.transport import check_key

if TYPE_CHECKING:
    from aura_py.config.models import GeminiEmbedding

_TASKS = {"query": "RETRIEVAL_QUERY", "document": "RETRIEVAL_DOCUMENT"}


def build(config: GeminiEmbedding, *, agent: str, policy: RetryPolicy | None = None) -> EmbeddingModel:
    """An embedding model of the Gemini API."""
    return _Gemini(config, agent, policy)


class _Gemini(BatchedModel):
    limits = BatchLimits(texts=100)

    def __init__(self, config: GeminiEmbedding, agent: str, policy: RetryPolicy | None) -> None:
        credentials = "`api_key` of the embedding model"
        key = check_key(config.api_key.get_secret_value(), agent, credentials)
        address = config.base_url or ADDRESS
        super().__init__(ProviderErrors(agent, "gemini", config.model, address, credentials, secrets=(key,)), policy)
        self._client = GeminiClient(key, config.base_url)
        self._dimensions = config.dimensions

    async def request(self, batch: list[str], purpose: Purpose) -> list[Vector]:
        name = model_path(self.model)
        entry: dict[str, object] = {"model": name, "taskType": _TASKS[purpose]}
        if self._dimensions is not None:
            entry["outputDimensionality"] = self._dimensions
        body = {"requests": [{**entry, "content": {"parts": [{"text": text}]}} for text in batch]}
        async with self._client.post(self.errors, f"{name}:batchEmbedContents", orjson.dumps(body)) as response:
            raw = await response.read()
        found: Any = self.read(raw).get("embeddings")
        try:
            return self.vectors([each["values"] for each in found], raw)
        except (KeyError, TypeError) as error:
            raise self.errors.garbage(raw[:500].decode(errors="replace"), error) from error

    async def aclose(self) -> None:
        await self._client.aclose()
