"""OpenAI's embeddings endpoint, and every server that speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aura_py.llm.embeddings.contract import EmbeddingModel, Purpose
from aura_py.llm.embeddings.model import HttpEmbeddingModel
from aura_py.llm.openai.client import ADDRESS, PROVIDER, key_headers
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body
from aura_py.llm.resilience import RetryPolicy
from aura_py.llm.transport import HttpClient, check_key, join_url

if TYPE_CHECKING:
    from aura_py.config.models.knowledge import OpenAIEmbedding


def build(config: OpenAIEmbedding, *, agent: str, policy: RetryPolicy | None = None) -> EmbeddingModel:
    """An embedding model behind an OpenAI-compatible endpoint."""
    credentials = "`api_key` of the embedding model"
    key = check_key(config.api_key.get_secret_value(), agent, credentials)
    address = config.base_url or ADDRESS
    errors = ProviderErrors(agent, PROVIDER, config.model, address, credentials, secrets=(key,))
    client = HttpClient(join_url(address, "/embeddings"), key_headers(address, key))
    return _OpenAI(errors, client, config.dimensions, policy)


class _OpenAI(HttpEmbeddingModel):
    def body(self, batch: list[str], purpose: Purpose) -> Body:
        dimensions = {} if self.dimensions is None else {"dimensions": self.dimensions}
        return {"model": self.model, "input": batch, "encoding_format": "float", **dimensions}

    def vectors(self, answer: Any) -> Any:
        return [entry["embedding"] for entry in sorted(answer["data"], key=lambda entry: entry["index"])]
