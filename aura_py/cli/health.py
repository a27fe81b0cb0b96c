"""`aura health`: a probe for containers, without curl."""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

import click

from aura_py.cli import exits
from aura_py.cli.terminal import printable

_MOST_BYTES = 64 * 1024
_PARTS = {
    "mcp_servers": "MCP servers that cannot be reached",
    "vector_stores": "vector stores that fail",
}
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


@click.command("health", short_help="Ask a running server whether it is ready.")
@click.argument("url", required=False)
@click.option("--live", is_flag=True, help="Ask only whether the process answers.")
@click.option("--timeout", type=click.FloatRange(0.1, 300), default=5.0, show_default=True, help="Seconds to wait.")
def command(url: str | None, live: bool, timeout: float) -> int:
    """Ask the server at URL whether it is ready: status 0 when it is (or is degraded), 1 when it is not.

    Without URL it is the server on this machine, on the port that `PORT` names (default 8080).
    """
    address = url or _local()
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if parts.scheme not in ("http", "https") or not host:
        raise click.UsageError(f"`{printable(address)}` is not a URL like http://127.0.0.1:8080.")
    connection = (HTTPSConnection if parts.scheme == "https" else HTTPConnection)(host, port, timeout=timeout)
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/health/{'live' if live else 'ready'}")
        answer = connection.getresponse()
        status, body = answer.status, answer.read(_MOST_BYTES)
    except (OSError, HTTPException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        click.echo(f"error: no answer from {where}: {reason}", err=True)
        return exits.FAILED
    finally:
        connection.close()
    click.echo(_summary(status, body))
    return exits.OK if status == 200 else exits.FAILED


def _local() -> str:
    host = os.environ.get("HOST", "").strip()
    host = _EVERYWHERE.get(host, host)
    port = os.environ.get("PORT", "").strip() or "8080"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _summary(status: int, body: bytes) -> str:
    """What the server says of itself, on one line."""
    try:
        found = json.loads(body)
        word = found["status"]
        details = [
            f"{what}: {', '.join(map(str, found[key]['failed']))}"
            for key, what in _PARTS.items()
            if key in found and found[key]["failed"]
        ]
        if found.get("draining"):
            details.append("shutting down")
        if "reload" in found and not found["reload"]["ok"]:
            details.append("the last reload changed nothing")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return f"unexpected answer: status {status}"
    return printable(f"{word}" + (f": {'; '.join(details)}" if details else ""))
