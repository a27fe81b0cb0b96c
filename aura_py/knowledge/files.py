"""Which files a store's sources name."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_WILD = re.compile(r"[*?\[]")


@dataclass(slots=True)
class FoundFiles:
    """``files`` by real path, each with what is shown of it; ``problems`` in sentences; ``passed_over`` counts files of
    kinds that cannot be read."""

    files: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    passed_over: int = 0


def find_files(sources: Sequence[str], suffixes: frozenset[str]) -> FoundFiles:
    """Look for files below ``sources``: directories with all below them, files, and globs. Blocking.

    Hidden files are passed over, and links that lead out of their source, unless a source names them.
    """
    found = FoundFiles()
    for source in sources:
        wild = _WILD.search(source) is not None and not os.path.lexists(source)
        root = _fixed_part(source) if wild else source
        if not os.path.exists(root):
            found.problems.append(f"the source `{source}` does not exist")
            continue
        home = os.path.realpath(root if os.path.isdir(root) else os.path.dirname(root))
        named = not wild and not os.path.isdir(source)
        for path in sorted(_paths(source, wild)):
            real = os.path.realpath(path)
            shown = os.path.basename(path) if named else os.path.relpath(path, os.path.dirname(root))
            if not os.path.isfile(real):
                continue
            if os.path.splitext(path)[1].lower() not in suffixes:
                found.passed_over += 1
                if named:
                    found.problems.append(f"`{shown}` is left out: files of its kind cannot be read")
            elif not named and not real.startswith(home.rstrip(os.sep) + os.sep):
                found.problems.append(f"`{shown}` is left out: it is a link that leads out of its source")
            else:
                found.files.setdefault(real, shown)
    return found


def _paths(source: str, wild: bool) -> Iterator[str]:
    if wild:
        for path in glob.iglob(source, recursive=True):
            yield from _below(path) if os.path.isdir(path) and not source.endswith("**") else [path]
    elif os.path.isdir(source):
        yield from _below(source)
    else:
        yield source


def _below(directory: str) -> Iterator[str]:
    for folder, directories, names in os.walk(directory):
        directories[:] = sorted(each for each in directories if not each.startswith("."))
        yield from (os.path.join(folder, name) for name in names if not name.startswith("."))


def _fixed_part(pattern: str) -> str:
    """The directory before the first wildcard."""
    wild = _WILD.search(pattern)
    return os.path.dirname(pattern[: wild.start()] if wild is not None else pattern) or os.sep
