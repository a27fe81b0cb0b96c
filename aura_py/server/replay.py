"""The response to a repeated request: what the first one got, while and after it gets it."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from aura_py.errors import Conflict
from aura_py.server.outlet import Heartbeat, Outlet
from aura_py.server.run_stream import Pace, respond_with_error
from aura_py.server.sse.frames import PING
from aura_py.server.tape import Tape


@dataclass(slots=True)
class Replay:
    """ASGI response that plays a tape from its beginning."""

    tape: Tape
    stream: bool
    pace: Pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        def left() -> bool:
            outlet.stop()
            return False

        heartbeat = Heartbeat(PING, self.pace.heartbeat) if self.stream else None
        outlet = Outlet(scope, receive, send, on_gone=left, heartbeat=heartbeat, stall=self.pace.stall)

        async def play() -> None:
            await self.tape.wait_for_head()
            if self.tape.head is None:
                await respond_with_error(outlet, _ended(), {}, debug=False)
                return
            status, headers = self.tape.head
            await outlet.start(status, headers)
            async with aclosing(self.tape.frames()) as frames:
                async for frame in frames:
                    await outlet.write(frame)
            if self.tape.complete:
                await outlet.write(b"", last=True)
            else:
                outlet.drop()

        with self.tape.following():
            await outlet.serve(play)


def _ended() -> Conflict:
    error = Conflict("The request that this one repeats ended without an answer; send it again.")
    error.headers = {"x-should-retry": "true", "retry-after": "1"}
    return error
