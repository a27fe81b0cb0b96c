"""How a test server is reached: stdio by default, ``--http PORT`` or ``--sse PORT`` (0 picks a free port).

Over HTTP the first line on stdout is the endpoint's URL, printed once the socket listens.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable
from typing import Any

import anyio
import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.types import ASGIApp


def arguments(*flags: str, options: tuple[str, ...] = ()) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int, metavar="PORT")
    parser.add_argument("--sse", type=int, metavar="PORT")
    for flag in ("json", "stateless", *flags):
        parser.add_argument(f"--{flag}", action="store_true")
    for option in options:
        parser.add_argument(f"--{option}")
    return parser.parse_args()


def serve(server: MCPServer[Any], chosen: argparse.Namespace | None = None) -> None:
    chosen = chosen or arguments()
    if chosen.http is not None:
        serve_app(server.streamable_http_app(json_response=chosen.json, stateless_http=chosen.stateless), chosen.http)
    elif chosen.sse is not None:
        serve_app(server.sse_app(), chosen.sse, "/sse")
    else:
        server.run("stdio")


def serve_app(app: ASGIApp, port: int, path: str = "/mcp", on_ready: Callable[[str], None] = lambda _url: None) -> None:
    # asyncio turns Nagle's algorithm off only for sockets that say they are TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
        print(url, flush=True)
        on_ready(url)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        anyio.run(lambda: uvicorn.Server(config).serve(sockets=[listener]))
