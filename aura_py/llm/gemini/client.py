"""Google's Gemini API, ``streamGenerateContent``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aura_py.llm.contract import Capabilities, ChatModel, ChatRequest
from aura_py.llm.gemini.body import PROVIDER, build_body
from aura_py.llm.gemini.connection import ADDRESS, gemini_client, model_path
from aura_py.llm.gemini.stream import GeminiStream
from aura_py.llm.http_model import HttpChatModel
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.transport import HttpResponse, check_key

if TYPE_CHECKING:
    from aura_py.config.models.llm import GeminiLLM

CAPABILITIES = Capabilities(
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
    key = check_key(config.api_key.get_secret_value(), agent)
    errors = ProviderErrors(agent, PROVIDER, config.model, config.base_url or ADDRESS, secrets=(key,))
    path = f"{model_path(config.model)}:streamGenerateContent"
    return _Gemini(config, errors, gemini_client(key, config.base_url, path, "alt=sse"))


class _Gemini(HttpChatModel):
    capabilities = CAPABILITIES

    def body(self, request: ChatRequest) -> Body:
        return build_body(request, self.options)

    def reader(self, response: HttpResponse) -> StreamReader:
        return GeminiStream(response.errors)
