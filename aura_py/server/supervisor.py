"""``aura serve --workers N``: N serving processes on one port, and a parent that starts, replaces and stops them.

The parent holds a listening socket for each of them, all on one port with ``SO_REUSEPORT``: Linux spreads connections
evenly over such sockets, and what has not been accepted when a process is replaced waits for the next one. Elsewhere
the option does not spread anything, and the processes share one socket.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import Process

from aura_py.config.settings import WORKER_VARIABLE, ServerSettings
from aura_py.server.listening import Announce, address, bind_for, unbindable
from aura_py.server.worker_process import RETIRE

logger = logging.getLogger(__name__)

_LONGEST_PAUSE: Final = 30.0
"""Seconds before a process that ends again and again is started once more."""
_STEADY: Final = 60.0
"""A process that lived for so many seconds is started again at once."""


class _Worker:
    """One process and the socket by which it and the parent notice each other's end."""

    def __init__(self, process: Process, channel: socket.socket) -> None:
        self.process = process
        self.channel = channel
        self.since = anyio.current_time()


def supervise(
    settings: ServerSettings, arguments: Sequence[str], environment: Mapping[str, str], announce: Announce = print
) -> int:
    """Serves with ``settings.workers`` processes until SIGTERM or SIGINT; returns the exit status.

    SIGHUP is handed on to all of them. SIGUSR2 replaces them one after another, each as soon as its successor is ready.

    Args:
        arguments: The command line of each process.
        environment: Its variables, without those that a `.env` file has added.
        announce: Gets the line with the address when all are ready.
    """
    try:
        listeners = bind_for(settings.host, settings.port, settings.workers)
    except OSError as error:
        print(unbindable(settings, error), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="aura-") as directory:  # nobody else can enter it
        supervisor = _Supervisor(listeners, Path(directory), arguments, environment, announce)
        try:
            return anyio.run(supervisor.run)
        finally:
            supervisor.close()


class _Supervisor:
    def __init__(
        self,
        listeners: Sequence[socket.socket],
        directory: Path,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        announce: Announce,
    ) -> None:
        self._listeners = listeners
        self._directory = directory
        self._arguments = arguments
        self._environment = environment
        self._announce = announce
        self._serving: dict[int, _Worker] = {}
        self._alive: set[Process] = set()
        """Also those that are starting and those that finish their last requests."""
        self._stopping = anyio.Event()
        self._replace = anyio.Event()
        self._failed = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        loop.add_signal_handler(signal.SIGUSR2, lambda: self._replace.set())
        first = await self._start(0, silent=False)
        if first.process.returncode is not None:  # it has said why
            return 0 if self._stopping.is_set() else first.process.returncode
        self._serving[0] = first
        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as starting:
                for index in range(1, len(self._listeners)):
                    starting.start_soon(self._serve, index)
            for index in range(len(self._listeners)):
                tasks.start_soon(self._keep, index)
            if not self._stopping.is_set():
                self._announce(f"{len(self._listeners)} processes on one port")
                self._announce(f"listening on {address(self._listeners[0])}")
            async with anyio.create_task_group() as replacing:
                replacing.start_soon(self._replace_when_asked)
                await self._stopping.wait()
                replacing.cancel_scope.cancel()
        for process in set(self._alive):
            await process.wait()
        return 1 if self._failed else 0

    def close(self) -> None:
        """Gives up the port."""
        for listener in self._listeners:
            listener.close()

    # --- signals ---------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._stopping.set()
        self.close()  # or connections would wait where nobody accepts them any more
        for process in self._alive:
            process.terminate()

    def _reload(self) -> None:
        for worker in self._serving.values():
            worker.process.send_signal(signal.SIGHUP)

    # --- processes -------------------------------------------------------------------------------------------------

    async def _start(self, index: int, *, silent: bool = True) -> _Worker:
        """A process that is ready, or has ended before it was."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        listener = self._listeners[index]
        passed = (index, len(self._listeners), listener.fileno(), theirs.fileno(), int(silent), self._directory)
        process = await anyio.open_process(
            [sys.executable, "-m", "aura_py", *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=None,
            stderr=None,
            env={**self._environment, WORKER_VARIABLE: ":".join(map(str, passed))},
            pass_fds=(listener.fileno(), theirs.fileno()),
            start_new_session=True,  # Ctrl-C in a terminal is for the parent, which asks each of them once
        )
        theirs.close()
        self._alive.add(process)
        if self._stopping.is_set():
            process.terminate()
        if not await asyncio.get_running_loop().sock_recv(ours, 1):
            await process.wait()
            self._alive.discard(process)
        return _Worker(process, ours)

    async def _serve(self, index: int) -> None:
        """Puts a new process in the place; the place stays as it is when that does not come up."""
        worker = await self._start(index)
        if worker.process.returncode is None:
            self._serving[index] = worker

    async def _keep(self, index: int) -> None:
        """Starts another process whenever the one in the place has ended by itself."""
        pause = 0.0
        while not self._stopping.is_set():
            worker = self._serving.get(index)
            if worker is None:
                with anyio.move_on_after(pause):
                    await self._stopping.wait()
                    return
                pause = min(max(1.0, pause * 2), _LONGEST_PAUSE)
                await self._serve(index)
                continue
            status = await worker.process.wait()
            self._forget(worker)
            if self._serving.get(index) is not worker:
                continue  # it was replaced
            del self._serving[index]
            if self._stopping.is_set():
                self._failed = self._failed or status != 0
                return
            logger.error("process %d ended with status %d; another one takes its place", index, status)
            if anyio.current_time() - worker.since > _STEADY:
                pause = 0.0

    async def _replace_when_asked(self) -> None:
        while True:
            await self._replace.wait()
            self._replace = anyio.Event()
            for index in range(len(self._listeners)):
                await self._replace_one(index)

    async def _replace_one(self, index: int) -> None:
        old = self._serving.get(index)
        if old is None:
            return
        await self._serve(index)
        if self._serving.get(index) is old:
            logger.error("process %d goes on: the one that was to take its place did not start", index)
            return
        logger.info("process %d is replaced and finishes its last requests", index)
        old.channel.send(RETIRE)

    def _forget(self, worker: _Worker) -> None:
        self._alive.discard(worker.process)
        worker.channel.close()
