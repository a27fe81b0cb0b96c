"""HTTP endpoints that go wrong in one way each, chosen by path: ``/401``, ``/404``, ``/503``, ``/silent`` (accepts
and never answers), ``/elsewhere?to=URL`` (redirects), ``/html``, ``/bare`` (no content type), ``/abroad`` (SSE whose
endpoint is on another origin), ``/mute`` (SSE that names no endpoint), ``/probe`` (401 for the newer greeting, 400 for
the older), ``/scope``, ``/echo`` and ``/long`` (403 with a body: JSON, the credentials, and one without an end).
``/seen`` lists the headers each path got, ``/most`` the most requests that ``/crowd`` held at once.
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
crowd = {"now": 0, "most": 0}


async def refuse(request: Request) -> Response:
    what = request.path_params["what"]
    seen.setdefault(what, []).append(dict(request.headers))
    match what:
        case "probe":
            return Response(status_code=401 if b"server/discover" in await request.body() else 400)
        case "scope":
            error = {"error": "insufficient_scope", "error_description": "the scope `files` is missing"}
            return JSONResponse(error, status_code=403)
        case "echo":
            return Response(f"no access for {request.headers['authorization']}\n[WARN] forged", status_code=403)
        case "long":
            return StreamingResponse(_endless(), status_code=403, media_type="text/plain")
        case "crowd":
            crowd["now"] += 1
            crowd["most"] = max(crowd["most"], crowd["now"])
            await anyio.sleep(0.05)
            crowd["now"] -= 1
            return Response(status_code=503)
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


async def _endless() -> AsyncIterator[str]:
    while True:
        yield "no access " * 1000
        await anyio.sleep(0.01)


async def _events(endpoint: str | None) -> AsyncIterator[str]:
    if endpoint:
        yield f"event: endpoint\ndata: {endpoint}\n\n"
        await anyio.sleep_forever()


async def report(request: Request) -> Response:
    return JSONResponse(crowd if request.url.path == "/most" else seen)


if __name__ == "__main__":
    methods = ["GET", "POST", "DELETE"]
    app = Starlette(routes=[Route("/seen", report), Route("/most", report), Route("/{what}", refuse, methods=methods)])
    serve_app(app, arguments().http or 0, "")
