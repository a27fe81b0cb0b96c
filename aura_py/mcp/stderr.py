"""The stderr of a child process."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import BinaryIO

import anyio

from aura_py.mcp.reasons import one_line, without_secrets

log = logging.getLogger(__name__)

_CHUNK = 65536
_LONGEST_LINE = 4096
_MOST_CHUNKS = 16


class StderrLog:
    """Write a child's lines to the debug log, and remember the last one that explains something.

    ``sink`` is the end of the pipe for the child; it is closed here once the child has it.
    """

    def __init__(self, name: str, readable: int, sink: BinaryIO, secrets: Collection[str]) -> None:
        self.sink = sink
        self._name = name
        self._checked_answer = readable
        self._secrets = secrets
        self._begun = b""
        self._last_message = ""

    async def follow(self) -> None:
        while True:
            await anyio.wait_readable(self._checked_answer)
            if not self._read():
                return

    def last_line(self) -> str | None:
        """Return the last line so far that says what went wrong, without secrets and control characters."""
        for _ in range(_MOST_CHUNKS):
            if not self._read():
                break
        self._keep(self._begun)
        return one_line(without_secrets(self._last_message, self._secrets)) or None

    def _read(self) -> bool:
        """Read what is there. False if there is nothing."""
        try:
            chunk = os.read(self._checked_answer, _CHUNK)
        except BlockingIOError:
            return False
        *lines, begun = (self._begun + chunk).split(b"\n")
        self._begun = begun[-_LONGEST_LINE:]
        for line in lines:
            self._keep(line)
            if log.isEnabledFor(logging.DEBUG):
                log.debug("stderr of MCP server `%s`: %s", self._name, _decoded(line))
        return bool(chunk)

    def _keep(self, line: bytes) -> None:
        """Stack traces of Python and Node end in lines that explain less than the last unindented one."""
        if line[:1].isalnum() and not line.startswith(b"Node.js v"):
            self._last_message = _decoded(line)


def _decoded(line: bytes) -> str:
    return line[:_LONGEST_LINE].decode("utf-8", "replace")


@asynccontextmanager
async def stderr_to_log(name: str, secrets: Collection[str]) -> AsyncIterator[StderrLog]:
    """A pipe for the stderr of MCP server ``name``."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    stderr = StderrLog(name, readable, os.fdopen(writable, "wb"), secrets)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stderr.follow)
            try:
                yield stderr
            finally:
                tasks.cancel_scope.cancel()
    finally:
        stderr.sink.close()
        os.close(readable)
