"""A stdio server that writes what it should not: banners, bytes that are no UTF-8, broken and bottomless JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

TOOLS = (
    "process_id",
    "crash",
    "grandchild",
    "verbatim",
    "many",
    "bad_bytes",
    "surrogate",
    "nested",
    "bottomless",
    "broken",
    "endless",
    "hello",
)


def write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def answer(message_id: object, text: str) -> bytes:
    result = {"content": [{"type": "text", "text": text}]}
    return json.dumps({"jsonrpc": "2.0", "id": message_id, "result": result}).encode()


def call(name: str, message_id: object, arguments: dict[str, Any]) -> None:
    match name:
        case "verbatim":
            write(json.dumps({"jsonrpc": "2.0", "id": message_id, "result": arguments["result"]}).encode() + b"\n")
        case "process_id":
            write(answer(message_id, str(os.getpid())) + b"\n")
        case "crash":
            sys.exit(f"OSError: the disk\x1b[31m is full; the token is {os.environ.get('TOKEN')}")
        case "grandchild":
            quiet = subprocess.DEVNULL if arguments.get("quiet") else None
            command = [sys.executable, "-c", "import time; time.sleep(60)"]
            grandchild = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
            write(answer(message_id, str(grandchild.pid)) + b"\n")
        case "many":
            note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
            write((json.dumps(note).encode() + b"\r\n\n") * int(arguments["count"]) + answer(message_id, "all") + b"\n")
        case "bad_bytes":
            write(answer(message_id, "before MARK after").replace(b"MARK", b"\xff\xfe") + b"\n")
        case "surrogate":
            write(answer(message_id, "before \ud83d after") + b"\n")
        case "nested" | "bottomless":
            levels = 300 if name == "nested" else 20_000
            inner = b'{"a":' * levels + b"1" + b"}" * levels
            whole = answer(message_id, "deep").replace(
                b'"result": {', b'"result": {"structuredContent": ' + inner + b", "
            )
            write(whole + b"\n")
        case "broken":
            write(answer(message_id, "x")[:-5] + b"\n")
        case "endless":
            write(b'{"jsonrpc": "2.0", "id": 1, "result": "')
            while True:
                write(b"x" * 65536)
        case _:
            write(answer(message_id, "hello") + b"\n")


def main() -> None:
    write(b"Starting the server ...\n\xff\xfe\n\n")
    for line in sys.stdin:
        message = json.loads(line)
        message_id = message.get("id")
        match message.get("method"):
            case "initialize":
                result: dict[str, Any] = {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "careless", "version": str(os.getpid())},
                }
            case "tools/list":
                result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}
                result["tools"][TOOLS.index("verbatim")]["outputSchema"] = {
                    "type": "object",
                    "properties": {"rows": {"type": "array", "items": {"type": "integer"}}},
                }
            case "tools/call":
                call(message["params"]["name"], message_id, message["params"].get("arguments", {}))
                continue
            case _ if message_id is None:
                continue
            case _:
                error = {"code": -32601, "message": "unknown"}
                write(json.dumps({"jsonrpc": "2.0", "id": message_id, "error": error}).encode() + b"\n")
                continue
        write(json.dumps({"jsonrpc": "2.0", "id": message_id, "result": result}).encode() + b"\n")
    if "--slow-end" in sys.argv:
        time.sleep(30)


if __name__ == "__main__":
    main()
