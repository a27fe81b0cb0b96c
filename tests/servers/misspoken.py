"""A hand-written HTTP server of revision 2025-06-18 that gives the answer named by the called tool.

Each tool is one way to answer a call wrongly, or not at all. ``/`` tells the method and JSON-RPC method of everything
it was asked. ``--restless`` ends its event stream at once, time after time, and asks to be asked again without delay.
``--moved`` answers everything under another path of the same origin. The tool ``forget`` ends all sessions, as a
restart does; requests that name one of them are then refused with the ``status``, ``kind`` and ``body`` it was given.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from tests.servers.serving import arguments

Json = dict[str, Any]

OTHER = {"content": [{"type": "text", "text": "of another call"}]}
ANSWERS: dict[str, tuple[str, str, bytes | Json | None]] = {
    "other_id": ("200 OK", "application/json", {"id": 4711, "result": OTHER}),
    "no_id": ("200 OK", "application/json", {"id": None, "error": {"code": -32603, "message": "out of paper"}}),
    "notification": ("200 OK", "application/json", {"method": "notifications/message", "params": {}}),
    "page": ("200 OK", "text/html", b"<p>hello</p>"),
    "no_json": ("200 OK", "application/json", b"{nope"),
    "nothing": ("204 No Content", "", b""),
    "accepted": ("202 Accepted", "application/json", b""),
    "torn": ("200 OK", "application/json", None),
    "torn_error": ("500 Internal Server Error", "application/json", None),
    "no_gzip": ("200 OK", "application/json\r\ncontent-encoding: gzip", b"plain"),
    "no_event": ("200 OK", "text/event-stream", b"data: {nope\n\n"),
    "no_answer": ("200 OK", "text/event-stream", b": nothing\n\n"),
    "forbidden": ("403 Forbidden", "text/html", b"<p>no</p>"),
    "argument": (
        "400 Bad Request",
        "application/json",
        {"id": None, "error": {"code": -32602, "message": "session_id is required"}},
    ),
    "refused": ("403 Forbidden", "application/json", b'{"detail": "the scope `write` is missing"}'),
    "elsewhere": ("307 Temporary Redirect", "text/html\r\nlocation: http://127.0.0.2:9/mcp", b""),
    "text_id": ("200 OK", "application/json", {"id": "same", "result": {"content": [{"type": "text", "text": "ok"}]}}),
}
SILENT = ("silent", "silent_stream")


class Server:
    def __init__(self, *, restless: bool, moved: bool) -> None:
        self.asked: Counter[str] = Counter()
        self.restless, self.moved = restless, moved
        self.session = 1
        self.refusal: tuple[str, str, str] = ("404 Not Found", "text/plain", "")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self.answer(reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        length = next((int(line[15:]) for line in head if line.lower().startswith("content-length:")), 0)
        message: Json = json.loads(await reader.readexactly(length) or b"{}")

        def send(status: str, kind: str, body: bytes | Json) -> None:
            if isinstance(body, dict):
                body = json.dumps({"jsonrpc": "2.0", **body}).encode()
            kind = f"content-type: {kind}\r\n" if kind else ""
            writer.write(f"HTTP/1.1 {status}\r\n{kind}content-length: {len(body)}\r\n\r\n".encode() + body)

        def result(value: Json) -> None:
            kind = f"application/json\r\nMcp-Session-Id: session-{self.session}"
            send("200 OK", kind, {"id": message["id"], "result": value})

        if path == "/":
            send("200 OK", "application/json", dict(self.asked))
            return
        self.asked[f"{method} {message.get('method', '')}".strip()] += 1
        session = next((line[16:] for line in head if line.lower().startswith("mcp-session-id: ")), None)
        if session not in (None, f"session-{self.session}"):
            status, kind, body = self.refusal
            send(status, kind, body.replace("ID", str(message.get("id"))).encode())
            return
        if self.moved and path == "/mcp":
            send("307 Temporary Redirect", "text/plain\r\nlocation: /mcp/", b"")
            return
        match method, message.get("method"):
            case "GET", _ if self.restless:
                send("200 OK", "text/event-stream", b"retry: 0\n\n")
            case "GET", _:
                send("405 Method Not Allowed", "text/plain", b"")
            case "DELETE", _:
                send("200 OK", "text/plain", b"")
            case _, "initialize":
                about = {"name": "misspoken", "version": "1"}
                result({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": about})
            case _, "tools/list":
                names = (*ANSWERS, *SILENT, "right", "forget", "reader")
                tools: list[Json] = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
                tools[-1]["annotations"] = {"readOnlyHint": True}
                result({"tools": tools})
            case _, "tools/call":
                await self.call(message, writer, send)
            case _ if "id" in message:
                send("200 OK", "application/json", {"id": message["id"], "error": {"code": -32601, "message": "?"}})
            case _:
                send("202 Accepted", "application/json", b"")

    async def call(self, message: Json, writer: asyncio.StreamWriter, send: Any) -> None:
        name, message_id = message["params"]["name"], message["id"]
        self.asked[name] += 1
        if name == "silent_stream":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: still here\n\n")
            await writer.drain()
        if name in SILENT:
            await asyncio.Event().wait()
        if name == "forget":
            given = message["params"]["arguments"]
            self.refusal = (given["status"], given["kind"], given["body"])
        if name in ("right", "forget", "reader"):
            send("200 OK", "application/json", {"id": message_id, "result": {"content": []}})
            self.session += name == "forget"
            return
        status, kind, body = ANSWERS[name]
        if body is None:
            writer.write(f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: 900\r\n\r\n{{".encode())
            await writer.drain()
            raise ConnectionResetError
        if isinstance(body, dict) and body.get("id") == "same":
            body = {**body, "id": str(message_id)}
        send(status, kind, body)


async def main() -> None:
    chosen = arguments("restless", "moved")
    server = Server(restless=chosen.restless, moved=chosen.moved)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", chosen.http or 0)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/mcp", flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
