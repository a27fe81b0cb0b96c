"""The outermost layer of the app: request id, shutdown gate, hosts, keys, and the envelope around every failure."""

from __future__ import annotations

import logging
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aura_py import ids
from aura_py.errors import AuraError
from aura_py.server.api_keys import ANONYMOUS
from aura_py.server.envelope import error_response
from aura_py.server.state import PRINCIPAL, REQUEST_ID, STATE, ServerState

logger = logging.getLogger(__name__)

_PROBES: Final = frozenset({"/health/live", "/health/ready"})
"""Paths that answer while the server is shutting down, too."""
_OPEN: Final = _PROBES | {"/health", "/openapi.json"}
"""Paths that need no key."""


class AccessMiddleware:
    """ASGI middleware around all routes, unknown paths included."""

    def __init__(self, app: ASGIApp, state: ServerState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[STATE] = self._state
        request_id = ids.request_id()
        scope[REQUEST_ID] = request_id
        if scope["path"] != "/":
            scope["path"] = scope["path"].rstrip("/") or "/"
        started = False

        async def send_named(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).setdefault("x-request-id", request_id)
            await send(message)

        try:
            if scope["path"] not in _PROBES:
                self._state.check_draining()
            headers = Headers(scope=scope)
            self._state.check_host(headers)
            scope[PRINCIPAL] = ANONYMOUS if scope["path"] in _OPEN else self._state.keys.principal(headers)
            await self._app(scope, receive, send_named)
        except AuraError as error:
            if started:
                raise
            await error_response(error)(scope, receive, send_named)
        except Exception:
            logger.exception("request `%s` failed", request_id)
            if started:
                raise
            failure = AuraError("Aura failed while handling the request; the log has the details.")
            await error_response(failure)(scope, receive, send_named)
