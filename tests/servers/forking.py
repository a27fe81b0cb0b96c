"""Fork test servers out of one process that has imported what they need.

Each test process has one such process, made when its first server is wanted. A server that is started by
:func:`server_command` is a process of its own over real pipes, and costs a fork instead of the imports of an SDK. Tests
of how Aura starts and ends processes ask for ``fork=False``.
"""

from __future__ import annotations

import array
import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

LAUNCHER = Path(__file__).with_name("launcher.py")
ROOT = Path(__file__).parents[2]
_FILES = 3


def server_command(server: str | Path, *arguments: str, fork: bool = True) -> list[str]:
    """The command line of a server, a module of ``tests/servers`` or a file: forked, or a Python of its own that
    imports everything."""
    name = str(server) if isinstance(server, Path) else f"tests.servers.{server}"
    if fork and hasattr(os, "fork"):
        return [sys.executable, "-I", "-S", str(LAUNCHER), _forking_process(), name, *arguments]
    return [sys.executable, *(() if isinstance(server, Path) else ("-m",)), name, *arguments]


@cache
def _forking_process() -> str:
    """Start the forking process; the path of its socket. It listens before it has imported anything, so that nobody
    has to wait for it."""
    directory = tempfile.TemporaryDirectory(prefix="aura-servers-")
    address = str(Path(directory.name) / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(256)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.forking", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            cwd=ROOT,
        )

    def stop() -> None:
        process.kill()
        process.wait(10)
        assert process.stdin is not None
        process.stdin.close()
        directory.cleanup()

    atexit.register(stop)
    return address


@dataclass(slots=True)
class _Server:
    connection: socket.socket
    pid: int


class ForkingProcess:
    """Forks a server per connection and tells its launcher how it ends. Single-threaded, as whatever forks must be."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._servers: dict[int, _Server] = {}
        self._selector = selectors.DefaultSelector()
        self._ended, self._ending = socket.socketpair()
        self._ended.setblocking(False)
        self._ending.setblocking(False)
        signal.set_wakeup_fd(self._ending.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ, self._fork)
        self._selector.register(self._ended, selectors.EVENT_READ, self._reap)
        self._selector.register(0, selectors.EVENT_READ, self._stop)
        while True:
            for key, _ in self._selector.select():
                key.data()

    def _stop(self) -> None:
        for server in self._servers.values():
            os.kill(server.pid, signal.SIGKILL)
        os._exit(0)

    def _fork(self) -> None:
        connection, _ = self._listener.accept()
        try:
            request, files = _receive(connection)
        except (OSError, ValueError):
            connection.close()
            return
        pid = os.fork()
        if pid == 0:
            self._become(request, files)
        for descriptor in files:
            os.close(descriptor)
        self._servers[pid] = _Server(connection, pid)
        connection.sendall(f"{pid}\n".encode())
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._launcher_gone(pid))

    def _launcher_gone(self, pid: int) -> None:
        self._selector.unregister(self._servers[pid].connection)
        os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        self._ended.recv(4096)
        while self._servers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            server = self._servers.pop(pid)
            if server.connection in self._selector.get_map():
                self._selector.unregister(server.connection)
            try:
                server.connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            except OSError:
                server.connection.close()  # the launcher was killed, and its server with it
            else:
                server.connection.close()

    def _become(self, request: dict[str, object], files: list[int]) -> NoReturn:
        """Be the server: in the fork."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for server in self._servers.values():
            server.connection.close()
        self._selector.close()
        self._listener.close()
        for target, descriptor in enumerate(files):
            os.dup2(descriptor, target)
            os.close(descriptor)
        command, environment = request["command"], request["env"]
        assert isinstance(command, list)
        assert isinstance(environment, dict)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(str(request["cwd"]))
        sys.argv = command
        code = 0
        try:
            if command[0].endswith(".py"):
                runpy.run_path(command[0], run_name="__main__")
            else:
                runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except KeyboardInterrupt:
            code = 130
        except BaseException:
            sys.excepthook(*sys.exc_info())
            code = 1
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                code = code or 1
        os._exit(code)


def _receive(connection: socket.socket) -> tuple[dict[str, object], list[int]]:
    files = array.array("i")
    head, ancillary, _flags, _address = connection.recvmsg(4, socket.CMSG_LEN(_FILES * files.itemsize))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
    body = b""
    size = int.from_bytes(head, "big")
    while len(body) < size:
        part = connection.recv(size - len(body))
        if not part:
            raise ValueError("the launcher has gone")
        body += part
    return json.loads(body), list(files)


def main() -> None:
    # What the servers of this folder import, and what their first event loop imports.
    import anyio
    import mcp.server.mcpserver  # noqa: F401
    import uvicorn  # noqa: F401

    anyio.run(anyio.lowlevel.checkpoint)
    gc.freeze()
    ForkingProcess(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
