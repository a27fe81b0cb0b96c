"""A hand-written server of protocol revision 2025-06-18 that keeps every message it gets.

``--record FILE`` appends each message as one JSON line. ``--hang-up`` ends the process at a greeting it does not
know, as some servers do; ``--deaf`` leaves it without an answer, and ``--spoilt`` refuses everything after it as well.
``--expire N`` forgets the HTTP session after N calls. ``--label`` marks empty acknowledgements as JSON. Over HTTP the
session header is required.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.servers.serving import arguments, serve_app

Json = dict[str, Any]

NESTED = {"type": "object", "properties": {"depth": {"type": "integer"}, "label": {"type": "string"}}}
PAGES: list[list[Json]] = [
    [
        {
            "name": "search logs",
            "description": "Finds lines",
            "inputSchema": {
                "type": "object",
                "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}, "options": NESTED},
                "required": ["query"],
            },
        },
        {"name": "wait", "inputSchema": {"type": "object", "properties": {"seconds": {"type": "number"}}}},
    ],
    [
        {"name": "größe", "inputSchema": {"type": "object"}},
        {"name": "gr\u00fc\u00dfe", "inputSchema": {"type": "object"}},
        {"name": "x" * 80, "inputSchema": {"type": "object"}},
    ],
    [
        {"name": "hopeless", "inputSchema": {"type": "string"}},
        {"name": "bare"},
        {"name": "refuse", "inputSchema": {"type": "object"}},
        {"name": "chatter", "inputSchema": {"type": "object"}},
        {"name": "environment", "inputSchema": {"type": "object"}},
        {"name": "grow", "inputSchema": {"type": "object"}},
        {
            "name": "liar",
            "inputSchema": {"type": "object"},
            "outputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
        },
    ],
]


class Desk:
    """Answers messages. ``send`` writes to the client."""

    def __init__(self, record: str | None) -> None:
        self.record = Path(record) if record else None
        self.pages = PAGES

    def answer(self, message: Json, send: Any) -> Json | None:
        if self.record:
            with self.record.open("a") as lines:
                lines.write(json.dumps(message) + "\n")
        match message.get("method"):
            case "initialize":
                result: Json = {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {"tools": {"listChanged": True}},
                    "serverInfo": {"name": "legacy", "version": "1"},
                }
            case "ping":
                result = {}
            case "tools/list":
                page = int(message.get("params", {}).get("cursor", 0))
                result = {"tools": self.pages[page]}
                if page + 1 < len(self.pages):
                    result["nextCursor"] = str(page + 1)
            case "tools/call":
                return self.call(message, send)
            case _ if "id" not in message:
                return None
            case method:
                return failure(message, -32601, f"no method {method}")
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}

    def call(self, message: Json, send: Any) -> Json | None:
        name, given = message["params"]["name"], message["params"].get("arguments", {})
        token = message["params"]["_meta"]["progressToken"]
        match name:
            case "wait":
                threading.Thread(target=self.later, args=(message, given["seconds"], send), daemon=True).start()
                return None
            case "refuse":
                return failure(message, -32602, "the arguments are wrong " + "!" * 20_000)
            case "chatter":
                for step in range(50):
                    send(progress(token, step))
                send(text(message, "done"))
                send(progress(token, 99))
                return None
            case "environment":
                return text(message, json.dumps(dict(os.environ)))
            case "liar":
                answer = text(message, "many")
                answer["result"]["structuredContent"] = {"n": "many"}
                return answer
            case "grow":
                late = {"name": "late", "inputSchema": {"type": "object"}}
                self.pages = [*self.pages[:-1], [*self.pages[-1], late]]
                send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        return text(message, json.dumps({"name": name, "arguments": given}))

    def later(self, message: Json, seconds: float, send: Any) -> None:
        time.sleep(seconds)
        send(text(message, "waited"))


def progress(token: int, step: int) -> Json:
    params = {"progressToken": token, "progress": step, "total": 50}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}


def text(message: Json, answer: str) -> Json:
    return {"jsonrpc": "2.0", "id": message["id"], "result": {"content": [{"type": "text", "text": answer}]}}


def failure(message: Json, code: int, problem: str) -> Json:
    return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": code, "message": problem}}


def over_stdio(desk: Desk, *, hang_up: bool, deaf: bool, spoilt: bool) -> None:
    lock = threading.Lock()
    greeted = False

    def send(message: Json) -> None:
        with lock:
            sys.stdout.write(json.dumps(message) + "\n")
            sys.stdout.flush()

    print("the legacy server has started", file=sys.stderr, flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if hang_up and message.get("method") == "server/discover":
            return
        if (deaf or spoilt) and message.get("method") == "server/discover":
            greeted = True
            continue
        if spoilt and greeted:
            send(failure(message, -32600, "the first request must be initialize"))
            continue
        answer = desk.answer(message, send)
        if answer is not None:
            send(answer)


def over_http(desk: Desk, port: int, *, expire: int, label: bool) -> None:
    sessions: dict[str, int] = {}

    async def endpoint(request: Request) -> Response:
        if request.method != "POST":
            return Response(status_code=405)
        message = await request.json()
        session = request.headers.get("mcp-session-id")
        if message.get("method") == "initialize":
            session = uuid.uuid4().hex
            sessions[session] = 0
            return JSONResponse(desk.answer(message, lambda _m: None), headers={"Mcp-Session-Id": session})
        if session is None:
            return Response("no session", status_code=400)
        if session not in sessions:
            return Response("unknown session", status_code=404)
        if "id" not in message:
            desk.answer(message, lambda _m: None)
            kind = "application/json" if label else None
            return Response(status_code=202, media_type=kind)
        if message["method"] == "tools/call":
            if expire and sessions[session] >= expire:
                del sessions[session]
                return Response("unknown session", status_code=404)
            sessions[session] += 1
        sent: list[Json] = []
        answer = desk.answer(message, sent.append)
        while answer is None and not sent:  # noqa: ASYNC110  # a thread of the desk answers later
            await anyio.sleep(0.02)
        return JSONResponse(answer or sent[-1])

    routes = [Route("/mcp", endpoint, methods=["GET", "POST", "DELETE"])]
    serve_app(Starlette(routes=routes), port)


if __name__ == "__main__":
    chosen = arguments("hang-up", "deaf", "spoilt", "label", options=("record", "expire"))
    desk = Desk(chosen.record)
    if chosen.http is not None:
        over_http(desk, chosen.http, expire=int(chosen.expire or 0), label=chosen.label)
    else:
        over_stdio(desk, hang_up=chosen.hang_up, deaf=chosen.deaf, spoilt=chosen.spoilt)
