"""OpenAI's embeddings endpoint, and every server that speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from aura_py.llm.embeddings.contract import EmbeddingModel, Purpose, Vector
from aura_py.llm.embeddings.model import BatchedModel
from aura_py.llm.openai.client import ADDRESS, key_headers
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.resilience import RetryPolicy
from aura_py.llm.transport import HttpClient, check_key, join_url

if TYPE_CHECKING:
    from aura_py.config.models import OpenAIEmbedding


def build(config: OpenAIEmbedding, *, agent: str, policy: RetryPolicy | None = None) -> EmbeddingModel:
    """An embedding model behind an OpenAI-compatible endpoint."""
    return _OpenAI(config, agent, policy)


class _OpenAI(BatchedModel):
    def __init__(self, config: OpenAIEmbedding, agent: str, policy: RetryPolicy | None) -> None:
        credentials = "`api_key` of the embedding model"
        key = check_key(config.api_key.get_secret_value(), agent, credentials)
        address = config.base_url or ADDRESS
        super().__init__(ProviderErrors(agent, "openai", config.model, address, credentials, secrets=(key,)), policy)
        self._client = HttpClient()
        self._url = join_url(address, "/embeddings")
        self._headers = key_headers(address, key)
        self._dimensions = config.dimensions

    async def request(self, batch: list[str], purpose: Purpose) -> list[Vector]:
        body: dict[str, object] = {"model": self.model, "input": batch, "encoding_format": "float"}
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions
        async with self._client.post(self.errors, self._url, self._headers, orjson.dumps(body)) as response:
            raw = await response.read()
        data: Any = self.read(raw).get("data")
        try:
            ordered = sorted(data, key=lambda entry: entry["index"])
            return self.vectors([entry["embedding"] for entry in ordered], raw)
        except (KeyError, TypeError) as error:
            raise self.errors.garbage(raw[:500].decode(errors="replace"), error) from error

    async def aclose(self) -> None:
        await self._client.aclose()
