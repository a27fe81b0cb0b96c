"""Runs that are too old or too many go, over all sessions of one owner and agent."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aura_py.orchestration.naming import is_run_id
from aura_py.orchestration.run_directory import MAX_DIRECTORIES, live
from aura_py.storage import agent_directories

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 3600.0
_DAY = 86_400.0
_MEBIBYTE = 1024 * 1024


@dataclass(slots=True, frozen=True)
class _Run:
    path: Path
    touched: float
    size: int


def sweep_runs(memory_dir: Path, agent: str, *, max_memory_mb: int, max_age_days: int, now: float | None = None) -> int:
    """Removes ended runs of ``agent`` older than ``max_age_days``, then of each owner the oldest over
    ``max_memory_mb``; 0 is no limit.

    Only directories named like runs are looked at, and none that is still at work. Returns how many went. Blocking.
    """
    moment = time.time() if now is None else now
    removed = 0
    for directory in agent_directories(memory_dir, agent):
        removed += _sweep(directory, max_memory_mb * _MEBIBYTE, max_age_days * _DAY, moment)
    if removed:
        logger.info("%d runs of agent `%s` below `%s` were removed", removed, agent, memory_dir)
    return removed


def _sweep(directory: Path, max_bytes: int, max_age: float, now: float) -> int:
    """The same for one owner, whose sessions with the agent are in ``directory``."""
    runs = sorted(_runs(directory), key=lambda run: run.touched)
    total, removed = sum(run.size for run in runs), 0
    for run in runs:
        too_old = max_age > 0 and now - run.touched > max_age
        too_much = max_bytes > 0 and total > max_bytes
        if not (too_old or too_much) or live(run.path):
            continue
        try:
            shutil.rmtree(run.path)
        except OSError as error:
            logger.warning("run `%s` cannot be removed: %s", run.path, error.strerror)
            continue
        total, removed = total - run.size, removed + 1
    return removed


def _runs(directory: Path) -> Iterator[_Run]:
    for session in _directories(directory):
        yield from (_measured(path) for path in _directories(session) if is_run_id(path.name))


def _directories(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            found = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return found[:MAX_DIRECTORIES]


def _measured(run: Path) -> _Run:
    touched, size = 0.0, 0
    for folder, _, names in os.walk(run):
        for name in names:
            try:
                status = os.stat(os.path.join(folder, name), follow_symlinks=False)
            except OSError:
                continue
            touched, size = max(touched, status.st_mtime), size + status.st_size
    return _Run(run, touched or run.stat().st_mtime, size)
