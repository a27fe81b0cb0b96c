"""What every part of a run may know about it: identity, caller, limits, time and chance.

Time and randomness come in here so that tests need no sleeping.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from aura_py.events import Event


class Clock(Protocol):
    """``monotonic`` is in seconds from an arbitrary start; ``now`` is UTC."""

    def monotonic(self) -> float: ...

    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(slots=True, frozen=True)
class RunLimits:
    """Seconds; ``None`` is no limit (a setting of 0). ``first_chunk`` and ``inactivity`` bound one model call."""

    total: float | None = None
    first_chunk: float | None = None
    inactivity: float | None = None


ANONYMOUS = "anonymous"
"""The owner of everything where no keys are asked for, and of runs from the command line."""

_RANDOM = random.Random()


def _discard(_event: Event) -> None:
    """The side channel of a run that nobody watches."""


def _client_disconnected() -> str:
    return "client disconnected"


def _unnoted() -> None:
    """Side effects of a run that nobody would repeat."""


@dataclass(slots=True, frozen=True)
class RunContext:
    """One run's identity and surroundings.

    ``headers`` are the caller's, names in lower case ; values are credentials and are never
    logged. ``owner`` is whom sessions and files belong to: the verified end user, else the key. ``deadline`` is on
    ``clock.monotonic()``. ``emit`` puts an event into the run's stream at once and never waits; a runnable uses it
    while it awaits tools or workers, and yields everything else. ``stop_reason`` is what MCP servers are told when the
    run's calls are cancelled. ``note_side_effect`` is called before a tool runs that is not marked as read-only.
    """

    run_id: str
    request_id: str
    session_id: str
    session_given: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    principal: str | None = None
    user: str | None = None
    owner: str = ANONYMOUS
    metadata: Mapping[str, str] = field(default_factory=dict)
    limits: RunLimits = RunLimits()
    started: float = 0.0
    deadline: float | None = None
    clock: Clock = field(default_factory=SystemClock)
    random: random.Random = field(default=_RANDOM)
    emit: Callable[[Event], None] = _discard
    stop_reason: Callable[[], str] = _client_disconnected
    note_side_effect: Callable[[], None] = _unnoted

    def remaining(self) -> float | None:
        """Seconds left of the run's budget, not below 0; ``None`` without a budget."""
        return None if self.deadline is None else max(0.0, self.deadline - self.clock.monotonic())
