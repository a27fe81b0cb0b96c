"""A response's way to its client: writes, heartbeats, disconnects, stalled readers.

A response has one task beside its writer. It waits for the disconnect and wakes for whatever is due next: a heartbeat,
or the judgement that the reader has stalled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio
from starlette.types import Receive, Scope, Send

from aura_py.run.recording import ResponseRecording

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


class ResponseWriter:
    """Writes one response.

    ``on_gone`` is called once, when the client has left or was dropped; it says whether the writer goes on, for those
    who follow the ``recording``. What is written after that goes nowhere else.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        on_gone: Callable[[], bool],
        recording: ResponseRecording | None = None,
        heartbeat: Heartbeat | None = None,
        stall: float = 60.0,
    ) -> None:
        self._abort: Callable[[], None] | None = (scope.get("extensions") or {}).get(ABORT)
        self._receive = receive
        self._send = send
        self._send_body: Send = scope.get(BODY_SEND, send)
        self._on_gone = on_gone
        self._recording = recording
        self._heartbeat = heartbeat
        self._stall = stall
        self._time = asyncio.get_running_loop().time
        self._writing: float | None = None
        self._last_write = self._last_beat = self._time()
        self._scope: anyio.CancelScope | None = None
        self.started = False
        self.finished = False
        self.gone = False

    async def serve(self, write: Callable[[], Awaitable[None]]) -> None:
        """Runs ``write`` while the client is watched; returns when it is done or the client gone for good."""
        async with anyio.create_task_group() as tasks:
            self._scope = tasks.cancel_scope
            tasks.start_soon(self._watch)
            await write()
            tasks.cancel_scope.cancel()

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        if self._recording is not None:
            self._recording.start((status, headers))
        if self.gone:
            return
        self.started = True
        self._last_beat = self._time()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """One write to the socket; waits while the client reads slowly."""
        if self._recording is not None:
            self._recording.append(data, last=last)
        if not self.gone:
            await self._write(data, last=last)

    async def _write(self, data: bytes, *, last: bool = False) -> None:
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
        if self._abort is None:  # what waits to be written would wait for ever
            self._stop()

    # --- the watching task -----------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while not self.gone:
            left = False
            with anyio.move_on_after(self._delay()):
                left = (await self._receive())["type"] == "http.disconnect"
            if left:
                self._leave()
            elif self._writing is not None and self._time() - self._writing >= self._stall:
                self.drop()
            else:
                with anyio.move_on_after(self._stall) as patience:
                    await self._beat()
                if patience.cancelled_caught:
                    self.drop()

    def _delay(self) -> float:
        now = self._time()
        if self._writing is not None:
            due = self._writing + self._stall
        elif self._heartbeat is None:
            due = now + self._stall
        elif self.started:
            due = self._next_beat(self._heartbeat)
        else:
            due = now + self._heartbeat.seconds
        return max(0.001, due - now)

    def _next_beat(self, heartbeat: Heartbeat) -> float:
        return (self._last_beat if heartbeat.steady else self._last_write) + heartbeat.seconds

    async def _beat(self) -> None:
        heartbeat = self._heartbeat
        if heartbeat is None or not self.started or self.finished or self._writing is not None:
            return
        if self._time() >= self._next_beat(heartbeat):
            self._last_beat = self._time()
            await self._write(heartbeat.frame)

    def _leave(self) -> None:
        if not self.gone:
            self.gone = True
            if not self._on_gone():
                self._stop()

    def _stop(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
