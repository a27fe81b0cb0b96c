"""Near misses of key names."""

from __future__ import annotations

from collections.abc import Iterable

_SHORTEST_FUZZY = 5
_MOST_EDITS = 2
_LONGEST = 64


def near_miss(key: str, valid: Iterable[str]) -> str | None:
    """The valid key that ``key`` is most likely a slip of."""
    folded = _fold(key)
    best: tuple[int, str] | None = None
    for candidate in valid:
        if _fold(candidate) == folded:
            return candidate
        if len(key) < _SHORTEST_FUZZY or len(candidate) < _SHORTEST_FUZZY or len(key) > _LONGEST:
            continue
        edits = distance(key.lower(), candidate, _MOST_EDITS)
        if edits <= _MOST_EDITS and (best is None or edits < best[0]):
            best = (edits, candidate)
    return best[1] if best else None


def _fold(key: str) -> str:
    return key.lower().replace("-", "_").removesuffix("s")


def distance(left: str, right: str, limit: int) -> int:
    """Edit distance (insert, delete, replace, swap of neighbours); anything above ``limit`` is ``limit + 1``."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        current = [i]
        for j, b in enumerate(right, start=1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        before, row = row, current
    return min(row[-1], limit + 1)
