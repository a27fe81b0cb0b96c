"""Routes whose answers live long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(slots=True, frozen=True)
class Endpoint:
    """An ASGI app around ``answer``. Unlike a plain function as endpoint it keeps nothing of the request while the
    answer is sent, which for a stream may take minutes; failures are the outer layers' business."""

    answer: Callable[[Request], Awaitable[ASGIApp]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.answer(Request(scope, receive, send))
        await response(scope, receive, send)
