"""How long scratchpad files live."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from aura_py.config.models import ScratchpadSettings
from aura_py.storage import make_private, path_component, remove_surplus

_log = logging.getLogger(__name__)
_LOCK = ".lock"
_BETWEEN_SWEEPS = timedelta(minutes=1)
_swept: dict[Path, datetime] = {}
_NAME = "scratchpad"
_PLACES = (f"*/*/{_NAME}", f"*/*/iteration-*/{_NAME}")
"""Of runs of single agents and of workers, below the directory of one owner and agent."""


def run_scratchpad(session: Path, run_id: str) -> Path:
    """Where one run of a single agent keeps its files, below the directory of its session."""
    return session / path_component(run_id) / _NAME


def is_run_scratchpad(directory: Path) -> bool:
    """Whether the directory lies where :func:`run_scratchpad` says."""
    return directory.name == _NAME


def occupy(directory: Path) -> int:
    """Makes the directory and marks it as in use; undisturbed by a clean-up that removes empty ones meanwhile.

    Raises:
        OSError: The directory cannot be made or used.
    """
    for _ in range(3):
        try:
            make_private(directory)
            return hold(directory)
        except FileNotFoundError:
            continue
    make_private(directory)
    return hold(directory)


def hold(directory: Path) -> int:
    """Marks the directory as in use until the returned descriptor is closed, by this process's end at the latest."""
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def sweep(root: Path, settings: ScratchpadSettings, now: datetime) -> None:
    """Removes what is too old or, oldest first, too much; never the files of a run that still goes on.

    ``root`` is what one owner has of one agent. Faults are logged: they never keep a server from starting.
    """
    remove_surplus(
        _directories(root),
        now=now.timestamp(),
        max_age=settings.retention_hours * 3600.0,
        max_bytes=settings.max_bytes,
        remove=remove_unless_held,
    )


def sweep_now_and_then(root: Path, settings: ScratchpadSettings, now: datetime) -> None:
    """``sweep``, but not more than once a minute: many runs end in a minute."""
    last = _swept.get(root)
    if last is None or not timedelta(0) <= now - last < _BETWEEN_SWEEPS:
        _swept[root] = now
        sweep(root, settings, now)


def remove_unless_held(directory: Path) -> bool:
    """Removes the directory, and those of its run and session that become empty. Says whether it did."""
    try:
        descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        descriptor = None
    except OSError as error:
        _log.warning("scratchpad directory `%s` could not be removed: %s", directory, error.strerror)
        return False
    try:
        if descriptor is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        if descriptor is not None:
            os.close(descriptor)
    for parent in (directory.parent, directory.parent.parent):
        try:
            parent.rmdir()
        except OSError:
            _log.debug("`%s` still holds other files", parent)
            break
    return not directory.exists()


def _directories(root: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    for pattern in _PLACES:
        for path in root.glob(pattern):
            if path not in seen and path.is_dir() and not path.is_symlink():
                seen.add(path)
                yield path
