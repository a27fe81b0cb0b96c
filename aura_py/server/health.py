"""``GET /health``, ``/health/live`` and ``/health/ready``, all without a key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import anyio
from starlette.requests import Request
from starlette.responses import Response

from aura_py import __version__
from aura_py.server.state import ServerState, state_of
from aura_py.server.wire_json import to_json

if TYPE_CHECKING:
    from aura_py.knowledge import KnowledgeBase

A2A_VERSION = "1.0"
CHECK_SECONDS: Final = 3.0
"""How long a look at the servers may take; one that has not answered by then counts as failed."""


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
    return _json(body)


async def live(_request: Request) -> Response:
    """200 as long as the event loop answers, also while the server is shutting down."""
    return _json({"status": "alive"})


async def ready(request: Request) -> Response:
    """Whether requests should come here: 503 while shutting down or without a required server or store, else 200.

    ``degraded`` tells what is missing while requests are served all the same. Looking tries again to reach what was
    not there, so that nothing stays missing because nobody asks for it.
    """
    state = state_of(request)
    if state.draining:
        return _json({"status": "not_ready", "draining": True}, 503)
    required, optional = await _failed_servers(state)
    away, failed = await _failed_stores(state)
    reload_ok = state.reload_problem is None
    missing = bool(required) or any(store.config.required for store in away)
    degraded = bool(optional) or bool(failed) or not reload_ok
    body: dict[str, object] = {
        "status": "not_ready" if missing else "degraded" if degraded else "ready",
        "draining": False,
        "agents": len(state.catalog.served),
        "reload": {"ok": reload_ok},
        "mcp_servers": {"failed": sorted({*required, *optional})},
    }
    if failed:
        body["vector_stores"] = {"failed": sorted({store.name for store in failed})}
    return _json(body, 503 if missing else 200)


async def _failed_stores(state: ServerState) -> tuple[list[KnowledgeBase], list[KnowledgeBase]]:
    """Vector stores that do not answer now, and those with any failure; only required and failed ones are asked."""
    pool = state.services.knowledge
    if pool is None:
        return [], []
    found = [pool.get(config, store.name) for config in state.catalog.configs for store in config.vector_stores]
    away: list[KnowledgeBase] = []

    async def look(base: KnowledgeBase) -> None:
        reached = False
        with anyio.move_on_after(CHECK_SECONDS):
            reached = await base.reachable()
        if not reached:
            away.append(base)

    async with anyio.create_task_group() as tasks:
        for base in found:
            if base is not None and (base.config.required or base.state == "failed"):
                tasks.start_soon(look, base)
    return away, [base for base in found if base is not None and (base in away or base.state == "failed")]


async def _failed_servers(state: ServerState) -> tuple[set[str], set[str]]:
    """Names of required and of other servers that cannot be reached."""
    failed = await state.services.failed_servers(state.catalog.configs, seconds=CHECK_SECONDS)
    required = {name for name, server in failed if server.required}
    return required, {name for name, server in failed if not server.required}


def _json(body: dict[str, object], status: int = 200) -> Response:
    return Response(to_json(body), status, media_type="application/json")
