"""``GET /openapi.json``. What the document is made of is imported when somebody asks for it."""

from __future__ import annotations

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response


async def openapi(_request: Request) -> Response:
    """The document, without a key."""
    return Response(await anyio.to_thread.run_sync(_serialised), media_type="application/json")


def _serialised() -> bytes:
    from aura_py.server.openapi.document import serialised

    return serialised()
