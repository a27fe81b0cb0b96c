"""Ollama's ``/api/chat``: newline-delimited JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aura_py.llm.contract import Capabilities, ChatModel, ChatRequest
from aura_py.llm.http_model import HttpChatModel
from aura_py.llm.ollama.body import PROVIDER, build_body
from aura_py.llm.ollama.stream import OllamaStream
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.transport import HttpClient, HttpResponse, check_key, join_url

if TYPE_CHECKING:
    from aura_py.config.models.llm import OllamaLLM

CAPABILITIES = Capabilities(
    tool_choice=False,
    malformed_arguments=False,
    content_filter=False,
    notes=(
        "images only as `data:` URLs",
        "images of tool results follow the results in a message of the user's side",
        "a caller's forced tool call is refused, Aura's own is asked for in words",
        "`tool_choice = none` leaves the tools out",
        "`reasoning_effort` is `think`: a level for `gpt-oss`, otherwise on or off",
        "parallel tool calls cannot be switched off",
        "tool calls arrive whole and without ids; ids are made up",
    ),
)


def build(config: OllamaLLM, *, agent: str) -> ChatModel:
    """A model behind an Ollama server.

    Raises:
        ConfigurationError: The key cannot be sent.
    """
    key = check_key(config.api_key.get_secret_value(), agent) if config.api_key else ""
    errors = ollama_errors(agent, config.model, config.base_url, key)
    return _Ollama(config, errors, HttpClient(join_url(config.base_url, "/api/chat"), key_headers(key)))


def ollama_errors(agent: str, model: str, base_url: str, api_key: str) -> ProviderErrors:
    return ProviderErrors(
        agent=agent,
        provider=PROVIDER,
        model=model,
        address=base_url,
        missing=f"run `ollama pull {model}` on that server, or check `model`",
        secrets=(api_key,),
    )


def key_headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


class _Ollama(HttpChatModel):
    capabilities = CAPABILITIES

    def body(self, request: ChatRequest) -> Body:
        return build_body(request, self.options)

    def reader(self, response: HttpResponse) -> StreamReader:
        return OllamaStream(response.errors)
