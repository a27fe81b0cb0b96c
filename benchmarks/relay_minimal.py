"""The smallest proxy that one would write: Starlette in front, aiohttp behind, bytes untouched."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route


def application(upstream: int) -> Starlette:
    url = f"http://127.0.0.1:{upstream}/v1/chat/completions"
    clients: list[aiohttp.ClientSession] = []

    async def complete(request: Request) -> StreamingResponse:
        if not clients:
            clients.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        response = await clients[0].post(url, data=await request.body())

        async def pieces() -> AsyncIterator[bytes]:
            async with response:
                async for piece in response.content.iter_any():
                    yield piece

        return StreamingResponse(pieces(), media_type="text/event-stream")

    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(application(int(sys.argv[2])), port=int(sys.argv[1]), log_level="error", lifespan="off", loop="uvloop")
