"""The bytes of the SDK's HTTP requests, by aiohttp.

The SDK speaks httpx, whose own transport costs four times the CPU of aiohttp's for a small request: a fifth of all that
a request with one tool call costs.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator

import aiohttp
import httpx2
from yarl import URL

from aura_py.llm.transport import environment_proxy

_MADE_ANEW = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection"})
"""Headers that aiohttp makes itself."""


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """A pool of connections for one MCP connection."""

    def __init__(self, verify: ssl.SSLContext) -> None:
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None
        self._targets: dict[httpx2.URL, tuple[URL, str | None]] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        session = self._session or self._open()
        url, proxy = self._target(request.url)
        limits = request.extensions.get("timeout") or {}
        try:
            response = await session.request(
                request.method,
                url,
                headers=[
                    (name.decode("ascii"), value.decode("utf-8", "surrogateescape"))
                    for name, value in request.headers.raw
                    if name.lower() not in _MADE_ANEW
                ],
                skip_auto_headers=("content-type", "user-agent"),
                data=await request.aread() or None,
                allow_redirects=False,
                proxy=proxy,
                ssl=self._verify,
                timeout=aiohttp.ClientTimeout(sock_connect=limits.get("connect"), sock_read=limits.get("read")),
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:  # a proxy's address that is none is a ValueError
            raise _translated(error, request) from error
        return httpx2.Response(
            response.status, headers=list(response.raw_headers), stream=_Body(response, request), request=request
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0),
            timeout=aiohttp.ClientTimeout(),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self._session

    def _target(self, url: httpx2.URL) -> tuple[URL, str | None]:
        """The address and the proxy that the environment names; worked out once for each of the few addresses."""
        known = self._targets.get(url)
        if known is None:
            known = self._targets[url] = URL(str(url), encoded=True), environment_proxy(str(url))
        return known


class _Body(httpx2.AsyncByteStream):
    """A body as it arrives; closing it before its end closes the connection."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error, self._request) from error

    async def aclose(self) -> None:
        self._response.close()


def _translated(error: Exception, request: httpx2.Request) -> httpx2.RequestError:
    """The exception of httpx for one of aiohttp. Its words name no URL, and hold nothing that was sent."""
    kind: type[httpx2.RequestError]
    text = ""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        kind = httpx2.ConnectTimeout
    elif isinstance(error, TimeoutError):
        kind = httpx2.ReadTimeout
    elif isinstance(error, aiohttp.ClientConnectorError):
        kind = httpx2.ConnectError
        text = os.strerror(error.os_error.errno) if error.os_error.errno else type(error.os_error).__name__
    elif isinstance(error, aiohttp.ClientHttpProxyError):
        kind, text = httpx2.ProxyError, f"the proxy answered with status {error.status}"
    elif isinstance(error, aiohttp.InvalidURL):
        kind = httpx2.UnsupportedProtocol
    elif isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, aiohttp.ServerDisconnectedError)):
        kind = httpx2.RemoteProtocolError
    else:
        kind = httpx2.ReadError
    return kind(text, request=request)
