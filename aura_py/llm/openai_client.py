"""Connections to OpenAI-compatible servers: one SDK client per address, key and event loop, shared by all agents."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import anyio

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

    from aura_py.llm.failures import Asked

_MAX_ERROR_BODY = 64 * 1024
_CONNECT_SECONDS: Final = 20.0


@dataclass(slots=True)
class _Shared:
    client: AsyncOpenAI
    users: int = 0


_pool: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], _Shared]] = WeakKeyDictionary()


class Connection:
    """One model's share of a client. The SDK is imported when the first call needs it.

    No SDK retries and no SDK read timeout: both live in ``resilience``, once for all providers.
    """

    def __init__(self, base_url: str, api_key: str, headers: Mapping[str, str] | None = None) -> None:
        self._key = (base_url, api_key)
        self._headers = dict(headers or {})
        self._shared: _Shared | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self, asked: Asked, path: str, body: bytes) -> httpx2.Response:
        """Sends ``body`` and returns the response with its body unread.

        Raises:
            ProviderError: The server cannot be reached or answers with an error.
        """
        if "openai" not in sys.modules:
            await anyio.to_thread.run_sync(import_sdk)
        client = self._client()
        import httpx2
        from openai import APIConnectionError, APIStatusError

        headers = {"content-type": "application/json", "X-Stainless-Raw-Response": "stream", **self._headers}

        async def send() -> httpx2.Response:
            return await client.post(path, cast_to=httpx2.Response, content=body, options={"headers": headers})

        try:
            try:
                return await send()
            except APIConnectionError as error:
                if not _was_stale(error):
                    raise
                return await send()
        except APIStatusError as error:
            raise _refused(asked, error) from error
        # aiohttp's word for an address that it cannot ask with a key, such as one with a password in it.
        except (APIConnectionError, httpx2.HTTPError, OSError, ValueError) as error:
            raise asked.unreachable(error) from error

    async def aclose(self) -> None:
        """Gives the share back; the last one closes the client."""
        shared, self._shared = self._shared, None
        loop, self._loop = self._loop, None
        if shared is None or loop is None:
            return
        shared.users -= 1
        if shared.users == 0:
            clients = _pool.get(loop, {})
            if clients.get(self._key) is shared:
                del clients[self._key]
            await shared.client.close()

    def _client(self) -> AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if self._shared is None or self._loop is not loop:
            clients = _pool.setdefault(loop, {})
            shared = clients.get(self._key)
            if shared is None:
                shared = clients[self._key] = _Shared(_new_client(*self._key))
            shared.users += 1
            self._shared, self._loop = shared, loop
        return self._shared.client


def import_sdk() -> None:
    """Imports what a call needs. The event loop should not wait for it."""
    import_module("openai")


def _new_client(base_url: str, api_key: str) -> AsyncOpenAI:
    from openai import AsyncOpenAI, DefaultAioHttpClient, Timeout

    timeout = Timeout(None, connect=_CONNECT_SECONDS)
    client = AsyncOpenAI(
        api_key=api_key,
        base_url=base_url,
        max_retries=0,
        timeout=timeout,
        http_client=DefaultAioHttpClient(timeout=timeout),
    )
    if urlsplit(base_url).hostname != "api.openai.com":
        # The SDK takes them from the environment; an account at OpenAI is nobody else's business.
        client.organization = client.project = None
    return client


def _was_stale(error: BaseException) -> bool:
    """Whether the server closed a kept connection just before it was used again: nothing of the call was heard."""
    from aiohttp import ClientConnectionResetError, ClientConnectorError, ServerDisconnectedError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ClientConnectorError):
            return False
        if isinstance(cause, ClientConnectionResetError | ServerDisconnectedError | ConnectionResetError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _refused(asked: Asked, error: Any) -> Exception:
    response = error.response
    text = response.text[:_MAX_ERROR_BODY] if response.is_closed or response.is_stream_consumed else str(error)
    return asked.status(response.status_code, text, response.headers)
