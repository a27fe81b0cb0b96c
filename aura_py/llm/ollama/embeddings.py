"""Ollama's ``/api/embed``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aura_py.llm.embeddings.contract import EmbeddingModel, Purpose
from aura_py.llm.embeddings.model import HttpEmbeddingModel
from aura_py.llm.ollama.client import key_headers, ollama_errors
from aura_py.llm.request_body import Body
from aura_py.llm.resilience import RetryPolicy
from aura_py.llm.transport import HttpClient, check_key, join_url

if TYPE_CHECKING:
    from aura_py.config.models.knowledge import OllamaEmbedding


def build(config: OllamaEmbedding, *, agent: str, policy: RetryPolicy | None = None) -> EmbeddingModel:
    """An embedding model of an Ollama server."""
    key = ""
    if config.api_key:
        key = check_key(config.api_key.get_secret_value(), agent, "`api_key` of the embedding model")
    errors = ollama_errors(agent, config.model, config.base_url, key)
    client = HttpClient(join_url(config.base_url, "/api/embed"), key_headers(key))
    return _Ollama(errors, client, config.dimensions, policy)


class _Ollama(HttpEmbeddingModel):
    def body(self, batch: list[str], purpose: Purpose) -> Body:
        dimensions = {} if self.dimensions is None else {"dimensions": self.dimensions}
        return {"model": self.model, "input": batch, "truncate": True, **dimensions}

    def vectors(self, answer: Any) -> Any:
        return answer["embeddings"]
