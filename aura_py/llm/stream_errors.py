"""Errors that come inside a stream, where there is no HTTP status: which object is one, and what it stands for."""

from __future__ import annotations

from collections.abc import Mapping

from aura_py.errors import ProviderError
from aura_py.llm.json_text import to_json
from aura_py.llm.provider_errors import ProviderErrors, is_context_overflow

_STATUS = {
    "invalid_request_error": 400,
    "content_filter": 400,
    "invalid_prompt": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_STATUS_KEYS = ("code", "status", "status_code", "type")
_ERROR_KEYS = ("error", "errors", "detail", "message", "msg", "error_message", "error_msg")
_OBJECTS = ("error", "errors", "detail")


def stated_error(event: Mapping[str, object]) -> object:
    """What an event that carries nothing of an answer says went wrong, under any key; ``None`` when it says nothing."""
    if event.get("object") == "error" or event.get("type") == "error" or event.get("success") is False:
        return event.get("error") or event
    for key in _ERROR_KEYS:
        value = event.get(key)
        if value and (isinstance(value, str) or key in _OBJECTS):
            return value if key == "error" else event
    return None


def stream_error(errors: ProviderErrors, error: object, *, retry_after: float | None = None) -> ProviderError:
    """The error for what a stream says about itself."""
    text = error if isinstance(error, str) else to_json(error).decode()
    status = _status(error)
    if status != 429 and is_context_overflow(text):
        return errors.overflow(text, status=status)
    return errors.status(status or 500, text, retry_after=retry_after)


def _status(error: object) -> int | None:
    if not isinstance(error, Mapping):
        return None
    for key in _STATUS_KEYS:
        value = error.get(key)
        if isinstance(value, str):
            digits = len(value) == 3 and value.isascii() and value.isdigit()
            value = int(value) if digits else _STATUS.get(value)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return next((status for key in _OBJECTS if (status := _status_within(error.get(key)))), None)


def _status_within(value: object) -> int | None:
    return _status(value[0] if isinstance(value, list) and value else value)
