"""Near misses of key names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHORTEST = 5
_LONGEST = 64
_ALIKE = 0.75
"""Two slips in a key of eight letters, one in a key of five."""


def near_miss(key: str, valid: Iterable[str]) -> str | None:
    """The valid key that ``key`` is most likely a slip of."""
    folded = {_fold(each): each for each in valid}
    if _fold(key) in folded:
        return folded[_fold(key)]
    if not _SHORTEST <= len(key) <= _LONGEST:
        return None
    long_enough = [each for each in folded.values() if len(each) >= _SHORTEST]
    return next(iter(difflib.get_close_matches(key.lower(), long_enough, 1, _ALIKE)), None)


def _fold(key: str) -> str:
    return key.lower().replace("-", "_").removesuffix("s")
