"""The boolean words of flags and variables, and what counts as unset."""

from __future__ import annotations

TRUE_WORDS = frozenset({"1", "true", "t", "yes", "y", "on"})
FALSE_WORDS = frozenset({"0", "false", "f", "no", "n", "off"})


def is_true(value: str | None) -> bool:
    return value is not None and value.strip().lower() in TRUE_WORDS


def is_blank(value: object) -> bool:
    """A variable that is set to nothing counts as unset."""
    return value is None or (isinstance(value, str) and not value.strip())
