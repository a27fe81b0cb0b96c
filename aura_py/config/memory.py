"""The memory directory: wanted by which files, and can it be written (``CFG-F06``)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from aura_py.config.problems import Location
from aura_py.config.tables import Tree
from aura_py.storage import make_private


def needed(tree: Tree) -> bool:
    """Whether a feature of the file writes below its memory directory."""
    if "memory_dir" not in tree:
        return False
    orchestration: Tree = tree.get("orchestration", {})
    return bool(orchestration.get("enabled") or tree.get("agent", {}).get("scratchpad", {}).get("enabled"))


def check(tree: Tree, root: Location) -> None:
    """Complains when the directory can neither be written nor created; creates nothing."""
    if not needed(tree):
        return
    root.file.memory_dir = wanted = tree["memory_dir"]
    existing = wanted
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not os.path.isdir(existing):
        _complain(root, wanted, f"something that is no directory stands in the way: `{existing}`")
    elif not os.access(existing, os.W_OK | os.X_OK):
        _complain(root, wanted, f"no permission to write in `{existing}`")


def create(roots: Iterable[Location]) -> None:
    """Creates the directories and writes a probe into each."""
    outcome: dict[Path, str] = {}
    for root in roots:
        directory = root.file.memory_dir
        if directory is None:
            continue
        if directory not in outcome:
            outcome[directory] = _probe(directory)
        if outcome[directory]:
            _complain(root, directory, outcome[directory])


def _probe(directory: Path) -> str:
    try:
        make_private(directory)
        with tempfile.TemporaryFile(dir=directory):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _complain(root: Location, directory: Path, reason: str) -> None:
    at = next((at for at in _places(root) if at.path in root.file.sources), root / "memory_dir")
    shown = at.shown_path(directory)
    if at.path in root.file.sources:
        reason = reason.partition(" `")[0]
    at.error("CFG-F06", f"the memory directory `{shown}` cannot be used: {reason}", "choose a writable directory")


def _places(root: Location) -> Iterator[Location]:
    """Where the directory may have been set, legacy places included."""
    for parent in (root, root / "orchestration", root / "orchestration" / "artifacts"):
        yield from (parent / "memory_dir", parent / "memory_path")
