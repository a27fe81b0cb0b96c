"""Which runs are removed: too many of a session, too old or too large ones of an owner."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from aura_py.orchestration.naming import is_run_id
from aura_py.storage import agent_directories, remove_surplus

logger = logging.getLogger(__name__)

LOCK = "run.lock"
"""Touched again and again while a run goes on in its directory."""
SWEEP_INTERVAL_SECONDS = 3600.0
MAX_DIRECTORIES = 1000
_RUNNING_SECONDS = 60.0
_DAY = 86_400.0
_MEBIBYTE = 1024 * 1024


def is_running(directory: Path) -> bool:
    """Whether a run, of this process or another one, still executes in ``directory``."""
    try:
        return time.time() - (directory / LOCK).stat().st_mtime < _RUNNING_SECONDS
    except OSError:
        return False


def prune_session(session: Path, current: str, keep: int) -> None:
    """Removes the oldest ended runs of a session, so that ``keep`` are left with the current one. Blocking.

    Raises:
        OSError: The session's directory cannot be read.
    """
    with os.scandir(session) as entries:
        runs = sorted(e.name for e in entries if is_run_id(e.name) and e.is_dir(follow_symlinks=False))
    others = [name for name in runs if name != current]
    for name in others[: max(0, len(others) - (keep - 1))]:
        _remove(session / name)


def sweep_runs(memory_dir: Path, agent: str, *, max_memory_mb: int, max_age_days: int, now: float | None = None) -> int:
    """Removes ended runs of ``agent`` older than ``max_age_days``, then of each owner the oldest over
    ``max_memory_mb``; 0 is no limit.

    Only directories named like runs are looked at. Returns how many went. Blocking.
    """
    return sum(
        remove_surplus(
            _runs(directory),
            now=time.time() if now is None else now,
            max_age=max_age_days * _DAY or None,
            max_bytes=max_memory_mb * _MEBIBYTE or None,
            remove=_remove,
        )
        for directory in agent_directories(memory_dir, agent)
    )


def _remove(run: Path) -> bool:
    if is_running(run):
        return False
    try:
        shutil.rmtree(run)
    except OSError as error:
        logger.warning("run `%s` cannot be removed: %s", run, error.strerror)
        return False
    logger.info("run `%s` is removed", run)
    return True


def _runs(directory: Path) -> Iterator[Path]:
    for session in _directories(directory):
        yield from (path for path in _directories(session) if is_run_id(path.name))


def _directories(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            found = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return found[:MAX_DIRECTORIES]
