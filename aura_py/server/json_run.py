"""A run as one JSON body, under the same supervision as a stream (``http-api.md`` §9.7, B11)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.types import Receive, Scope, Send

from aura_py.errors import AuraError
from aura_py.events import (
    Event,
    OrchestratorToolCompleted,
    OrchestratorToolStarted,
    RunFailed,
    RunFinished,
    ToolCompleted,
    ToolStarted,
)
from aura_py.run.engine import Run
from aura_py.server.leaving import client_left, serve_run
from aura_py.server.outlet import Outlet
from aura_py.server.run_stream import respond_with_error
from aura_py.server.tape import Tape

logger = logging.getLogger(__name__)

_TOOLS_RAN: Final = (ToolStarted, ToolCompleted, OrchestratorToolStarted, OrchestratorToolCompleted)


class Collector(Protocol):
    """Makes the body. ``add`` sees every batch, the last one included."""

    def add(self, batch: list[Event]) -> None: ...
    def body(self, end: RunFinished) -> bytes: ...


@dataclass(slots=True)
class JsonRun:
    """ASGI response of one run. A client that leaves cancels the run within a second (CX-1), unless it ``stays``."""

    run: Run
    collector: Collector
    headers: Mapping[str, str]
    debug_errors: bool = False
    stall: float = 60.0
    tape: Tape | None = None
    stays: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        def left() -> bool:
            return client_left(self.run, self.tape, stays=self.stays, begun=outlet.started)

        outlet = Outlet(scope, receive, send, on_gone=left, stall=self.stall)

        async def collect() -> None:
            await self._collect(outlet)

        await serve_run(outlet, collect, self.run, self.tape)

    async def _collect(self, outlet: Outlet) -> None:
        tools_ran = False
        end: RunFinished | RunFailed | None = None
        async for batch in self.run.events():
            tools_ran = tools_ran or any(isinstance(event, _TOOLS_RAN) for event in batch)
            self.collector.add(batch)
            if isinstance(batch[-1], RunFinished | RunFailed):
                end = batch[-1]
        if isinstance(end, RunFinished):
            try:
                body = self.collector.body(end)
            except Exception:
                logger.exception("the answer of run `%s` could not be written", self.run.context.request_id)
                end = RunFailed(AuraError("Aura failed while writing the answer; the log has the details."))
            else:
                await self._send(outlet, body)
                return
        error = end.error if end is not None else AuraError("The run ended without an answer.")
        kept = self.tape if self.run.acted else None  # asking again must not do it again
        await respond_with_error(
            outlet, error, self.headers, debug=self.debug_errors, tools_ran=tools_ran or self.run.acted, tape=kept
        )

    async def _send(self, outlet: Outlet, body: bytes) -> None:
        own = {"content-type": "application/json", "content-length": str(len(body)), **self.headers}
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in own.items()]
        if self.tape is not None:
            self.tape.start(200, headers)
            self.tape.append(body, last=True)
        if not outlet.gone:
            await outlet.start(200, headers)
            await outlet.write(body, last=True)
