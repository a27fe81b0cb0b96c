"""A run's directory, beside the other runs of its session.

Persistence never fails an answer: the first thing that cannot be written is logged and reported as a
:class:`~aura_py.events.Notice`, and the run goes on. Files appear whole or not at all, readable by their owner only.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import stat
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import orjson

from aura_py.events import Event, Notice
from aura_py.messages import Json
from aura_py.orchestration.naming import LATEST, is_run_id, safe_artifact
from aura_py.orchestration.run_retention import LOCK, prune_session
from aura_py.orchestration.text import ellipsis
from aura_py.storage import make_private

logger = logging.getLogger(__name__)
T = TypeVar("T")

HEARTBEAT_SECONDS = 15.0
MAX_READ_BYTES = 8 * 1024 * 1024
_TIMEOUT_SECONDS = 2.0
_SHOWN = 100
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_PLAIN = os.O_RDONLY | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0)
"""Opens a file without following a link, and without waiting for the other end of a pipe."""


class UnsafeNameError(Exception):
    """A name from a model or client that must not become part of a path."""


@dataclass(slots=True, frozen=True)
class StoredText:
    """A stored text. ``size`` is the file's; ``text`` may be shorter (8 MiB at most are read)."""

    text: str
    size: int


class RunDirectory:
    """One run's files; without a directory every write is a no-op and every read finds nothing."""

    def __init__(
        self,
        path: Path | None,
        *,
        session: Path | None = None,
        emit: Callable[[Event], None] = lambda _event: None,
        timeout: float = _TIMEOUT_SECONDS,
    ) -> None:
        self.path = path
        self.session = session
        self._emit = emit
        self._timeout = timeout or _TIMEOUT_SECONDS
        self._degraded = False
        self._limiter = anyio.CapacityLimiter(4)
        self._turns = itertools.count()
        self._order = _WriteOrder()

    @property
    def enabled(self) -> bool:
        return self.path is not None

    @classmethod
    async def open(
        cls,
        session: Path | None,
        run_id: str,
        *,
        keep: int,
        emit: Callable[[Event], None],
        timeout: float = _TIMEOUT_SECONDS,
    ) -> RunDirectory:
        """Creates the directory, points ``latest`` at it and prunes the session's old runs to ``keep`` (0 keeps all).

        A directory that cannot be created leaves the run without persistence.
        """
        if session is None:
            return cls(None)
        run = cls(session / run_id, session=session, emit=emit, timeout=timeout)
        opened = await run._io("the run directory", lambda: _open(session, run_id))
        if opened is None:
            run.path = None
            return run
        if keep > 0:
            await run._io("pruning", lambda: prune_session(session, run_id, keep))
        return run

    async def write(self, name: str, value: str | Json) -> bool:
        """Writes ``name`` (relative to the run) whole, a text as it is and everything else as JSON.

        Returns whether the file is there.
        """
        return await self.write_all({name: value})

    async def write_all(self, files: Mapping[str, str | Json]) -> bool:
        """Writes several files in one go."""
        path = self.path
        if path is None:
            return False
        turn = next(self._turns)

        def put() -> bool:
            for name, value in files.items():
                data = value.encode("utf-8", "replace") if isinstance(value, str) else json_bytes(value)
                _write(path / name, data, self._order.replacement(turn))
            return True

        return bool(await self._io(f"`{next(iter(files), '')}`", put))

    async def append(self, name: str, text: str) -> bool:
        path = self.path
        if path is None:
            return False
        return bool(await self._io(f"`{name}`", lambda: _append(path / name, text.encode("utf-8", "replace"))))

    async def remove(self, name: str) -> None:
        path = self.path
        if path is not None:
            await self._io(f"`{name}`", lambda: (path / name).unlink(missing_ok=True))

    async def keep_alive(self) -> None:
        """Marks the run as alive for siblings that prune, until it is cancelled."""
        while True:
            await anyio.sleep(HEARTBEAT_SECONDS)
            path = self.path
            if path is not None:
                await self._io("the lock file", partial(os.utime, path / LOCK))

    async def close(self) -> None:
        await self.remove(LOCK)

    async def artifact(self, filename: str, run_id: str | None = None) -> StoredText | None:
        """An artifact of this run, or of another run of the session; ``None`` when there is none.

        Raises:
            UnsafeNameError: The name or the run id cannot be one of ours.
        """
        if not safe_artifact(filename):
            raise UnsafeNameError(f"`{ellipsis(filename, _SHOWN)}` is not the name of an artifact.")
        if run_id is not None and run_id != LATEST and not is_run_id(run_id):
            raise UnsafeNameError(f"`{ellipsis(run_id, _SHOWN)}` is not the id of a run.")
        path, session = self.path, self.session
        if path is None or session is None:
            return None
        directory = path if run_id in (None, LATEST, path.name) else session / str(run_id)
        return await self._io(f"`{filename}`", lambda: _read_inside(session, directory.name, filename))

    async def read(self, read: Callable[[], T]) -> T | None:
        """Runs a blocking read off the loop; ``None`` when it fails."""
        return await self._io("earlier runs", read)

    async def _io(self, what: str, work: Callable[[], T]) -> T | None:
        try:
            with anyio.fail_after(self._timeout):
                # a file system that hangs keeps its thread and costs the files, not the answer
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)
        except TimeoutError as error:
            if error.errno is None:
                self._degrade(what, f"the disk did not answer for {self._timeout:g} s; nothing more is written")
                self.path = None
            else:
                self._degrade(what, _reason(error))
        except OSError as error:
            self._degrade(what, _reason(error))
        except orjson.JSONEncodeError:
            self._degrade(what, "it cannot be written as JSON")
        return None

    def _degrade(self, what: str, reason: str) -> None:
        if self._degraded:
            logger.debug("persistence: %s: %s", what, reason)
            return
        self._degraded = True
        logger.warning("persistence of run `%s` is incomplete: %s: %s", self.path or "", what, reason)
        self._emit(Notice("persistence_degraded", f"Run files are incomplete: {what}: {reason}. The answer is not."))


