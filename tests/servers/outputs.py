"""A server whose tools return large and odd outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mcp.server.mcpserver import MCPServer

from tests.servers.serving import serve

server = MCPServer("outputs", log_level="WARNING")
_LEVELS = ("INFO", "WARN", "ERROR")


def large_json(size: int) -> str:
    """About 220 bytes an item."""
    results = [
        {
            "id": number,
            "name": f"resource-{number:06}-of-the-collection",
            "status": ("active", "inactive", "pending")[number % 3],
            "metadata": {"score": number / 7, "tags": ["alpha", "beta", f"tag-{number % 10}"]},
            "details": {"region": f"region-{number % 5}", "version": f"1.{number % 20}.0"},
        }
        for number in range(size)
    ]
    return json.dumps({"results": results, "total": size, "query": "everything"})


def log_lines(count: int) -> Iterator[str]:
    for number in range(count):
        yield (
            f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z "
            f"{_LEVELS[number % 3]} worker-{number % 8} handled request {number} in {number * 7 % 997} ms"
        )


def boundary_json(target_bytes: int) -> str:
    shell = json.dumps({"data": ""})
    return json.dumps({"data": "x" * max(0, target_bytes - len(shell))})


def nested_json() -> str:
    nodes: list[dict[str, Any]] = []
    for number in range(12):
        node: dict[str, Any] = {"id": f"node-{number}", "status": "ok"}
        if number % 4 == 0:
            node |= {"status": "failed", "error": {"code": 500 + number, "message": "disk full"}}
        if number % 3 == 0:
            node["metrics"] = {"cpu": number / 12, "memory": number * 1024}
        if number % 2 == 0:
            node["labels"] = {"zone": f"z{number % 3}", "tier": "web"}
        nodes.append(node)
    return json.dumps({"cluster": "c1", "nodes": nodes, "summary": {"total": 12, "failed": 3}})


def deep_json(levels: int) -> str:
    return '{"deep": ' * levels + '"bottom"' + "}" * levels


def huge_numbers() -> str:
    return (
        '{"numbers": [123456789012345678901234567890, 1e400, 0.1000000000000000055511151231257827, -0, 1.50], '
        '"rows": [' + ", ".join(f'{{"n": {10**30 + number}}}' for number in range(200)) + "]}"
    )


@server.tool(structured_output=False)
def sp_get_large_json(size: int = 2000) -> str:
    """A large collection as JSON."""
    return large_json(size)


@server.tool(structured_output=False)
def sp_get_large_text(size: int = 1500) -> str:
    """A large log."""
    return "\n".join(log_lines(size))


@server.tool(structured_output=False)
def sp_get_small_json() -> str:
    """A small JSON object."""
    return '{"status": "ok", "count": 42}'


@server.tool(structured_output=False)
def sp_get_small_text() -> str:
    """A short text."""
    return "Everything is in best order."


@server.tool(structured_output=False)
def sp_get_boundary_json(target_bytes: int = 500) -> str:
    """JSON of an exact size in bytes."""
    return boundary_json(target_bytes)


@server.tool(structured_output=False)
def sp_get_nested_json() -> str:
    """Twelve nodes that differ in their keys."""
    return nested_json()


@server.tool(structured_output=False)
def json_of(kilobytes: int) -> str:
    """JSON of about so many kilobytes."""
    return large_json(max(1, kilobytes * 1000 // 235))


@server.tool(structured_output=False)
def logs_of(kilobytes: int) -> str:
    """A log of about so many kilobytes."""
    return "\n".join(log_lines(max(1, kilobytes * 1000 // 74)))


@server.tool(structured_output=False)
def one_line(megabytes: int = 40) -> str:
    """One line, with ``needle`` in the middle."""
    half = megabytes * 500_000
    return "x y " * (half // 4) + "needle" + " z w" * (half // 4)


@server.tool(structured_output=False)
def odd_bytes() -> str:
    """Bytes that are no UTF-8, as a careless server decodes them, with controls and special tokens."""
    raw = bytes(range(256)) * 40 + b"<|endoftext|>" * 20
    return "\n".join(raw.decode("utf-8", "replace").splitlines()) + "\u2028end\x00\ufffd"


@server.tool(structured_output=False)
def deep(levels: int = 10_000) -> str:
    """JSON nested so many levels deep."""
    return deep_json(levels)


@server.tool(structured_output=False)
def numbers() -> str:
    """Numbers that no float holds."""
    return huge_numbers()


@server.tool(structured_output=False)
def fails() -> str:
    """Fails with a long message."""
    raise ValueError("the back end is broken " * 500)


if __name__ == "__main__":
    serve(server)
