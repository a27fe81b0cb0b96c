"""Errors as clients read them: one envelope for everything that is not a 2xx."""

from __future__ import annotations

import math
from typing import Final

from starlette.responses import Response

from aura_py.errors import AuraError, ProviderError, RunTimeout
from aura_py.server.wire_json import to_json

_DETAIL_CHARS: Final = 500
_MAX_RETRY_AFTER: Final = 120


def message_of(error: AuraError, *, debug: bool = False) -> str:
    """The sentence for the client. ``debug`` appends what the provider said (``AURA_DEBUG_PROVIDER_ERRORS``)."""
    if not debug or not error.detail or not isinstance(error, ProviderError):
        return error.message
    detail = error.detail if len(error.detail) <= _DETAIL_CHARS else error.detail[:_DETAIL_CHARS] + "…"
    return f"{error.message} ({detail})"


def error_object(error: AuraError, *, debug: bool = False) -> dict[str, object]:
    """``{"error": {message, type, param, code}}``."""
    return {
        "error": {
            "message": message_of(error, debug=debug),
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


def error_response(error: AuraError, *, debug: bool = False, tools_ran: bool = False) -> Response:
    """The envelope under the error's own status.

    Args:
        tools_ran: Tools have run already, so asking again repeats what they did.
    """
    status = error.status
    headers = dict(error.headers)
    retry = error.retryable and not tools_ran
    if status in (429, 503):
        wish = error.retry_after if isinstance(error, ProviderError) else None
        seconds = min(max(1.0, wish or 1.0), _MAX_RETRY_AFTER)
        headers.setdefault("retry-after", str(math.ceil(seconds)))
        headers.setdefault("retry-after-ms", str(round(seconds * 1000)))
    if not retry or isinstance(error, RunTimeout):
        headers.setdefault("x-should-retry", "false")
    elif status >= 500:
        headers.setdefault("x-should-retry", "true")
    return Response(to_json(error_object(error, debug=debug)), status, headers, media_type="application/json")