def json_bytes(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _open(session: Path, run_id: str) -> bool:
    make_private(session)
    run = session / run_id
    run.mkdir(mode=0o700)
    _write(run / LOCK, b"")
    temporary = session / f".latest-{uuid.uuid4().hex}"
    try:
        # made aside and moved, so that `latest` always leads somewhere
        temporary.symlink_to(run_id, target_is_directory=True)
        temporary.replace(session / LATEST)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        logger.debug("`latest` in `%s` is not set: %s", session, _reason(error))
    return True


class _WriteOrder:
    """Keeps a write that was given up, and goes on in its thread, from replacing what was written after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[Path, int] = {}

    def replacement(self, turn: int) -> Callable[[Path, Path], object]:
        def replace(temporary: Path, path: Path) -> None:
            with self._lock:
                if self._newest.get(path, -1) > turn:
                    temporary.unlink(missing_ok=True)
                    return
                self._newest[path] = turn
                temporary.replace(path)

        return replace


def _write(path: Path, data: bytes, replace: Callable[[Path, Path], object] = Path.replace) -> bool:
    make_private(path.parent)
    temporary = path.parent / f".{uuid.uuid4().hex}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return True


def _append(path: Path, data: bytes) -> bool:
    make_private(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(data)
    return True


def _read_inside(session: Path, run: str, filename: str) -> StoredText | None:
    """Reads ``session/run/artifacts/filename`` step by step, following no link."""
    handles: list[int] = []
    try:
        handles.append(os.open(session, os.O_RDONLY | os.O_DIRECTORY))
        for step in (run, "artifacts"):
            handles.append(os.open(step, os.O_RDONLY | os.O_DIRECTORY | _NOFOLLOW, dir_fd=handles[-1]))
        read = _read(os.open(filename, _PLAIN, dir_fd=handles[-1]), MAX_READ_BYTES)
        return None if read is None else StoredText(read[0].decode("utf-8", "replace"), read[1])
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return None
        raise
    finally:
        for handle in handles:
            os.close(handle)


def read_plain(path: Path, limit: int) -> tuple[bytes, int] | None:
    """At most ``limit`` bytes of a regular file, and its size; ``None`` for anything else. Blocking.

    Raises:
        OSError: It is not there, is a link, or cannot be read.
    """
    return _read(os.open(path, _PLAIN), limit)


def _read(descriptor: int, limit: int) -> tuple[bytes, int] | None:
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit), status.st_size
    finally:
        os.close(descriptor)
