"""OpenRouter: Chat Completions with reasoning that is kept across turns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from aura_py.llm.contract import Capabilities, ChatRequest
from aura_py.llm.openai.body import ChatSettings
from aura_py.llm.openai.client import ChatCompletionsModel
from aura_py.llm.openrouter.stream import OpenRouterStream
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.transport import HttpResponse, check_key
from aura_py.messages import Message

if TYPE_CHECKING:
    from aura_py.config.models.llm import OpenRouterLLM

PROVIDER: Final = "openrouter"
CAPABILITIES: Final = Capabilities(
    notes=(
        "images of a tool result follow it in a user message",
        "`reasoning_effort` is sent as `reasoning.effort`",
        "`reasoning_details` go back unchanged in later turns",
        "what a model cannot do is decided by OpenRouter",
    ),
)
_ADDRESS: Final = "https://openrouter.ai/api/v1"


def build(config: OpenRouterLLM, *, agent: str) -> ChatCompletionsModel:
    """The model of an agent's ``[agent.llm]`` table. Nothing is imported or connected yet."""
    key = check_key(config.api_key.get_secret_value(), agent)
    errors = ProviderErrors(agent, PROVIDER, config.model, config.base_url or _ADDRESS, secrets=(key,))
    headers = {"Authorization": f"Bearer {key}"}
    return _OpenRouter(config, errors, headers, ChatSettings(origin=errors.place))


class _OpenRouter(ChatCompletionsModel):
    capabilities = CAPABILITIES

    def body(self, request: ChatRequest) -> Body:
        body = super().body(request)
        effort = request.sampling.reasoning_effort
        if effort is not None and "reasoning_effort" not in self.options.additional_params:
            del body["reasoning_effort"]
            body.setdefault("reasoning", {"effort": effort})
        conversation = (message for message in request.messages if message.role == "assistant")
        _keep_reasoning(body["messages"], conversation)
        return body

    def reader(self, response: HttpResponse) -> StreamReader:
        return OpenRouterStream(response.errors)


def _keep_reasoning(sent: Any, conversation: Iterable[Message]) -> None:
    entries = (entry for entry in sent if entry["role"] == "assistant")
    for entry, message in zip(entries, conversation, strict=True):
        details: list[object] = []
        for reasoning in message.reasoning:
            kept = reasoning.opaque.get("reasoning_details")
            if reasoning.provider == PROVIDER and isinstance(kept, list):
                details.extend(kept)
        if details:
            entry["reasoning_details"] = details
