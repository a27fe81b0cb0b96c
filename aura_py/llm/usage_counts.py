"""Token counts as servers write them: as floats, as null, as nothing at all, or as zeros in the end."""

from __future__ import annotations

from aura_py.messages import Usage

_MOST = 2**53


def count(table: object, *names: str) -> int:
    """The first of ``names`` that holds a positive number in ``table``, whatever else both hold."""
    if isinstance(table, dict):
        for name in names:
            value = table.get(name)
            if isinstance(value, int | float) and 1 <= value < _MOST:
                return int(value)
    return 0


class UsageCounter:
    """Counts of one response. They only grow: a report that forgets what an earlier one said changes nothing."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = Usage()

    def add(self, usage: Usage) -> bool:
        """Whether ``usage`` says more than was known."""
        known = self.total
        self.total = Usage(
            max(known.input, usage.input),
            max(known.output, usage.output),
            max(known.cached, usage.cached),
            max(known.cache_write, usage.cache_write),
            max(known.reasoning, usage.reasoning),
        )
        return self.total != known
