"""How a benchmark tells its result: one row per measurement, beside something measured in the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Row:
    """One line of the table.

    ``measured`` and ``baseline`` are numbers with their unit, as shown. ``ratio`` compares the two; what it means is
    said by ``target`` (``<= 2.5 x the bare relay``). ``met`` is None where there is nothing to meet.
    """

    name: str
    measured: str
    baseline: str = ""
    ratio: float | None = None
    target: str = ""
    met: bool | None = None


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text."""
    heads = ("benchmark", "measured", "baseline", "ratio", "target", "")
    verdicts = {True: "met", False: "MISSED", None: ""}
    cells = [
        (
            row.name,
            row.measured,
            row.baseline,
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.target,
            verdicts[row.met],
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (heads, *cells)) for column in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (heads, *cells)]
    return "\n".join(line.rstrip() for line in (lines[0], "-" * len(lines[0]), *lines[1:]))
