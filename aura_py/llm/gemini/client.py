"""Google's Gemini API, ``streamGenerateContent``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aura_py.llm.contract import Capabilities, ChatModel, ChatRequest, Delta
from aura_py.llm.gemini.body import PROVIDER, build_body
from aura_py.llm.gemini.connection import ADDRESS, GeminiClient, model_path
from aura_py.llm.gemini.stream import GeminiStream
from aura_py.llm.json_text import to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.stream_reader import Answer, stream_deltas
from aura_py.llm.transport import check_key

if TYPE_CHECKING:
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
        "parallel tool calls cannot be switched off",
        "`base_url` may end with the API version",
    ),
)


def build(config: GeminiLLM, *, agent: str) -> ChatModel:
    """A model behind the Gemini API.

    Raises:
        ConfigurationError: The key cannot be sent.
    """
    return _Gemini(config, agent)


class _Gemini:
    def __init__(self, config: GeminiLLM, agent: str) -> None:
        key = check_key(config.api_key.get_secret_value(), agent)
        self.provider = PROVIDER
        self.model = config.model
        self.context_window = config.context_window
        self.capabilities = CAPABILITIES
        self._config = config
        self._errors = ProviderErrors(
            agent=agent, provider=PROVIDER, model=config.model, address=config.base_url or ADDRESS, secrets=(key,)
        )
        self._client = GeminiClient(key, config.base_url)
        self._path = f"{model_path(config.model)}:streamGenerateContent"

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
            additional_params=self._config.additional_params,
        )
        async with self._client.post(self._errors, self._path, to_json(body), "alt=sse") as response:
            yield GeminiStream(self._errors), response.chunks()
