"""Where scratchpad files live and how long (§5.1, S-5)."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from aura_py.config.models import ScratchpadSettings

_log = logging.getLogger(__name__)
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_LOCK = ".lock"
_BETWEEN_SWEEPS = timedelta(minutes=1)
_swept: dict[Path, datetime] = {}
_PLACES = (
    "scratchpad/*/*",
    "*/*/iteration-*/scratchpad",
    "*/iteration-*/scratchpad",
)


def single_agent_directory(memory_dir: Path, session_id: str, run_id: str) -> tuple[Path, Path]:
    """The directory of one run and its read root, which is the same: no run of a single agent reads another's."""
    directory = memory_dir / "scratchpad" / component(session_id) / component(run_id)
    return directory, directory


def component(text: str) -> str:
    """``text`` as one safe component of a path: itself if it is one, else a digest of it."""
    if len(text) <= 128 and _SAFE.fullmatch(text):
        return text
    return "h-" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def occupy(directory: Path) -> int:
    """Makes the directory and marks it as in use; undisturbed by a clean-up that removes empty ones meanwhile.

    Raises:
        OSError: The directory cannot be made or used.
    """
    for _ in range(3):
        try:
            prepare(directory)
            return hold(directory)
        except FileNotFoundError:
            continue
    prepare(directory)
    return hold(directory)


def prepare(directory: Path) -> None:
    """Makes the directory and its missing parents, closed to others. Raises ``OSError``."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)


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

    ``root`` is the agent's ``memory_dir``. Faults are logged: they never keep a server from starting.
    """
    too_old = (now - timedelta(hours=settings.retention_hours)).timestamp()
    kept: list[tuple[float, int, Path]] = []
    for directory in _directories(root):
        try:
            changed, size = _measure(directory)
            if changed <= too_old:
                remove_unless_held(directory)
            else:
                kept.append((changed, size, directory))
        except OSError as error:
            _log.warning("scratchpad directory `%s` could not be cleaned up: %s", directory, error.strerror)
    total = sum(size for _, size, _ in kept)
    for _, size, directory in sorted(kept):
        if total <= settings.max_bytes:
            break
        if remove_unless_held(directory):
            total -= size


def sweep_now_and_then(root: Path, settings: ScratchpadSettings, now: datetime) -> None:
    """``sweep``, but not more than once a minute: many runs end in a minute."""
    last = _swept.get(root)
    if last is None or not timedelta(0) <= now - last < _BETWEEN_SWEEPS:
        _swept[root] = now
        sweep(root, settings, now)


def remove_unless_held(directory: Path) -> bool:
    """Removes the directory, and its parent when that becomes empty. Says whether it did."""
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
    if directory.parent.parent.name == "scratchpad":
        try:
            directory.parent.rmdir()
        except OSError:
            _log.debug("`%s` still holds other runs", directory.parent)
    return not directory.exists()


def _directories(root: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    for pattern in _PLACES:
        for path in root.glob(pattern):
            if path not in seen and path.is_dir() and not path.is_symlink():
                seen.add(path)
                yield path


def _measure(directory: Path) -> tuple[float, int]:
    """When anything in it last changed, and how many bytes it holds."""
    changed = directory.stat().st_mtime
    size = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            facts = os.lstat(os.path.join(folder, name))
            size += facts.st_size
            changed = max(changed, facts.st_mtime)
    return changed, size
