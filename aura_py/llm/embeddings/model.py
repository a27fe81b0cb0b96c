"""An embedding model behind an HTTP API: dialects add the body of one batch, and where its answer keeps the vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import orjson

from aura_py.llm.embeddings.batching import BatchLimits, embed_in_batches
from aura_py.llm.embeddings.contract import Purpose, Vector
from aura_py.llm.json_text import MALFORMED, to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body
from aura_py.llm.resilience import RetryPolicy
from aura_py.llm.transport import Connection


class HttpEmbeddingModel(ABC):
    """What the dialects share. Safe for concurrent calls."""

    limits = BatchLimits()

    def __init__(
        self, errors: ProviderErrors, connection: Connection, dimensions: int | None, policy: RetryPolicy | None
    ) -> None:
        self.provider = errors.provider
        self.model = errors.model
        self.errors = errors
        self.dimensions = dimensions
        self._connection = connection
        self._policy = policy or RetryPolicy()

    @abstractmethod
    def body(self, batch: list[str], purpose: Purpose) -> Body:
        """What is sent for one batch."""

    @abstractmethod
    def vectors(self, answer: Any) -> Any:
        """The vectors in an answer, in order. Raises what JSON of another shape makes of it."""

    async def embed(self, texts: Sequence[str], *, purpose: Purpose) -> list[Vector]:
        async def call(batch: list[str]) -> list[Vector]:
            async with self._connection.post(self.errors, to_json(self.body(batch, purpose))) as response:
                return self.read(await response.read())

        return await embed_in_batches(texts, call, errors=self.errors, limits=self.limits, policy=self._policy)

    async def aclose(self) -> None:
        await self._connection.aclose()

    def read(self, answer: bytes) -> list[Vector]:
        """The vectors of an answer's JSON; anything else is a failure of the provider."""
        try:
            found: list[Vector] = self.vectors(orjson.loads(answer))
            if all(isinstance(vector[0], int | float) for vector in found):
                return found
        except MALFORMED as error:
            raise self.errors.malformed(answer[:500].decode(errors="replace"), error) from error
        raise self.errors.malformed(answer[:500].decode(errors="replace"))
