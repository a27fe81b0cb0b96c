"""Google's Gemini API, ``streamGenerateContent`` (``config.md`` §8)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, cast

import anyio
import orjson

from aura_py.errors import ProviderError
from aura_py.llm.contract import Capabilities, ChatModel, ChatRequest, Delta
from aura_py.llm.failures import Asked
from aura_py.llm.gemini_body import PROVIDER, build_body
from aura_py.llm.gemini_stream import GeminiStream, failure

if TYPE_CHECKING:
    import aiohttp
    from google import genai

    from aura_py.config.models import GeminiLLM

CAPABILITIES = Capabilities(
    images=True,
    tool_images=True,
    reasoning=True,
    parallel_tools=True,
    tool_choice=True,
    seed=True,
    stop=True,
    response_format=True,
    reasoning_effort=True,
    prompt_cache=False,
    malformed_arguments=False,
    notes=(
        "images only as `data:` URLs or as addresses of Google's own file stores",
        "`reasoning_effort` is a thinking budget (2.5) or a thinking level (3 on); `none` is the least there is",
        "tool calls arrive whole; ids are made up where the API gives none",
        "`base_url` may end with the API version",
    ),
)
_ADDRESS = "https://generativelanguage.googleapis.com"
_VERSIONS = ("v1beta", "v1alpha", "v1")


def build(config: GeminiLLM, *, agent: str) -> ChatModel:
    """A model behind the Gemini API. Imports the `google-genai` package."""
    return _Gemini(config, agent)


class _Gemini:
    def __init__(self, config: GeminiLLM, agent: str) -> None:
        import aiohttp
        from google import genai
        from google.genai import errors, types

        key = config.api_key.get_secret_value()
        self.provider = PROVIDER
        self.model = config.model
        self.context_window = config.context_window
        self.capabilities = CAPABILITIES
        self._config = config
        self._aiohttp = aiohttp
        self._errors = errors
        self._asked = Asked(
            agent=agent, provider=PROVIDER, model=config.model, address=config.base_url or _ADDRESS, secrets=(key,)
        )
        self._genai = genai
        self._key = key
        # One attempt, said explicitly: without options the SDK sleeps and asks again after a lost connection.
        self._options = types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=1))
        if config.base_url:
            self._options.base_url, version = _split_version(config.base_url)
            if version:
                self._options.api_version = version
        self._client: genai.Client | None = None
        self._session: aiohttp.ClientSession | None = None
        name = config.model if "/" in config.model else f"models/{config.model}"
        self._path = f"{name}:streamGenerateContent?alt=sse"

    async def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        body = build_body(
            request,
            asked=self._asked,
            max_tokens=self._config.max_tokens,
            temperature=self._config.temperature,
            additional_params=self._config.additional_params,
        )
        response = await self._open(orjson.dumps(body))
        reader = GeminiStream(self._asked)
        try:
            async for chunk in response.content.iter_any():
                deltas = reader.feed(chunk)
                if deltas:
                    yield deltas
                if reader.failure is not None:
                    raise reader.failure
            deltas = reader.end()
            if deltas:
                yield deltas
            if reader.failure is not None:
                raise reader.failure
        except (self._aiohttp.ClientError, OSError) as error:
            raise self._asked.broken(error) from error
        finally:
            response.close()

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

    async def _open(self, body: bytes) -> aiohttp.ClientResponse:
        # The SDK offers no raw stream in public; its events cost a JSON round trip and a pydantic tree each.
        api = self._connected()._api_client
        try:
            http = api._build_request("post", self._path, {}, None)
            http.data = body
            response = cast(
                "aiohttp.ClientResponse", (await api._async_request(http, None, stream=True)).response_stream
            )
        except self._errors.APIError as error:
            raise self._refused(error) from error
        except (self._aiohttp.ClientError, OSError) as error:
            raise self._asked.unreachable(error) from error
        except JSONDecodeError as error:
            raise self._asked.garbage(error.doc, error) from error
        return response

    def _refused(self, error: Any) -> ProviderError:
        details = error.details
        headers = getattr(error.response, "headers", None)
        if isinstance(details, dict) and isinstance(details.get("error"), dict):
            told = failure(self._asked, {"code": error.code, **details["error"]})
            if told.retry_after is None:
                told.retry_after = self._asked.status(error.code, "", headers).retry_after
            return told
        text = details.get("message") if isinstance(details, dict) else details
        return self._asked.status(error.code, text if isinstance(text, str) else str(text), headers)


def _split_version(base_url: str) -> tuple[str, str | None]:
    address = base_url.rstrip("/")
    head, _, tail = address.rpartition("/")
    return (head, tail) if tail in _VERSIONS else (address, None)
