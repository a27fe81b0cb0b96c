"""What a serving process and the parent that started it say to each other.

The parent passes the sockets as inherited descriptors and the rest in one variable of the environment. The process
sends a byte when it is ready. A byte from the parent asks it to retire: another process has taken its place. When the
parent is gone, however it ended, the process stops as after SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from aura_py.config.settings import WORKER_VARIABLE

RETIRE: Final = b"q"
_READY: Final = b"r"


@dataclass(slots=True, frozen=True)
class WorkerProcess:
    """This process as one of ``count`` on a port. ``silent``: what it would print at start was printed before."""

    index: int
    count: int
    listener: socket.socket
    parent: socket.socket
    directory: Path
    silent: bool

    @classmethod
    def from_environment(cls) -> Self | None:
        """What the parent passed on; ``None`` in a process that has none.

        Programs that this one starts inherit neither the variable nor the sockets.
        """
        passed = os.environ.pop(WORKER_VARIABLE, None)
        if passed is None:
            return None
        index, count, listener, parent, silent, directory = passed.split(":", 5)
        sockets = [socket.socket(fileno=int(number)) for number in (listener, parent)]
        for each in sockets:
            each.set_inheritable(False)
            each.setblocking(False)
        return cls(int(index), int(count), sockets[0], sockets[1], Path(directory), silent == "1")

    def ready(self, *, retire: Callable[[], None], stop: Callable[[], None]) -> None:
        """Tells the parent that this process serves; ``stop`` is called when the parent is gone."""
        self.parent.send(_READY)
        loop = asyncio.get_running_loop()

        def heard() -> None:
            if self.parent.recv(1) == RETIRE:
                retire()
            else:
                loop.remove_reader(self.parent)
                stop()

        loop.add_reader(self.parent, heard)
