"""`python -m benchmarks [NAME …]`: runs the benchmarks and prints one table.

A benchmark is a module of this package with a function ``measure() -> list[Row]``. Everything runs on loopback.
"""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.report import Row, table


def main(names: list[str]) -> int:
    """Runs the named benchmarks, or all; 1 when a target was missed."""
    found = sorted(each.name for each in pkgutil.iter_modules([str(Path(__file__).parent)]) if each.name[0] != "_")
    if unknown := sorted(set(names) - set(found)):
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(found)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names or found:
        measure = getattr(import_module(f"benchmarks.{name}"), "measure", None)
        if measure is not None:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            rows += measure()
    print(table(rows))
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
