"""A response's way to its client: writes, heartbeats, disconnects, stalled readers (``clients.md`` ST-5, CX-1, CX-7).

A stream has one task beside its writer. It waits for the disconnect and wakes for whatever is due next: a late
opening, a heartbeat, or the judgement that the reader has stalled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio
from starlette.types import Receive, Scope, Send

BODY_SEND: Final = "aura.body_send"
"""Scope key: the server's ``send``, without the layers that only look at the start of a response."""
ABORT: Final = "aura.abort"
"""ASGI extension: a function that drops the connection at once, unsent bytes included."""


@dataclass(slots=True, frozen=True)
class Heartbeat:
    """``frame`` is sent after ``seconds`` without a write; ``steady``: every ``seconds``, whatever else is sent."""

    frame: bytes
    seconds: float
    steady: bool = False


class Outlet:
    """Writes one response.

    ``on_gone`` is called once, when the client has left or was dropped; it says whether the writer goes on for others.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        on_gone: Callable[[], bool],
        heartbeat: Heartbeat | None = None,
        stall: float = 60.0,
    ) -> None:
        self._abort: Callable[[], None] | None = (scope.get("extensions") or {}).get(ABORT)
        self._receive = receive
        self._send = send
        self._send_body: Send = scope.get(BODY_SEND, send)
        self._on_gone = on_gone
        self._heartbeat = heartbeat
        self._stall = stall
        self._time = asyncio.get_running_loop().time
        self._begun = self._time()
        self._late: tuple[float, Callable[[], Awaitable[None]]] | None = None
        self._writing: float | None = None
        self._last_write = self._begun
        self._last_beat = self._begun
        self._scope: anyio.CancelScope | None = None
        self.started = False
        self.finished = False
        self.gone = False
        self._goes_on = False

    def open_late(self, seconds: float, opening: Callable[[], Awaitable[None]]) -> None:
        """Calls ``opening`` after ``seconds`` unless the response has started by then."""
        self._late = (self._begun + seconds, opening)

    @property
    def late(self) -> bool:
        """The time for the late opening has come, whether or not a busy machine has let it happen yet."""
        return self._late is not None and self._time() >= self._late[0]

    async def serve(self, writer: Callable[[], Awaitable[None]]) -> None:
        """Runs ``writer`` while the client is watched; returns when the writer is done or the reader was dropped."""
        async with anyio.create_task_group() as tasks:
            self._scope = tasks.cancel_scope
            tasks.start_soon(self._watch)
            await writer()
            tasks.cancel_scope.cancel()

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.started = True
        self._last_beat = self._time()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """One write to the socket; waits while the client reads slowly."""
        self._writing = self._time()
        try:
            await self._send_body({"type": "http.response.body", "body": data, "more_body": not last})
        finally:
            self._writing = None
        self._last_write = self._time()
        self.finished = self.finished or last

    def drop(self) -> None:
        """Breaks the connection, of a reader that has stopped reading for instance."""
        if self._abort is not None:
            self._abort()
        self._leave()
        if not self._goes_on or self._abort is None:
            self.stop()

    def stop(self) -> None:
        """Ends the writer; for a client that is gone."""
        if self._scope is not None:
            self._scope.cancel()

    # --- the watching task -----------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while not self.gone:
            left = False
            with anyio.move_on_after(self._delay()):
                left = (await self._receive())["type"] == "http.disconnect"
            if left:
                self._leave()
            elif self._stalled():
                self.drop()
            else:
                with anyio.move_on_after(self._stall) as patience:
                    await self._due()
                if patience.cancelled_caught:
                    self.drop()
        if self._goes_on and self._late is not None and not self.started:
            await anyio.sleep(max(0.0, self._late[0] - self._time()))
            await self._late[1]()  # for those who follow

    def _delay(self) -> float | None:
        now = self._time()
        due: list[float] = []
        if self._late is not None and not self.started:
            due.append(self._late[0])
        if self._writing is not None:
            due.append(self._writing + self._stall)
        elif self._heartbeat is not None and self.started:
            due.append(self._next_beat(self._heartbeat))
        elif self._heartbeat is not None:
            due.append(now + self._heartbeat.seconds)
        return max(0.001, min(due) - now) if due else None

    def _next_beat(self, heartbeat: Heartbeat) -> float:
        return (self._last_beat if heartbeat.steady else self._last_write) + heartbeat.seconds

    async def _due(self) -> None:
        if not self.started:
            if self._late is not None and self.late:
                await self._late[1]()
            return
        heartbeat = self._heartbeat
        if heartbeat is None or self.finished or self._writing is not None:
            return
        if self._time() >= self._next_beat(heartbeat):
            self._last_beat = self._time()
            await self.write(heartbeat.frame)

    def _stalled(self) -> bool:
        return self._writing is not None and self._time() - self._writing >= self._stall

    def _leave(self) -> None:
        if not self.gone:
            self.gone = True
            self._goes_on = self._on_gone()
