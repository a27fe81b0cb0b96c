"""HTTP requests to model providers: one connection pool for all dialects, and one place where transport errors end.

Redirects are not followed, error bodies are read up to a bound, and no exception of the HTTP library leaves this
module: such exceptions carry the headers of the request, and with them the API key.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias
from unicodedata import name as character_name
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread

from aura_py import __version__
from aura_py.errors import ConfigurationError, ProviderError
from aura_py.llm.gathering import GatheredBody
from aura_py.llm.json_text import MALFORMED
from aura_py.llm.provider_errors import ProviderErrors

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

MAX_ERROR_BODY: Final = 64 * 1024
MAX_WHOLE_BODY: Final = 64 * 1024 * 1024
_ERROR_BODY_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 20.0
_HEADERS: Final = {
    "User-Agent": f"aura/{__version__}",
    "Content-Type": "application/json",
    # Streams are small pieces; compressing them delays each and costs both sides more than it saves.
    "Accept-Encoding": "identity",
}

Refusal: TypeAlias = Callable[[ProviderErrors, int, bytes, Mapping[str, str]], ProviderError]
"""The error for a response whose status is no success: status, beginning of the body, headers."""


@dataclass(slots=True)
class _SharedSession:
    session: aiohttp.ClientSession
    users: int = 0


@dataclass(slots=True, frozen=True)
class _Target:
    """What aiohttp would work out again for every request."""

    url: URL
    proxy: str | None
    tls: ssl.SSLContext | bool

    @classmethod
    def of(cls, url: str, tls: Callable[[], ssl.SSLContext], *, signed_path: bool) -> _Target:
        from yarl import URL

        secure = tls() if url.startswith("https:") else True
        return cls(URL(url, encoded=signed_path), environment_proxy(url), secure)


_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, _SharedSession] = WeakKeyDictionary()


class HttpResponse:
    """A successful response with its body unread. ``errors`` makes the errors of whoever reads it."""

    __slots__ = ("_response", "errors", "headers")

    def __init__(self, errors: ProviderErrors, response: aiohttp.ClientResponse) -> None:
        self.errors = errors
        self._response = response
        self.headers: Mapping[str, str] = response.headers

    @property
    def complete(self) -> bool:
        """The body has been read to its end."""
        return self._response.content.at_eof()

    def chunks(self) -> GatheredBody:
        """The body as it arrives.

        Raises:
            ProviderUnreachable: While iterating: the connection broke.
        """
        return GatheredBody(self._response.content, self.errors.broken)

    async def read(self) -> bytes:
        """The whole body.

        Raises:
            ProviderError: The connection broke, or the body is larger than any answer.
        """
        body = bytearray()
        await _read_start(self.chunks(), MAX_WHOLE_BODY + 1, body)
        if len(body) > MAX_WHOLE_BODY:
            raise self.errors.malformed(f"a body of more than {MAX_WHOLE_BODY} bytes")
        return bytes(body)


class Connection(Protocol):
    """Where the calls of one model go."""

    def post(self, errors: ProviderErrors, body: bytes) -> AbstractAsyncContextManager[HttpResponse]:
        """Send ``body`` and give the response. Raises :class:`ProviderError`."""
        ...

    async def aclose(self) -> None:
        """Give the connections back."""
        ...


class HttpClient:
    """One address, with a share of the process's connections. Safe for concurrent calls; connects with the first one.

    URL, proxy and headers are prepared once, because they are the same for every call.

    Args:
        refusal: Makes the error for a status that is no success.
        signed_path: A signature covers the path, so it is sent byte for byte as it stands in ``url``.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        refusal: Refusal | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
        signed_path: bool = False,
    ) -> None:
        self.url = url
        self._headers = {**(headers or {}), **_HEADERS}
        self._refusal = refusal or _plain_refusal
        self._tls = tls or default_tls_context
        self._signed_path = signed_path
        self._target: _Target | None = None
        self._shared: _SharedSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def post(
        self, errors: ProviderErrors, body: bytes, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[HttpResponse, None]:
        """Send ``body`` and give the response; leaving the context closes a connection that is still sending.

        Args:
            headers: What only this call sends, such as its signature.

        Raises:
            ProviderError: The provider cannot be reached, does not speak HTTP, or answered with an error.
        """
        if "aiohttp" not in sys.modules:
            await anyio.to_thread.run_sync(preload)
        response = await self._send(errors, body, headers)
        try:
            if not 200 <= response.status < 300:
                raise await _refused(errors, response, self._refusal)
            yield HttpResponse(errors, response)
        finally:
            response.close()

    async def aclose(self) -> None:
        """Give the share back; the last one closes the connections."""
        shared, self._shared = self._shared, None
        loop, self._loop = self._loop, None
        if shared is None or loop is None:
            return
        shared.users -= 1
        if shared.users == 0:
            if _sessions.get(loop) is shared:
                del _sessions[loop]
            with anyio.CancelScope(shield=True):
                await shared.session.close()

    async def _send(
        self, errors: ProviderErrors, body: bytes, headers: Mapping[str, str] | None
    ) -> aiohttp.ClientResponse:
        import aiohttp

        target = self._target
        if target is None:
            target = self._target = _Target.of(self.url, self._tls, signed_path=self._signed_path)
        reused: list[bool] = []

        async def send() -> aiohttp.ClientResponse:
            reused.clear()
            return await self._session().post(
                target.url,
                headers={**headers, **self._headers} if headers else self._headers,
                data=body,
                allow_redirects=False,
                proxy=target.proxy,
                ssl=target.tls,
                trace_request_ctx=reused,
            )

        try:
            try:
                return await send()
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # The server closed a kept connection just before it was used again: it heard nothing of the call.
                # A fresh connection that breaks counts as an attempt.
                if not reused or isinstance(error, aiohttp.ClientConnectorError):
                    raise
                return await send()
        except aiohttp.ClientHttpProxyError as error:
            raise errors.proxy_refused(error.status, error) from error
        except aiohttp.ClientResponseError as error:
            raise errors.not_http(error) from error
        except Exception as error:
            raise errors.unreachable(error) from error

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._shared is None or self._loop is not loop:
            shared = _sessions.get(loop)
            if shared is None:
                shared = _sessions[loop] = _SharedSession(_new_session())
            shared.users += 1
            self._shared, self._loop = shared, loop
        return self._shared.session


def preload() -> None:
    """Import what the first request needs, which takes a fraction of a second."""
    import_module("aiohttp")


def join_url(base_url: str, path: str, query: str = "") -> str:
    """``base_url`` with ``path`` appended to its path; a query in ``base_url`` stays behind it."""
    scheme, host, base, own_query, _ = urlsplit(base_url)
    return urlunsplit((scheme, host, base.rstrip("/") + path, "&".join(filter(None, (own_query, query))), ""))


def check_key(key: str, agent: str, where: str = "`api_key` in `[agent.llm]`") -> str:
    """``key``, if it can be sent in a header.

    Raises:
        ConfigurationError: It holds a character that no HTTP header may hold; names the character.
    """
    for place, character in enumerate(key, start=1):
        if not "\x20" < character < "\x7f":
            known = character_name(character, f"U+{ord(character):04X}")
            raise ConfigurationError(
                f"agent `{agent}`: {where} is no API key: character {place} of {len(key)} is not printable ASCII"
                f" ({known}); copy the key again"
            )
    return key


def environment_proxy(url: str) -> str | None:
    """The proxy that the environment names: the one for the scheme, else the one for all; none for an excepted host.

    aiohttp's ``trust_env`` knows no proxy for all, and would also send passwords from a netrc file.
    """
    parts = urlsplit(url)
    known = getproxies()
    proxy = known.get(parts.scheme) or known.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


@cache
def default_tls_context() -> ssl.SSLContext:
    """The authorities that the system trusts, and the bundled ones unless ``SSL_CERT_FILE`` or ``_DIR`` is set."""
    context = ssl.create_default_context()
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        import certifi

        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _new_session() -> aiohttp.ClientSession:
    import aiohttp

    async def note_reuse(_session: object, context: object, _params: object) -> None:
        noted: list[bool] = context.trace_request_ctx  # type: ignore[attr-defined]
        noted.append(True)

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(note_reuse)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[tracing],
    )


async def _refused(errors: ProviderErrors, response: aiohttp.ClientResponse, refusal: Refusal) -> ProviderError:
    location = response.headers.get("location")
    if 300 <= response.status < 400 and location:
        return errors.redirected(response.status, location)
    if response.status < 400:
        return errors.malformed(f"HTTP {response.status}, which is neither an answer nor an error")
    body = bytearray()
    try:
        async with asyncio.timeout(_ERROR_BODY_SECONDS):
            await _read_start(GatheredBody(response.content, errors.broken), MAX_ERROR_BODY, body)
    except (TimeoutError, ProviderError):
        # What came so far, and the status, have to do.
        pass
    words = bytes(body[:MAX_ERROR_BODY])
    try:
        return refusal(errors, response.status, words, response.headers)
    except MALFORMED:
        return _plain_refusal(errors, response.status, words, response.headers)


async def _read_start(chunks: GatheredBody, limit: int, body: bytearray) -> None:
    async for piece in chunks:
        body += piece
        if len(body) >= limit:
            break


def _plain_refusal(errors: ProviderErrors, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
    return errors.status(status, body.decode(errors="replace"), headers)
