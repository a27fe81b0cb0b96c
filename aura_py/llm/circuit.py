"""What the process remembers of models that did not answer, so that a fallback chain does not wait for them again.

A model that failed cools down: it is asked after the others of its chain, but never left out. When the time is over,
one call at a time tries it in its own place; the first answer makes it an ordinary model again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from aura_py.config.models import LLM

FIRST_SECONDS: Final = 10.0
"""The first cool-down, unless the failure itself took longer; each trial that fails doubles it."""
LONGEST_SECONDS: Final = 300.0
LONGEST_WISH_SECONDS: Final = 600.0
"""A provider that asks for more than this is tried again nevertheless."""

_IDENTITY = ("provider", "model", "base_url", "region", "profile", "script", "rules")


class Circuit:
    """The memory of one model. Times are on a monotonic clock, in seconds.

    ``refused`` are optional parameters that the model does not take.
    """

    __slots__ = ("__weakref__", "_failures", "_trials", "_until", "refused")

    def __init__(self) -> None:
        self.refused: frozenset[str] = frozenset()
        self._failures = 0
        self._until = 0.0
        self._trials = 0

    def cooling(self, now: float) -> bool:
        """Whether others should be asked first: it failed a moment ago, or another call is finding out."""
        return self._failures > 0 and (self._trials > 0 or now < self._until)

    @contextmanager
    def asking(self) -> Iterator[int]:
        """Held while a call waits for the first delta; what it yields goes to :meth:`failed`."""
        failures = self._failures
        if not failures:
            yield failures
            return
        self._trials += 1
        try:
            yield failures
        finally:
            self._trials -= 1

    def failed(self, asked: int, now: float, *, waited: float, wish: float | None) -> float | None:
        """Begins a cool-down and returns its length; ``None`` for a call that began before others learned the same.

        ``waited`` is how long the failure took: what was dear is not tried again soon. ``wish`` is what the provider
        asked for.
        """
        if asked != self._failures:
            return None
        self._failures += 1
        # Doubling has an end long before a float has one.
        seconds = min(LONGEST_SECONDS, max(FIRST_SECONDS, waited) * 2.0 ** min(self._failures - 1, 16))
        if wish is not None:
            seconds = min(LONGEST_WISH_SECONDS, wish)
        self._until = now + seconds
        return seconds

    def answered(self) -> bool:
        """Ends the cool-down; returns whether there was one."""
        known, self._failures = self._failures > 0, 0
        return known


_shared: WeakValueDictionary[tuple[str, ...], Circuit] = WeakValueDictionary()


def circuit_of(table: LLM) -> Circuit:
    """The memory that all agents of this process share whose tables mean the same model, address and credential."""
    key = getattr(table, "api_key", None)
    secret = key.get_secret_value() if key is not None else ""
    identity = (*(repr(getattr(table, name, None)) for name in _IDENTITY), secret)
    return _shared.setdefault(identity, Circuit())
