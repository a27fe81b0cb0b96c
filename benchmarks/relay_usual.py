"""The usual way: the SDK's objects, a pydantic model per chunk, sse-starlette."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import uvicorn
from openai import AsyncOpenAI
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route


def application(upstream: int) -> Starlette:
    client = AsyncOpenAI(base_url=f"http://127.0.0.1:{upstream}/v1", api_key="none", max_retries=0)

    async def complete(request: Request) -> EventSourceResponse:
        asked = await request.json()

        async def events() -> AsyncIterator[dict[str, str]]:
            stream = await client.chat.completions.create(model="fake", messages=asked["messages"], stream=True)
            async for chunk in stream:
                yield {"data": chunk.model_dump_json()}
            yield {"data": "[DONE]"}

        return EventSourceResponse(events())

    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(application(int(sys.argv[2])), port=int(sys.argv[1]), log_level="error")
