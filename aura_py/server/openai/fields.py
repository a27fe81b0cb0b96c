"""Reading fields of a request body: ``null`` is absent, a wrong type is a 400 that names the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from aura_py.errors import ModelNotFound, RequestError
from aura_py.messages import JsonObject

_LONGEST_MODEL: Final = 1024


def wrong(param: str, expected: str) -> RequestError:
    return RequestError(f"`{param}` must be {expected}.", param=param)


def shown(text: str) -> str:
    """A client's word as a log line may hold it: short, and never a line of its own."""
    return text[:64].encode("unicode_escape").decode()


def text(body: Mapping[str, object], key: str, *, param: str | None = None) -> str | None:
    value = body.get(key)
    if value is None or isinstance(value, str):
        return value
    raise wrong(param or key, "a string")


def model(body: Mapping[str, object]) -> str | None:
    """``model``, which every chunk of a stream repeats; a name of absurd length is nobody's."""
    value = text(body, "model")
    if value is not None and len(value) > _LONGEST_MODEL:
        message = f"The model `{value[:64]}…` does not exist or you do not have access to it."
        raise ModelNotFound(message, param="model")
    return value


def flag(body: Mapping[str, object], key: str) -> bool | None:
    value = body.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise wrong(key, "true or false")


def whole(body: Mapping[str, object], key: str) -> int | None:
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise wrong(key, "a whole number")


def number(body: Mapping[str, object], key: str) -> float | None:
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise wrong(key, "a number")


def table(body: Mapping[str, object], key: str, *, param: str | None = None) -> JsonObject | None:
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, dict):
        return cast(JsonObject, value)
    raise wrong(param or key, "an object")


def array(body: Mapping[str, object], key: str) -> Sequence[object] | None:
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, list):
        return value
    raise wrong(key, "an array")


def string_pairs(body: Mapping[str, object], key: str = "metadata") -> dict[str, str]:
    """Of ``metadata`` what OpenAI defines: up to 16 string pairs of 64 and 512 characters."""
    given = table(body, key) or {}
    pairs = {k: v for k, v in given.items() if isinstance(v, str) and len(k) <= 64 and len(v) <= 512}
    return dict(list(pairs.items())[:16])


def session(body: Mapping[str, object]) -> str | None:
    """``metadata.chat_session_id``; anything but text counts as absent."""
    value = (table(body, "metadata") or {}).get("chat_session_id")
    return value if isinstance(value, str) else None
