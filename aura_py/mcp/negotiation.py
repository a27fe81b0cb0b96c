"""Finding the protocol version of a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, cast

import anyio
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types import UNSUPPORTED_PROTOCOL_VERSION
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError

from aura_py.mcp.answers import UNREACHABLE
from aura_py.mcp.dispatcher import is_connection_closed

Era = Literal["auto", "handshake"]
"""``handshake`` leaves out ``server/discover``, at which some older servers end."""

HANDSHAKE_AFTER = 1 / 3
"""The part of ``connect_timeout_secs`` after which ``initialize`` follows an unanswered ``server/discover``."""


async def negotiate(session: ClientSession, era: Era, seconds: float) -> bool:
    """Negotiate the protocol version. True if the server should be started again for the older handshake.

    ``server/discover`` is sent first, and its answer is accepted as long as the connection may take, because a server
    may need long to start. After a part of ``seconds`` ``initialize`` follows, for servers that ignore methods they do
    not know. A server that knows both answers the first and refuses the second.
    """
    patience = seconds * HANDSHAKE_AFTER
    if era == "handshake":
        await session.initialize()
        return False
    failures: list[Exception] = []
    newer_failed = anyio.Event()
    negotiated = False

    async def greet(greeting: Callable[[], Awaitable[object]]) -> None:
        nonlocal negotiated
        try:
            await greeting()
        except (MCPError, ValidationError, RuntimeError) as error:
            failures.append(error)
        else:
            negotiated = True
            tasks.cancel_scope.cancel()

    async def greet_newer() -> None:
        await greet(session.discover)
        newer_failed.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(greet_newer)
        with anyio.move_on_after(patience):
            await newer_failed.wait()
        if not failures or _may_accept_handshake(failures[0]):
            await greet(session.initialize)
            # The first request may still be at work; a server that never answers it may have refused the second for it.
            with anyio.move_on_after(patience):
                await newer_failed.wait()
        tasks.cancel_scope.cancel()
    if negotiated:
        return False
    if not newer_failed.is_set() or any(
        isinstance(error, MCPError) and is_connection_closed(error) for error in failures[:1]
    ):
        return True
    raise failures[-1]


def _may_accept_handshake(error: Exception) -> bool:
    """Whether a server that refused the newer greeting so may take the older one on the same connection."""
    if not isinstance(error, MCPError):
        return True
    if is_connection_closed(error) or error.code == UNREACHABLE:
        return False
    return error.code != UNSUPPORTED_PROTOCOL_VERSION or _supports_handshake(error.data)


def _supports_handshake(data: object) -> bool:
    supported = cast("Mapping[str, object]", data).get("supported") if isinstance(data, Mapping) else None
    if not isinstance(supported, list):
        return True
    return any(version in HANDSHAKE_PROTOCOL_VERSIONS for version in supported)
