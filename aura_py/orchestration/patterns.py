"""Patterns from models, matched in linear time (``orchestration-workers.md`` §9.3)."""

from __future__ import annotations

import re2

MAX_PATTERN = 1000


class InvalidPatternError(ValueError):
    """The pattern cannot be used; the message says why."""


class Pattern:
    """An unanchored search. No look-around and no back-references, so that no text can make it hang.

    Raises:
        InvalidPatternError: The pattern is too long or not valid.
    """

    def __init__(self, source: str) -> None:
        if len(source) > MAX_PATTERN:
            raise InvalidPatternError(f"the pattern has {len(source)} characters and at most {MAX_PATTERN} are allowed")
        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled = re2.compile(source, options)
        except re2.error as error:
            reason = error.args[0] if error.args else ""
            text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
            raise InvalidPatternError(
                f"the pattern is not valid: {text}; look-around and back-references do not exist"
            ) from error

    def found_in(self, text: str) -> bool:
        return self._compiled.search(text) is not None
