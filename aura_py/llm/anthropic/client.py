"""Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aura_py.llm import claude
from aura_py.llm.anthropic.body import ADDRESS, PROVIDER, build_body
from aura_py.llm.anthropic.stream import AnthropicStream
from aura_py.llm.contract import Capabilities, ChatModel, ChatRequest, Delta
from aura_py.llm.json_text import to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.stream_reader import Answer, stream_deltas
from aura_py.llm.transport import HttpClient, check_key, join_url

if TYPE_CHECKING:
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
_VERSION = "2026-10-21"


def build(config: AnthropicLLM, *, agent: str) -> ChatModel:
    """A model behind Anthropic's API.

    Raises:
        ConfigurationError: The key cannot be sent, or the model has no `temperature`.
    """
    claude.check_table(config, agent)
    return _Anthropic(config, agent)


class _Anthropic:
    def __init__(self, config: AnthropicLLM, agent: str) -> None:
        key = check_key(config.api_key.get_secret_value(), agent)
        address = config.base_url or ADDRESS
        self.provider = PROVIDER
        self.model = config.model
        self.context_window = config.context_window
        self.capabilities = CAPABILITIES
        self._config = config
        self._errors = ProviderErrors(
            agent=agent, provider=PROVIDER, model=config.model, address=address, secrets=(key,)
        )
        self._client = HttpClient()
        self._url = join_url(address, "/v1/messages")
        self._headers = {"anthropic-version": _VERSION, "Authorization": f"Bearer {key}"}
        if config.base_url:
            # Many servers that speak this protocol know the older header only.
            self._headers["x-api-key"] = key

    def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        return stream_deltas(self._answer(request))

    async def aclose(self) -> None:
        await self._client.aclose()

    @asynccontextmanager
    async def _answer(self, request: ChatRequest) -> AsyncGenerator[Answer, None]:
        body = build_body(
            request,
            errors=self._errors,
            max_tokens=self._config.max_tokens,
            temperature=self._config.temperature,
            additional_params=dict(self._config.additional_params),
        )
        async with self._client.post(self._errors, self._url, self._headers, to_json(body)) as response:
            yield AnthropicStream(self._errors), response.chunks()
