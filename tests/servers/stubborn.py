"""A stdio server that neither the end of its input nor SIGTERM ends, and one tool that never returns."""

from __future__ import annotations

import signal
import threading

from mcp.server.mcpserver import MCPServer

from tests.servers.serving import serve

server = MCPServer("stubborn", version="1.0", log_level="WARNING")


@server.tool()
def hello() -> str:
    """Answers."""
    return "still here"


@server.tool()
def stuck() -> str:
    """Never answers, cancelled or not."""
    threading.Event().wait()
    return "never"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(server)
    threading.Event().wait()
