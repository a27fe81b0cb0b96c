"""One request with one tool call by hand: Starlette in front, aiohttp behind, the very bytes that Aura would send.

It asks the model, calls the tool over an MCP session that it has opened once, asks again, and passes the answer on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

_ACCEPT = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
_REVISION = "2025-06-18"
_CALL = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"mock_tool","arguments":{"message":"hello"}}}'


def application(model: str, tools: str) -> Starlette:
    clients: list[aiohttp.ClientSession] = []
    session: dict[str, str] = {}
    calls = 0

    async def post(url: str, body: bytes, headers: dict[str, str]) -> bytes:
        async with clients[0].post(url, data=body, headers=headers) as answer:
            return await answer.read()

    async def connect() -> None:
        clients.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        about = {
            "protocolVersion": _REVISION,
            "capabilities": {},
            "clientInfo": {"name": "by-hand", "version": "1"},
        }
        hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": about}
        async with clients[0].post(tools, json=hello, headers=_ACCEPT) as answer:
            await answer.read()
            session.update(_ACCEPT | {"mcp-protocol-version": _REVISION})
            if "mcp-session-id" in answer.headers:
                session["mcp-session-id"] = answer.headers["mcp-session-id"]
        await post(tools, b'{"jsonrpc":"2.0","method":"notifications/initialized"}', session)

    async def complete(request: Request) -> StreamingResponse:
        nonlocal calls
        if not clients:
            await connect()
        body = await request.json()
        json_type = {"content-type": "application/json"}
        asked = await post(model, json.dumps(body).encode(), json_type)
        assert b"tool_calls" in asked
        calls += 1
        outcome = await post(tools, _CALL % calls, session)
        assert b"hello" in outcome
        call = {"id": "call_1", "type": "function", "function": {"name": "mock_tool", "arguments": "{}"}}
        body["messages"] += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Mock tool received: hello"},
        ]
        response = await clients[0].post(model, data=json.dumps(body).encode(), headers=json_type)

        async def pieces() -> AsyncIterator[bytes]:
            async with response:
                async for piece in response.content.iter_any():
                    yield piece

        return StreamingResponse(pieces(), media_type="text/event-stream")

    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])


if __name__ == "__main__":
    app = application(f"http://127.0.0.1:{sys.argv[2]}/v1/chat/completions", sys.argv[3])
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", lifespan="off", loop="uvloop")
