"""Runs that are too old or too many go, over all sessions (``orchestration-workers.md`` W14)."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aura_py.orchestration.naming import SINGLE_AGENTS, is_run_id
from aura_py.orchestration.rundir import MAX_DIRECTORIES, live

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 3600.0
_DAY = 86_400.0
_MEBIBYTE = 1024 * 1024


@dataclass(slots=True, frozen=True)
class _Run:
    path: Path
    touched: float
    size: int


def sweep_runs(memory_dir: Path, *, max_memory_mb: int, max_age_days: int, now: float | None = None) -> int:
    """Removes ended runs older than ``max_age_days``, then the oldest over ``max_memory_mb``; 0 is no limit.

    Only directories named like runs are looked at, and none that is still at work. Returns how many went. Blocking.
    """
    moment = time.time() if now is None else now
    runs = sorted(_runs(memory_dir), key=lambda run: run.touched)
    total, removed = sum(run.size for run in runs), 0
    for run in runs:
        too_old = max_age_days > 0 and moment - run.touched > max_age_days * _DAY
        too_much = max_memory_mb > 0 and total > max_memory_mb * _MEBIBYTE
        if not (too_old or too_much) or live(run.path):
            continue
        try:
            shutil.rmtree(run.path)
        except OSError as error:
            logger.warning("run `%s` cannot be removed: %s", run.path, error.strerror)
            continue
        total, removed = total - run.size, removed + 1
    if removed:
        logger.info("%d runs below `%s` were removed", removed, memory_dir)
    return removed


def _runs(memory_dir: Path) -> Iterator[_Run]:
    for directory in _directories(memory_dir):
        if directory.name == SINGLE_AGENTS:
            continue
        inner = _directories(directory)
        of_a_session = [path for path in inner if is_run_id(path.name)]
        if of_a_session:
            yield from map(_measured, of_a_session)
        elif is_run_id(directory.name) and (inner or (directory / "manifest.json").exists()):
            yield _measured(directory)  # an empty one may be a session of that name that is just being made


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
