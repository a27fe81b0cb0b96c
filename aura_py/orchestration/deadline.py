"""Work with something at its side: an alarm that ends it, or a heartbeat that lasts as long as it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from aura_py.context import Clock

T = TypeVar("T")


class DeadlineExceeded(Exception):
    """The time was up before the work was done; the work is cancelled and gone."""


async def run_with_timeout(clock: Clock, seconds: float | None, work: Callable[[], Awaitable[T]]) -> T:
    """The result of ``work``, cancelled after ``seconds`` (``None`` is no limit).

    Raises:
        DeadlineExceeded: The time was up.
    """
    if seconds is None:
        return await work()
    return await run_alongside(lambda: clock.sleep(seconds), work)


async def run_alongside(companion: Callable[[], Awaitable[None]], work: Callable[[], Awaitable[T]]) -> T:
    """The result of ``work``, while ``companion`` runs: whichever ends first ends the other.

    Raises:
        DeadlineExceeded: It was the companion.
    """
    results: list[T] = []
    failures: list[Exception] = []
    async with anyio.create_task_group() as group:

        async def accompany() -> None:
            await companion()
            group.cancel_scope.cancel()

        group.start_soon(accompany)
        try:
            results.append(await work())
        except Exception as error:
            failures.append(error)  # raised below: the group would wrap it in an exception group
        group.cancel_scope.cancel()
    if failures:
        raise failures[0]
    if not results:
        raise DeadlineExceeded
    return results[0]
