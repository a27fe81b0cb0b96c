"""The memory directory: wanted by which files, and can it be written (``CFG-F06``)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aura_py.config.file_report import Location
from aura_py.config.tables import Tree
from aura_py.storage import make_private


def check(tree: Tree, root: Location, *, create: bool) -> None:
    """Complains when a feature of the file needs a directory that can neither be written nor created.

    Args:
        create: Create it and write into it, to know that it works. Without it nothing is written anywhere.
    """
    orchestration: Tree = tree.get("orchestration", {})
    needed = orchestration.get("enabled") or tree.get("agent", {}).get("scratchpad", {}).get("enabled")
    if not needed or "memory_dir" not in tree:
        return
    directory: Path = tree["memory_dir"]
    reason = _obstacle(directory) or (_refusal(directory) if create else "")
    if not reason:
        return
    at = next((at for at in _places(root) if at.path in root.file.sources), root / "memory_dir")
    if at.path in root.file.sources:
        reason = reason.partition(" `")[0]
    at.error(
        "CFG-F06",
        f"the memory directory `{at.shown_path(directory)}` cannot be used: {reason}",
        "choose a writable directory",
    )


def _obstacle(directory: Path) -> str:
    """What can be seen to be in the way without touching anything."""
    existing = directory
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not os.path.isdir(existing):
        return f"something that is no directory stands in the way: `{existing}`"
    return "" if os.access(existing, os.W_OK | os.X_OK) else f"no permission to write in `{existing}`"


def _refusal(directory: Path) -> str:
    """What the system says to a file in the directory."""
    try:
        make_private(directory)
        with tempfile.TemporaryFile(dir=directory):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _places(root: Location) -> Iterator[Location]:
    """Where the directory may have been set, legacy places included."""
    for parent in (root, root / "orchestration", root / "orchestration" / "artifacts"):
        yield from (parent / "memory_dir", parent / "memory_path")
