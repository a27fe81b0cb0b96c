"""Answers to browsers that ask whether they may ask, in this API's own form."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from aura_py import ids
from aura_py.errors import RequestError
from aura_py.server.envelope import error_response

_EXPOSED = ("x-request-id", "x-chat-session-id", "retry-after", "retry-after-ms", "x-should-retry")


class Cors(CORSMiddleware):
    """Lets pages of these origins use the API; ``*`` is every origin. A question needs no key."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "DELETE", "OPTIONS"),
            allow_headers=("*",),
            expose_headers=_EXPOSED,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code != 200:
            kept = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
            reason = bytes(answer.body).decode()
            answer = error_response(RequestError(f"This page may not ask: {reason}; see `AURA_CORS_ORIGINS`."))
            answer.headers.update(kept)
        answer.headers["x-request-id"] = ids.request_id()
        return answer
