"""HTTP endpoints that go wrong in one way each, chosen by path: ``/401``, ``/404``, ``/503``, ``/silent`` (accepts
and never answers), ``/elsewhere?to=URL`` (redirects), ``/html``, ``/bare`` (no content type), ``/abroad`` (SSE whose
endpoint is on another origin), ``/mute`` (SSE that names no endpoint). ``/seen`` lists the headers each path got.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.servers.serving import arguments, serve_app

seen: dict[str, list[dict[str, str]]] = {}


async def refuse(request: Request) -> Response:
    what = request.path_params["what"]
    seen.setdefault(what, []).append(dict(request.headers))
    match what:
        case "silent":
            await anyio.sleep_forever()
        case "elsewhere":
            return RedirectResponse(request.query_params["to"], status_code=307)
        case "html":
            return Response("<p>hello</p>", media_type="text/html")
        case "bare":
            return Response(b"", headers={})
        case "abroad":
            return StreamingResponse(_events("http://127.0.0.2:9/messages"), media_type="text/event-stream")
        case "mute":
            return StreamingResponse(_events(None), media_type="text/event-stream")
    return Response("refused", status_code=int(what))


async def _events(endpoint: str | None) -> AsyncIterator[str]:
    if endpoint:
        yield f"event: endpoint\ndata: {endpoint}\n\n"
        await anyio.sleep_forever()


async def report(_request: Request) -> Response:
    return JSONResponse(seen)


if __name__ == "__main__":
    methods = ["GET", "POST", "DELETE"]
    app = Starlette(routes=[Route("/seen", report), Route("/{what}", refuse, methods=methods)])
    serve_app(app, arguments().http or 0, "")
