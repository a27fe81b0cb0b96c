"""``GET /health``."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from aura_py import __version__
from aura_py.server.state import state_of
from aura_py.server.wire_json import to_json

A2A_VERSION = "1.0"


async def health(request: Request) -> Response:
    """200 while the server is not shutting down. ``reload`` appears when the last reload changed nothing."""
    body: dict[str, object] = {
        "status": "healthy",
        "timestamp": datetime.now(UTC).isoformat(),
        "aura_version": __version__,
        "a2a_server": {"version": A2A_VERSION},
        "session_store": {"backend": "memory", "ping": {"ok": True, "latency_ms": 0}},
    }
    problem = state_of(request).reload_problem
    if problem is not None:
        body["reload"] = {"ok": False, "error": problem}
    return Response(to_json(body), media_type="application/json")
