"""The one way to turn text into vectors: :class:`EmbeddingModel`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

Vector: TypeAlias = list[float]
Purpose = Literal["query", "document"]


class EmbeddingModel(Protocol):
    """A model that embeds. Safe for concurrent calls."""

    provider: str
    model: str

    async def embed(self, texts: Sequence[str], *, purpose: Purpose) -> list[Vector]:
        """One vector per text, in order; asked for in batches, retried as chat calls are.

        Raises:
            ProviderError: A subclass says what went wrong; vendor exceptions never get out.
        """
        ...

    async def aclose(self) -> None:
        """Gives back connections; the model is not used afterwards."""
        ...
