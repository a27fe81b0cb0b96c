"""Where files of runs lie below a ``memory_dir``: ``owner/agent/session/run``.

Ownership is in the path, so that no session id and no file name leads from one owner or agent to another, and
whatever is counted or removed is counted below one owner and agent.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

logger = logging.getLogger(__name__)

_SAFE = re.compile(r"[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9_-]+)*", re.ASCII)
_DIGEST = "h-"


def path_component(text: str) -> str:
    """``text`` as one component of a path: itself if it is safe, else a digest of it.

    Two texts never share a component, not even on file systems that ignore the case of letters.
    """
    if len(text) <= 128 and _SAFE.fullmatch(text) and not text.startswith(_DIGEST):
        return text
    return _DIGEST + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def session_directory(memory_dir: Path, *, owner: str, agent: str, session: str) -> Path:
    """The directory that holds the runs of one session, and of nothing else."""
    return memory_dir / path_component(owner) / path_component(agent) / path_component(session)


def make_private(directory: Path) -> None:
    """Makes the directory and what is missing above it, closed to other users. Raises ``OSError``."""
    missing = list(itertools.takewhile(lambda path: not path.is_dir(), (directory, *directory.parents)))
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)


def agent_directories(memory_dir: Path, agent: str) -> list[Path]:
    """What each owner has of one agent: directories of sessions. Blocking."""
    try:
        with os.scandir(memory_dir) as entries:
            owners = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    directories = (Path(owner, path_component(agent)) for owner in owners)
    return [directory for directory in directories if directory.is_dir() and not directory.is_symlink()]


def remove_surplus(
    directories: Iterable[Path],
    *,
    now: float,
    max_age: float | None,
    max_bytes: int | None,
    remove: Callable[[Path], bool],
) -> int:
    """Removes what has not changed for ``max_age`` seconds and, oldest first, what is over ``max_bytes`` together.

    ``remove`` leaves what is in use and says whether it removed the directory. ``None`` is no limit. Faults are
    logged. Returns how many directories went. Blocking.
    """
    found: list[tuple[float, int, Path]] = []
    for directory in directories:
        try:
            found.append((*_last_change_and_size(directory), directory))
        except OSError as error:
            logger.warning("directory `%s` cannot be cleaned up: %s", directory, error.strerror)
    total, removed = sum(size for _, size, _ in found), 0
    for changed, size, directory in sorted(found):
        too_old = max_age is not None and now - changed > max_age
        too_much = max_bytes is not None and total > max_bytes
        if (too_old or too_much) and remove(directory):
            total, removed = total - size, removed + 1
    return removed


def _last_change_and_size(directory: Path) -> tuple[float, int]:
    """When a file in it last changed, and how many bytes they have together."""
    changed, size = 0.0, 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except FileNotFoundError:  # a run goes on in it
                continue
            changed, size = max(changed, status.st_mtime), size + status.st_size
    return changed or directory.stat().st_mtime, size
