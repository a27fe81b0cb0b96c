"""OpenAI's embeddings endpoint, and every server that speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from aura_py.llm.embeddings.contract import EmbeddingModel, Purpose, Vector
from aura_py.llm.embeddings.model import BatchedModel
from aura_py.llm.failures import Asked
from aura_py.llm.openai_client import Connection
from aura_py.llm.resilience import RetryPolicy

if TYPE_CHECKING:
    from aura_py.config.models import OpenAIEmbedding

_ADDRESS = "https://api.openai.com/v1"


def build(config: OpenAIEmbedding, *, agent: str, policy: RetryPolicy | None = None) -> EmbeddingModel:
    """The SDK is imported by the first call."""
    return _OpenAI(config, agent, policy)


class _OpenAI(BatchedModel):
    def __init__(self, config: OpenAIEmbedding, agent: str, policy: RetryPolicy | None) -> None:
        key = config.api_key.get_secret_value()
        address = config.base_url or _ADDRESS
        credentials = "`api_key` of the embedding model"
        super().__init__(Asked(agent, "openai", config.model, address, credentials, secrets=(key,)), policy)
        self._connection = Connection(address, key)
        self._dimensions = config.dimensions

    async def request(self, batch: list[str], purpose: Purpose) -> list[Vector]:
        body: dict[str, object] = {"model": self.model, "input": batch, "encoding_format": "float"}
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions
        import httpx2

        response = await self._connection.open(self.asked, "/embeddings", orjson.dumps(body))
        try:
            raw = await response.aread()
        except httpx2.HTTPError as error:
            raise self.asked.broken(error) from error
        finally:
            await response.aclose()
        data: Any = self.read(raw).get("data")
        try:
            ordered = sorted(data, key=lambda entry: entry["index"])
            return self.vectors([entry["embedding"] for entry in ordered], raw)
        except (KeyError, TypeError) as error:
            raise self.asked.garbage(raw[:500].decode(errors="replace"), error) from error

    async def aclose(self) -> None:
        await self._connection.aclose()
