"""Gemini's ``batchEmbedContents``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aura_py.llm.embeddings.contract import EmbeddingModel, Purpose
from aura_py.llm.embeddings.model import BatchLimits, HttpEmbeddingModel
from aura_py.llm.gemini.body import PROVIDER
from aura_py.llm.gemini.connection import ADDRESS, gemini_client, model_path
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body
from aura_py.llm.resilience import RetryPolicy
from aura_py.llm.transport import check_key

if TYPE_CHECKING:
    from aura_py.config.models.knowledge import GeminiEmbedding

_TASKS = {"query": "RETRIEVAL_QUERY", "document": "RETRIEVAL_DOCUMENT"}


def build(config: GeminiEmbedding, *, agent: str, policy: RetryPolicy | None = None) -> EmbeddingModel:
    """An embedding model of the Gemini API."""
    credentials = "`api_key` of the embedding model"
    key = check_key(config.api_key.get_secret_value(), agent, credentials)
    errors = ProviderErrors(agent, PROVIDER, config.model, config.base_url or ADDRESS, credentials, secrets=(key,))
    client = gemini_client(key, config.base_url, f"{model_path(config.model)}:batchEmbedContents")
    return _Gemini(errors, client, config.dimensions, policy)


class _Gemini(HttpEmbeddingModel):
    limits = BatchLimits(texts=100)

    def body(self, batch: list[str], purpose: Purpose) -> Body:
        entry: Body = {"model": model_path(self.model), "taskType": _TASKS[purpose]}
        if self.dimensions is not None:
            entry["outputDimensionality"] = self.dimensions
        return {"requests": [{**entry, "content": {"parts": [{"text": text}]}} for text in batch]}

    def vectors(self, answer: Any) -> Any:
        return [each["values"] for each in answer["embeddings"]]
