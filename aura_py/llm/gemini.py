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
from aura_py.llm.sse import OversizedEvent, SseReader

if TYPE_CHECKING:
    import aiohttp

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
        # One attempt, said explicitly: without options the SDK sleeps and asks again after a lost connection.
        options = types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=1))
        if config.base_url:
            options.base_url, version = _split_version(config.base_url)
            if version:
                options.api_version = version
        self._client = genai.Client(api_key=key, vertexai=False, http_options=options)
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
        sse = SseReader()
        reader = GeminiStream(self._asked)
        start = b""
        try:
            async for chunk in response.content.iter_any():
                start = start or chunk[:2000]
                deltas = self._read(reader, sse.feed(chunk))
                if deltas:
                    yield deltas
            deltas = self._read(reader, sse.close())
            if not sse.lines:
                raise self._odd(start)
            yield [*deltas, *reader.end()]
        except OversizedEvent as error:
            raise self._asked.garbage("an event without an end", error) from error
        except (self._aiohttp.ClientError, OSError) as error:
            raise self._asked.broken(error) from error
        finally:
            response.close()

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._client.aio.aclose()
            self._client.close()

    async def _open(self, body: bytes) -> aiohttp.ClientResponse:
        # The SDK offers no raw stream in public; its events cost a JSON round trip and a pydantic tree each.
        api = self._client._api_client
        try:
            http = api._build_request("post", self._path, {}, None)
            http.data = body
            response = cast("aiohttp.ClientResponse", (await api._async_request(http, None, stream=True)).response_stream)
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

    def _read(self, reader: GeminiStream, payloads: list[bytes]) -> list[Delta]:
        deltas: list[Delta] = []
        for payload in payloads:
            try:
                reader.take(orjson.loads(payload), deltas)
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                raise self._asked.garbage(payload.decode(errors="replace"), error) from error
        return deltas

    def _odd(self, start: bytes) -> ProviderError:
        """A body that held no event: an error object sent with status 200, a page, or nothing at all."""
        try:
            value = orjson.loads(start)
        except orjson.JSONDecodeError:
            return self._asked.garbage(start.decode(errors="replace"))
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, dict) and isinstance(value.get("error"), dict):
            return failure(self._asked, value["error"])
        return self._asked.garbage(start.decode(errors="replace"))


def _split_version(base_url: str) -> tuple[str, str | None]:
    address = base_url.rstrip("/")
    head, _, tail = address.rpartition("/")
    return (head, tail) if tail in _VERSIONS else (address, None)
