"""Requests to Google's API: addresses, headers and refusals, for chat and embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson

from aura_py.errors import ProviderError
from aura_py.llm.gemini.stream import failure
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.transport import HttpClient, HttpResponse, join_url

ADDRESS = "https://generativelanguage.googleapis.com"
_DEFAULT_VERSION = "v1"
_VERSIONS = (_DEFAULT_VERSION, "v1alpha", "v1beta")


class GeminiClient:
    """One address and key. Connects with the first call."""

    def __init__(self, api_key: str, base_url: str | None) -> None:
        self._client = HttpClient()
        address = base_url or ADDRESS
        path = address.partition("?")[0].rstrip("/")
        self._base = address
        self._version = "" if path.rpartition("/")[2] in _VERSIONS else f"/{_DEFAULT_VERSION}"
        self._headers = {"x-goog-api-key": api_key}

    def post(
        self, errors: ProviderErrors, path: str, body: bytes, query: str = ""
    ) -> AbstractAsyncContextManager[HttpResponse]:
        """Send ``body``; raises :class:`ProviderError` when the API cannot be reached or answers with an error."""
        url = join_url(self._base, f"{self._version}/{path}", query)
        return self._client.post(errors, url, self._headers, body, refusal=_refused)

    async def aclose(self) -> None:
        await self._client.aclose()


def model_path(model: str) -> str:
    return model if "/" in model else f"models/{model}"


def _refused(errors: ProviderErrors, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    value = value[0] if isinstance(value, list) and value else value
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        error = failure(errors, {**value["error"], "code": status})
        if error.retry_after is None:
            error.retry_after = errors.status(status, "", headers).retry_after
        return error
    return errors.status(status, body.decode(errors="replace"), headers)
