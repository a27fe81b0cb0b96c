"""Anthropic's Messages API (``config.md`` §8)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import orjson

from aura_py.errors import ProviderError
from aura_py.llm import claude
from aura_py.llm.anthropic_body import ADDRESS, PROVIDER, build_body
from aura_py.llm.anthropic_stream import AnthropicStream
from aura_py.llm.body import pieces_of
from aura_py.llm.contract import Capabilities, ChatModel, ChatRequest, Delta
from aura_py.llm.failures import Asked
from aura_py.llm.reading import Answer, deltas_of

if TYPE_CHECKING:
    import httpx2

    from aura_py.config.models import AnthropicLLM

CAPABILITIES = Capabilities(
    images=True,
    tool_images=True,
    reasoning=True,
    parallel_tools=True,
    tool_choice=True,
    seed=False,
    stop=True,
    response_format=True,
    reasoning_effort=True,
    prompt_cache=True,
    notes=(
        "`max_tokens` is always sent; unset, it is the default of the model's family",
        "a forced tool call becomes `auto` while the model thinks, because the API rejects it",
        "`reasoning_effort` is a budget of thinking tokens (3.7 to 4.5) or adaptive thinking with `effort` (4.6 on); "
        "it replaces `temperature`",
        "`response_format` takes `json_schema` only",
        "`temperature` and `top_p` end with Claude 4.6; later models refuse them",
        "arguments of tools are asked for as they are written (`eager_input_streaming`), on Anthropic's own address",
    ),
)
_CONNECT_SECONDS = 20.0


def build(config: AnthropicLLM, *, agent: str) -> ChatModel:
    """A model behind Anthropic's API. Imports the `anthropic` package.

    Raises:
        ConfigurationError: The model has no `temperature`.
    """
    claude.check_table(config, agent)
    return _Anthropic(config, agent)


class _Anthropic:
    def __init__(self, config: AnthropicLLM, agent: str) -> None:
        import anthropic
        import httpx2

        key = config.api_key.get_secret_value()
        address = config.base_url or ADDRESS
        self.provider = PROVIDER
        self.model = config.model
        self.context_window = config.context_window
        self.capabilities = CAPABILITIES
        self._config = config
        self._sdk = anthropic
        self._httpx = httpx2
        self._asked = Asked(agent=agent, provider=PROVIDER, model=config.model, address=address, secrets=(key,))
        timeout = httpx2.Timeout(None, connect=_CONNECT_SECONDS)
        self._client = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=address,
            # The SDK sends the key as a bearer token only; many servers that speak this protocol know the older header.
            default_headers={"x-api-key": key} if config.base_url else None,
            max_retries=0,
            timeout=timeout,
            http_client=anthropic.DefaultAioHttpClient(timeout=timeout),
        )

    def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        return deltas_of(self._answer(request))

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._client.close()

    @asynccontextmanager
    async def _answer(self, request: ChatRequest) -> AsyncGenerator[Answer, None]:
        import aiohttp

        body = build_body(
            request,
            asked=self._asked,
            max_tokens=self._config.max_tokens,
            temperature=self._config.temperature,
            additional_params=dict(self._config.additional_params),
        )
        response = await self._open(body)
        try:
            yield AnthropicStream(self._asked), pieces_of(response)
        except (self._httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            raise self._asked.broken(error) from error
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _open(self, body: dict[str, Any]) -> httpx2.Response:
        sdk = self._sdk
        try:
            # The SDK's events cost a pydantic model each; its response gives the bytes.
            stream = await self._client.post(
                "/v1/messages", body=body, cast_to=object, stream=True, stream_cls=sdk.AsyncStream[object]
            )
        except sdk.APIStatusError as error:
            raise self._refused(error) from error
        except (sdk.APIConnectionError, self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            raise self._asked.unreachable(error) from error
        except sdk.AnthropicError as error:
            raise self._asked.garbage("", error) from error
        response: httpx2.Response = stream.response
        return response

    def _refused(self, error: Any) -> ProviderError:
        body = error.body
        text = body if isinstance(body, str) else orjson.dumps(body, default=str).decode()
        return self._asked.status(error.status_code, text, error.response.headers)
