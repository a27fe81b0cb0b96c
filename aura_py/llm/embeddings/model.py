"""An embedding model behind an HTTP API: dialects add the body of one batch, and where its answer keeps the vectors."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import orjson

from aura_py.errors import ProviderError
from aura_py.llm.embeddings.contract import Purpose, Vector
from aura_py.llm.json_text import MALFORMED, to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body
from aura_py.llm.resilience import RetryPolicy
from aura_py.llm.transport import Connection


@dataclass(slots=True, frozen=True)
class BatchLimits:
    """What one request may hold, and how many are under way at once. ``seconds`` is each request's deadline."""

    texts: int = 96
    chars: int = 200_000
    parallel: int = 4
    seconds: float = 60.0


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
        """The vectors of ``texts`` in order. The first batch that fails for good ends the rest.

        Raises:
            ProviderError: What that batch failed with.
        """
        batches = list(split(texts, self.limits))
        results: list[list[Vector]] = [[] for _ in batches]
        failures: list[ProviderError] = []
        limiter = anyio.CapacityLimiter(self.limits.parallel)

        async def one(index: int, batch: list[str]) -> None:
            async with limiter:
                try:
                    results[index] = await self._with_retries(batch, purpose)
                except ProviderError as error:
                    failures.append(error)
                    group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for index, batch in enumerate(batches):
                group.start_soon(one, index, batch)
        if failures:
            raise failures[0]
        return [vector for result in results for vector in result]

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

    async def _with_retries(self, batch: list[str], purpose: Purpose) -> list[Vector]:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._once(batch, purpose)
            except ProviderError as error:
                # Jitter spreads load; nobody must be unable to guess it.
                chance = random.Random()
                wait = self._policy.wait(attempt, error.retry_after, chance) if error.retryable else None
                if wait is None:
                    raise
                await anyio.sleep(wait)

    async def _once(self, batch: list[str], purpose: Purpose) -> list[Vector]:
        try:
            with anyio.fail_after(self.limits.seconds):
                async with self._connection.post(self.errors, to_json(self.body(batch, purpose))) as response:
                    vectors = self.read(await response.read())
        except TimeoutError as error:
            raise self.errors.unreachable(error) from error
        if len(vectors) != len(batch):
            raise self.errors.malformed(f"{len(vectors)} vectors for {len(batch)} texts")
        return vectors


def split(texts: Sequence[str], limits: BatchLimits) -> Iterator[list[str]]:
    """Batches within the limits; a text that is too long by itself stands alone."""
    batch: list[str] = []
    chars = 0
    for text in texts:
        if batch and (len(batch) == limits.texts or chars + len(text) > limits.chars):
            yield batch
            batch, chars = [], 0
        batch.append(text)
        chars += len(text)
    if batch:
        yield batch
