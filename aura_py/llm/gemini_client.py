"""Requests to Google's API: address, key and headers by the `google-genai` SDK, bytes for us."""

from __future__ import annotations

from importlib import import_module
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, cast

import anyio

from aura_py.errors import ConfigurationError, ProviderError
from aura_py.llm.failures import Asked
from aura_py.llm.gemini_stream import failure

if TYPE_CHECKING:
    import aiohttp
    from google import genai

ADDRESS = "https://generativelanguage.googleapis.com"
_USED = ("_build_request", "_async_request")
_VERSIONS = ("v1beta", "v1alpha", "v1")


class GeminiClient:
    """One address and key. Imports the SDK; connects with the first call."""

    def __init__(self, api_key: str, base_url: str | None) -> None:
        import aiohttp
        from google import genai
        from google.genai import errors, types

        _check(genai)
        self._aiohttp = aiohttp
        self._genai = genai
        self._errors = errors
        self._key = api_key
        # One attempt, said explicitly: without options the SDK sleeps and asks again after a lost connection.
        self._options = types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=1))
        if base_url:
            self._options.base_url, version = _split_version(base_url)
            if version:
                self._options.api_version = version
        self._client: genai.Client | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def broken(self) -> tuple[type[Exception], ...]:
        """What reading a body may raise when the connection is lost."""
        return (self._aiohttp.ClientError, OSError)

    async def open(self, asked: Asked, path: str, body: bytes) -> aiohttp.ClientResponse:
        """Sends ``body`` and returns the response with its body unread.

        Raises:
            ProviderError: The API cannot be reached or answers with an error.
        """
        # The SDK offers no raw response in public; its events cost a JSON round trip and a pydantic tree each.
        api = self._connected()._api_client
        try:
            http = api._build_request("post", path, {}, None)
            http.data = body
            opened = await api._async_request(http, None, stream=True)
        except self._errors.APIError as error:
            raise _refused(asked, error) from error
        except (self._aiohttp.ClientError, OSError) as error:
            raise asked.unreachable(error) from error
        except JSONDecodeError as error:
            raise asked.garbage(error.doc, error) from error
        return cast("aiohttp.ClientResponse", opened.response_stream)

    async def aclose(self) -> None:
        client, self._client = self._client, None
        session, self._session = self._session, None
        with anyio.CancelScope(shield=True):
            if client is not None:
                await client.aio.aclose()
                client.close()
            if session is not None:
                await session.close()

    def _connected(self) -> genai.Client:
        if self._client is None:
            # The SDK's own session warns of itself and cannot be told how to connect.
            connector = self._aiohttp.TCPConnector(limit=0)
            self._session = self._aiohttp.ClientSession(connector=connector, trust_env=True)
            options = self._options.model_copy(update={"aiohttp_client": self._session})
            self._client = self._genai.Client(api_key=self._key, vertexai=False, http_options=options)
        return self._client


def _check(genai: Any) -> None:
    """What :meth:`GeminiClient.open` uses is private to the SDK and may go with any release.

    Raises:
        ConfigurationError: It has gone.
    """
    try:
        api: object = import_module(f"{genai.__name__}._api_client").BaseApiClient
    except (ImportError, AttributeError):
        api = None
    missing = [name for name in _USED if not callable(getattr(api, name, None))]
    if missing:
        raise ConfigurationError(
            f"provider `gemini` cannot work with the installed `google-genai` {genai.__version__}, which has no"
            f" `{missing[0]}`; install the version that `constraints.txt` names"
        )


def model_path(model: str) -> str:
    return model if "/" in model else f"models/{model}"


def _refused(asked: Asked, error: Any) -> ProviderError:
    details = error.details
    headers = getattr(error.response, "headers", None)
    if isinstance(details, dict) and isinstance(details.get("error"), dict):
        told = failure(asked, {"code": error.code, **details["error"]})
        if told.retry_after is None:
            told.retry_after = asked.status(error.code, "", headers).retry_after
        return told
    text = details.get("message") if isinstance(details, dict) else details
    return asked.status(error.code, text if isinstance(text, str) else str(text), headers)


def _split_version(base_url: str) -> tuple[str, str | None]:
    address = base_url.rstrip("/")
    head, _, tail = address.rpartition("/")
    return (head, tail) if tail in _VERSIONS else (address, None)
