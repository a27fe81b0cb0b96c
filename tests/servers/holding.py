"""A hand-written server of the older SSE transport that takes a request only when it has answered it.

``hold`` is answered when ``let_go`` is called; ``cancelled`` tells the reasons of the cancellations so far.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.servers.serving import arguments, serve_app

TOOLS = ("hold", "let_go", "cancelled")
ABOUT = {
    "protocolVersion": "2024-11-05",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "holding", "version": "1"},
}

events: list[asyncio.Queue[str]] = []
held = asyncio.Event()
reasons: list[str] = []


async def listen(_request: Request) -> Response:
    queue: asyncio.Queue[str] = asyncio.Queue()
    events.append(queue)

    async def stream() -> Any:
        yield "event: endpoint\ndata: /messages\n\n"
        while True:
            yield f"event: message\ndata: {await queue.get()}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


async def take(request: Request) -> Response:
    message = await request.json()
    method, params = message.get("method"), message.get("params", {})
    result: dict[str, Any] | None = None
    if method == "initialize":
        result = ABOUT
    elif method == "tools/list":
        result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}
    elif method == "tools/call":
        if params["name"] == "hold":
            await held.wait()
        elif params["name"] == "let_go":
            held.set()
        result = {"content": [{"type": "text", "text": json.dumps(reasons)}]}
    elif method == "notifications/cancelled":
        reasons.append(params["reason"])
    if "id" in message:
        answer = {"result": result} if result is not None else {"error": {"code": -32601, "message": "?"}}
        events[-1].put_nowait(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}))
    return Response(status_code=202)


if __name__ == "__main__":
    routes = [Route("/sse", listen), Route("/messages", take, methods=["POST"])]
    serve_app(Starlette(routes=routes), arguments().sse, "/sse")
