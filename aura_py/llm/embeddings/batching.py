"""Batches, deadlines and retries of embedding calls, once for all providers."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import anyio

from aura_py.errors import ProviderError
from aura_py.llm.embeddings.contract import Vector
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.resilience import RetryPolicy


@dataclass(slots=True, frozen=True)
class BatchLimits:
    """What one request may hold, and how many are under way at once. ``seconds`` is each request's deadline."""

    texts: int = 96
    chars: int = 200_000
    parallel: int = 4
    seconds: float = 60.0


async def embed_in_batches(
    texts: Sequence[str],
    call: Callable[[list[str]], Awaitable[list[Vector]]],
    *,
    errors: ProviderErrors,
    limits: BatchLimits,
    policy: RetryPolicy,
) -> list[Vector]:
    """The vectors of ``texts`` in order. The first batch that fails for good ends the rest.

    Raises:
        ProviderError: What that batch failed with.
    """
    batches = list(split(texts, limits))
    results: list[list[Vector]] = [[] for _ in batches]
    failures: list[ProviderError] = []
    limiter = anyio.CapacityLimiter(limits.parallel)

    async def one(index: int, batch: list[str]) -> None:
        async with limiter:
            try:
                results[index] = await _persistently(batch, call, errors, limits, policy)
            except ProviderError as error:
                failures.append(error)
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for index, batch in enumerate(batches):
            group.start_soon(one, index, batch)
    if failures:
        raise failures[0]
    return [vector for result in results for vector in result]


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


async def _persistently(
    batch: list[str],
    call: Callable[[list[str]], Awaitable[list[Vector]]],
    errors: ProviderErrors,
    limits: BatchLimits,
    policy: RetryPolicy,
) -> list[Vector]:
    attempt = 0
    while True:
        attempt += 1
        try:
            return await _once(batch, call, errors, limits)
        except ProviderError as error:
            # Jitter spreads load; nobody must be unable to guess it.
            chance = random.Random()
            wait = policy.wait(attempt, error.retry_after, chance) if error.retryable else None
            if wait is None:
                raise
            await anyio.sleep(wait)


async def _once(
    batch: list[str], call: Callable[[list[str]], Awaitable[list[Vector]]], errors: ProviderErrors, limits: BatchLimits
) -> list[Vector]:
    try:
        with anyio.fail_after(limits.seconds):
            vectors = await call(batch)
    except TimeoutError as error:
        raise errors.unreachable(error) from error
    if len(vectors) != len(batch) or not all(vectors):
        raise errors.malformed(f"{len(vectors)} vectors for {len(batch)} texts")
    return vectors
