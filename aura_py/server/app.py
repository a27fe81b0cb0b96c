"""The ASGI application: routes and the layers around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from aura_py.errors import AuraError, MethodNotAllowed, PathNotFound, RequestError
from aura_py.server.access import AccessMiddleware
from aura_py.server.chat import chat_completions
from aura_py.server.cors import Cors
from aura_py.server.envelope import error_response
from aura_py.server.health import health, live, ready
from aura_py.server.info import info
from aura_py.server.models import get_model, list_models
from aura_py.server.openapi import openapi
from aura_py.server.response_writer import BODY_SEND
from aura_py.server.responses import create_response, stored_response
from aura_py.server.runs import get_run
from aura_py.server.state import ServerState


class App(Starlette):
    """Keeps the server's own ``send`` at hand: the layers below wrap it, once each, for the start of a response, and
    a stream would pay for all of them with every write."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[BODY_SEND] = send
        await super().__call__(scope, receive, send)


def create_app(state: ServerState) -> Starlette:
    """The app over running services. Starting and stopping them is the caller's (``lifecycle``)."""
    layers = []
    if state.settings.cors_origins:
        layers.append(Middleware(Cors, origins=state.settings.cors_origins))
    layers.append(Middleware(AccessMiddleware, state=state))
    app = App(
        routes=[  # tried in this order, so the busy ones come first
            Route("/v1/chat/completions", Endpoint(chat_completions), methods=["POST"]),
            Route("/v1/responses", Endpoint(create_response), methods=["POST"]),
            Route("/health", health, methods=["GET"]),
            Route("/health/live", live, methods=["GET"]),
            Route("/health/ready", ready, methods=["GET"]),
            Route("/openapi.json", openapi, methods=["GET"]),
            Route("/aura/info", info, methods=["GET"]),
            Route("/aura/runs/{run}", Endpoint(get_run), methods=["GET"]),
            Route("/v1/models", list_models, methods=["GET"]),
            Route("/v1/models/{agent_id:path}", get_model, methods=["GET"]),
            Route("/v1/responses/{rest:path}", stored_response, methods=["GET", "POST", "DELETE"]),
        ],
        middleware=layers,
        exception_handlers={HTTPException: _http_error, AuraError: _aura_error},
    )
    app.router.redirect_slashes = False
    return app


async def _aura_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AuraError)
    return error_response(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"`{request.method} {request.url.path[:200]}`"
    ours: RequestError
    if error.status_code == 404:
        ours = PathNotFound(f"There is nothing at {where}; the API is below `/v1`.")
    elif error.status_code == 405:
        ours = MethodNotAllowed(f"{where} is not possible; this path needs another method.")
    else:
        ours = RequestError(f"{where} cannot be served: {error.detail}.")
    ours.headers = dict(error.headers or {})
    return error_response(ours)


@dataclass(slots=True, frozen=True)
class Endpoint:
    """An ASGI app around ``answer``. Unlike a plain function as endpoint it keeps nothing of the request while the
    answer is sent, which for a stream may take minutes; failures are the outer layers' business."""

    answer: Callable[[Request], Awaitable[ASGIApp]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.answer(Request(scope, receive, send))
        await response(scope, receive, send)
