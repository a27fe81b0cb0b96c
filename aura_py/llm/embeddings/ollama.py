"""Ollama's ``/api/embed``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from aura_py.llm.embeddings.contract import EmbeddingModel, Purpose, Vector
from aura_py.llm.embeddings.model import BatchedModel
from aura_py.llm.ollama_client import OllamaClient, asked_ollama
from aura_py.llm.resilience import RetryPolicy

if TYPE_CHECKING:
    from aura_py.config.models import OllamaEmbedding


def build(config: OllamaEmbedding, *, agent: str, policy: RetryPolicy | None = None) -> EmbeddingModel:
    """Imports the `ollama` package."""
    return _Ollama(config, agent, policy)


class _Ollama(BatchedModel):
    def __init__(self, config: OllamaEmbedding, agent: str, policy: RetryPolicy | None) -> None:
        key = config.api_key.get_secret_value() if config.api_key else ""
        super().__init__(asked_ollama(agent, config.model, config.base_url, key), policy)
        self._client = OllamaClient(config.base_url, key)
        self._dimensions = config.dimensions

    async def request(self, batch: list[str], purpose: Purpose) -> list[Vector]:
        body: dict[str, object] = {"model": self.model, "input": batch, "truncate": True}
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions
        async with self._client.opened(self.asked, "/api/embed", orjson.dumps(body)) as chunks:
            raw = b"".join([chunk async for chunk in chunks])
        return self.vectors(self.read(raw).get("embeddings"), raw)

    async def aclose(self) -> None:
        await self._client.aclose()
