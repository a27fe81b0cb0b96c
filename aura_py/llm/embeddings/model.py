"""The frame of every embedding model: a provider adds one request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import orjson

from aura_py.errors import ProviderError
from aura_py.llm.embeddings.batching import BatchLimits, embed_in_batches
from aura_py.llm.embeddings.contract import Purpose, Vector
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.resilience import RetryPolicy


class BatchedModel(ABC):
    """Subclasses make one request for one batch."""

    limits = BatchLimits()

    def __init__(self, errors: ProviderErrors, policy: RetryPolicy | None = None) -> None:
        self.provider = errors.provider
        self.model = errors.model
        self.errors = errors
        self._policy = policy or RetryPolicy()

    async def embed(self, texts: Sequence[str], *, purpose: Purpose) -> list[Vector]:
        async def call(batch: list[str]) -> list[Vector]:
            return await self.request(batch, purpose)

        return await embed_in_batches(texts, call, errors=self.errors, limits=self.limits, policy=self._policy)

    @abstractmethod
    async def request(self, batch: list[str], purpose: Purpose) -> list[Vector]:
        """The vectors of one batch, or a :class:`ProviderError`."""

    @abstractmethod
    async def aclose(self) -> None: ...

    def read(self, body: bytes) -> dict[str, object]:
        """A response's JSON object; anything else is a failure."""
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise self._odd(body) from error
        if not isinstance(value, dict):
            raise self._odd(body)
        return value

    def vectors(self, value: object, body: bytes) -> list[Vector]:
        """``value`` as a list of vectors of numbers."""
        if isinstance(value, list) and all(_is_vector(each) for each in value):
            return value
        raise self._odd(body)

    def _odd(self, body: bytes) -> ProviderError:
        return self.errors.garbage(body[:500].decode(errors="replace"))


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], int | float)
