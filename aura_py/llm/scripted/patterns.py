"""Regular expressions of a script: Python's dialect, given up when a search takes too long.

``re`` cannot be interrupted, so one message could stop the whole server. ``regex`` can, but writes counted
repetitions out when it compiles; the few patterns that would grow too large for it stay with ``re``.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

import regex

PATIENCE: Final = 1.0
"""Seconds that one search may take; a usual one takes microseconds."""
_LARGEST: Final = 100_000
_COUNT: Final = re.compile(r"\{\d*,?(\d+)\}")


class PatternTimeout(Exception):
    """The search was given up."""


class Match(Protocol):
    def groupdict(self) -> dict[str, str | None]: ...


class ScriptPattern:
    """One pattern. The configuration has checked that it compiles."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._plain: re.Pattern[str] | None = None
        product = 1
        for found in _COUNT.finditer(pattern):
            product *= max(1, int(found[1]))
        if product > _LARGEST:
            self._plain = re.compile(pattern)
            return
        try:
            self._patient = regex.compile(pattern)
        except regex.error:
            self._plain = re.compile(pattern)

    def search(self, text: str, patience: float = PATIENCE) -> Match | None:
        """Raises :class:`PatternTimeout` after ``patience`` seconds."""
        if self._plain is not None:
            return self._plain.search(text)
        found: Match | None
        try:
            found = self._patient.search(text, timeout=patience, concurrent=True)
        except TimeoutError as error:
            raise PatternTimeout(self._pattern) from error
        return found
