"""Anthropic's Messages API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aura_py.llm import claude
from aura_py.llm.anthropic.body import ADDRESS, PROVIDER, build_body
from aura_py.llm.anthropic.stream import AnthropicStream
from aura_py.llm.contract import Capabilities, ChatModel, ChatRequest
from aura_py.llm.http_model import HttpChatModel
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.transport import HttpClient, HttpResponse, check_key, join_url

if TYPE_CHECKING:
    from aura_py.config.models.llm import AnthropicLLM

CAPABILITIES = Capabilities(
    seed=False,
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
    key = check_key(config.api_key.get_secret_value(), agent)
    address = config.base_url or ADDRESS
    headers = {"anthropic-version": _VERSION, "Authorization": f"Bearer {key}"}
    if config.base_url:
        # Many servers that speak this protocol know the older header only.
        headers["x-api-key"] = key
    errors = ProviderErrors(agent, PROVIDER, config.model, address, secrets=(key,))
    return _Anthropic(config, errors, HttpClient(join_url(address, "/v1/messages"), headers))


class _Anthropic(HttpChatModel):
    capabilities = CAPABILITIES

    def body(self, request: ChatRequest) -> Body:
        return build_body(request, self.options)

    def reader(self, response: HttpResponse) -> StreamReader:
        return AnthropicStream(response.errors)
