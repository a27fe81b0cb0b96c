"""An embedding model with its dimension and a cache of repeated queries."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import anyio

from aura_py.errors import ConfigurationError, ProviderError
from aura_py.knowledge.contract import KnowledgeError
from aura_py.llm.embeddings import EmbeddingModel, Purpose, Vector

_CACHED = 512
_QUERY_SECONDS = 20.0


class Embedder:
    """Embeds for the stores that name the same model."""

    def __init__(self, model: EmbeddingModel) -> None:
        self._model = model
        self._queries: OrderedDict[str, Vector] = OrderedDict()
        self.dimensions: int | None = None

    @property
    def name(self) -> str:
        return f"{self._model.provider}/{self._model.model}"

    async def measure(self) -> int:
        """The length of the model's vectors, asked of it once."""
        if self.dimensions is None:
            self.dimensions = len((await self._embed(["dimensions"], "document"))[0])
        return self.dimensions

    async def query(self, text: str) -> Vector:
        if text in self._queries:
            self._queries.move_to_end(text)
            return self._queries[text]
        try:
            with anyio.fail_after(_QUERY_SECONDS):
                (vector,) = await self._embed([text], "query")
        except TimeoutError:
            raise KnowledgeError(
                f"the embedding model `{self.name}` did not answer in {_QUERY_SECONDS:.0f} s", transient=True
            ) from None
        self._queries[text] = vector
        if len(self._queries) > _CACHED:
            self._queries.popitem(last=False)
        return vector

    async def documents(self, texts: Sequence[str]) -> list[Vector]:
        return await self._embed(texts, "document")

    async def _embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        try:
            vectors = await self._model.embed(texts, purpose=purpose)
        except (ProviderError, ConfigurationError) as error:
            retry = getattr(error, "retryable", False)
            raise KnowledgeError(
                f"the embedding model `{self.name}` failed: {error.message}", transient=retry
            ) from error
        for vector in vectors:
            # without a direction it would be as near to everything as to nothing
            if not any(vector) or not all(map(math.isfinite, vector)):
                raise KnowledgeError(f"the embedding model `{self.name}` answered with a vector that is no direction")
        return vectors

    async def aclose(self) -> None:
        await self._model.aclose()
