"""Ollama's ``/api/embed``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from aura_py.llm.embeddings.contract import EmbeddingModel, Purpose, Vector
from aura_py.llm.embeddings.model import BatchedModel
from aura_py.llm.ollama.client import key_headers, ollama_errors
from aura_py.llm.resilience import RetryPolicy
from aura_py.llm.transport import HttpClient, check_key, join_url

if TYPE_CHECKING:
    from aura_py.config.models import OllamaEmbedding


def build(config: OllamaEmbedding, *, agent: str, policy: RetryPolicy | None = None) -> EmbeddingModel:
    """An embedding model of an Ollama server."""
    return _Ollama(config, agent, policy)


class _Ollama(BatchedModel):
    def __init__(self, config: OllamaEmbedding, agent: str, policy: RetryPolicy | None) -> None:
        key = ""
        if config.api_key:
            key = check_key(config.api_key.get_secret_value(), agent, "`api_key` of the embedding model")
        super().__init__(ollama_errors(agent, config.model, config.base_url, key), policy)
        self._client = HttpClient()
        self._url = join_url(config.base_url, "/api/embed")
        self._headers = key_headers(key)
        self._dimensions = config.dimensions

    async def request(self, batch: list[str], purpose: Purpose) -> list[Vector]:
        body: dict[str, object] = {"model": self.model, "input": batch, "truncate": True}
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions
        async with self._client.post(self.errors, self._url, self._headers, orjson.dumps(body)) as response:
            raw = await response.read()
        return self.vectors(self.read(raw).get("embeddings"), raw)

    async def aclose(self) -> None:
        await self._client.aclose()
