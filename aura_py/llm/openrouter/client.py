"""OpenRouter: Chat Completions with reasoning that is kept across turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from aura_py.llm.contract import Capabilities, ChatRequest, Delta, Finish, Thinking, ThinkingBlock
from aura_py.llm.json_text import whole_text
from aura_py.llm.openai.body import ChatSettings
from aura_py.llm.openai.client import ChatCompletionsModel
from aura_py.llm.openai.stream import ChatStream
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.transport import check_key
from aura_py.messages import Message, Reasoning

if TYPE_CHECKING:
    from aura_py.config.models import OpenRouterLLM

PROVIDER: Final = "openrouter"
CAPABILITIES: Final = Capabilities(
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
        "images of a tool result follow it in a user message",
        "`reasoning_effort` is sent as `reasoning.effort`",
        "`reasoning_details` go back unchanged in later turns",
        "what a model cannot do is decided by OpenRouter",
    ),
)
_ADDRESS: Final = "https://openrouter.ai/api/v1"
_GROWING = ("text", "summary", "data", "signature")


def build(config: OpenRouterLLM, *, agent: str) -> ChatCompletionsModel:
    """The model of an agent's ``[agent.llm]`` table. Nothing is imported or connected yet."""
    key = check_key(config.api_key.get_secret_value(), agent)
    errors = ProviderErrors(agent, PROVIDER, config.model, config.base_url or _ADDRESS, secrets=(key,))
    settings = ChatSettings(
        model=config.model,
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        extra=config.additional_params,
        origin=errors.place,
    )
    headers = {"Authorization": f"Bearer {key}"}
    return _OpenRouter(config, settings, errors, headers, capabilities=CAPABILITIES, reader=_OpenRouterStream)


class _OpenRouter(ChatCompletionsModel):
    def body(self, request: ChatRequest) -> dict[str, object]:
        body = super().body(request)
        effort = request.sampling.reasoning_effort
        if effort is not None and "reasoning_effort" not in self._settings.extra:
            del body["reasoning_effort"]
            body.setdefault("reasoning", {"effort": effort})
        conversation = (message for message in request.messages if message.role == "assistant")
        _keep_reasoning(body["messages"], conversation)
        return body


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


class _OpenRouterStream(ChatStream):
    def __init__(self, errors: ProviderErrors) -> None:
        super().__init__(errors)
        self._thoughts: list[str] = []
        self._details: dict[tuple[object, object], dict[str, Any]] = {}

    def extra(self, delta: Mapping[str, Any], deltas: list[Delta]) -> None:
        shown = delta.get("reasoning") or delta.get("reasoning_content")
        found = delta.get("reasoning_details")
        details = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
        for detail in details:
            self._collect(detail)
        if not shown and details:
            shown = "".join(str(detail.get("text") or detail.get("summary") or "") for detail in details)
            if shown:
                deltas.append(Thinking(shown))
        if shown and isinstance(shown, str):
            self._thoughts.append(shown)

    def end(self) -> list[Delta]:
        deltas = super().end()
        if self._details:
            kept = [{name: _joined(value) for name, value in detail.items()} for detail in self._details.values()]
            block = Reasoning(whole_text("".join(self._thoughts)), PROVIDER, {"reasoning_details": kept})
            deltas.insert(0, ThinkingBlock(block))
        assert isinstance(deltas[-1], Finish)
        return deltas

    def _collect(self, detail: dict[str, Any]) -> None:
        """Pieces of one detail share type and index; texts grow, the rest is replaced."""
        key = (str(detail.get("type")), str(detail.get("index", detail.get("id"))))
        known = self._details.setdefault(key, {})
        for name, value in detail.items():
            if name in _GROWING and isinstance(value, str):
                pieces = known.get(name)
                if isinstance(pieces, list):
                    pieces.append(value)
                else:
                    known[name] = [value]
            elif value is not None or name not in known:
                known[name] = value


def _joined(value: Any) -> Any:
    return whole_text("".join(value)) if isinstance(value, list) and all(isinstance(x, str) for x in value) else value
