"""Listening sockets and how their addresses are told."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import TypeAlias

from aura_py.config.settings import ServerSettings

Announce: TypeAlias = Callable[[str], None]


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket's address, taken; ``shared`` with other sockets of this user that share it.

    Raises:
        OSError: The address is in use, unknown or not allowed.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, place = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(place)
        listener.listen(2048)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def bind_for(host: str, port: int, processes: int) -> list[socket.socket]:
    """A listening socket for each of several processes.

    Raises:
        OSError: The address is in use, unknown or not allowed.
    """
    # Alone first: a socket that shares would silently join those of another server on the port.
    alone = bind(host, port)
    if processes == 1 or not sys.platform.startswith("linux"):
        return [alone] + [alone.dup() for _ in range(1, processes)]
    port = alone.getsockname()[1]
    alone.close()
    listeners: list[socket.socket] = []
    try:
        for _ in range(processes):
            listeners.append(bind(host, port, shared=True))
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def address(listener: socket.socket) -> str:
    """The URL at which this machine reaches the server."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def unbindable(settings: ServerSettings, error: OSError) -> str:
    """Why the settings' address cannot be listened on, for the terminal."""
    place = f"`{settings.host}:{settings.port}`"
    reason = error.strerror or str(error)
    return f"error: cannot listen on {place}: {reason}; choose another address with `--host` and `--port`."
