"""The address, headers and refusals of Google's API, for chat and embeddings."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from aura_py.errors import ProviderError
from aura_py.llm.gemini.stream import google_error
from aura_py.llm.json_text import MALFORMED
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.transport import HttpClient, join_url

ADDRESS = "https://generativelanguage.googleapis.com"
_DEFAULT_VERSION = "v1"
_VERSIONS = (_DEFAULT_VERSION, "v1alpha", "v1beta")


def gemini_client(api_key: str, base_url: str | None, path: str, query: str = "") -> HttpClient:
    """A client for one method of the API; ``base_url`` may end with the API version."""
    address = base_url or ADDRESS
    named = address.partition("?")[0].rstrip("/").rpartition("/")[2] in _VERSIONS
    url = join_url(address, f"/{path}" if named else f"/{_DEFAULT_VERSION}/{path}", query)
    return HttpClient(url, {"x-goog-api-key": api_key}, refusal=_refused)


def model_path(model: str) -> str:
    return model if "/" in model else f"models/{model}"


def _refused(errors: ProviderErrors, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
    plain = errors.status(status, body.decode(errors="replace"), headers)
    try:
        value = orjson.loads(body)
        stated = (value[0] if isinstance(value, list) else value)["error"]
        error = google_error(errors, {**stated, "code": status})
    except MALFORMED:
        return plain
    if error.retry_after is None:
        error.retry_after = plain.retry_after
    return error
