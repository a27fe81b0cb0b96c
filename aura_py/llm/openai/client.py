"""OpenAI's Chat Completions, and every server that speaks it through ``base_url``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

from aura_py.config.models.llm import LLMBase, OpenAILLM
from aura_py.llm.contract import Capabilities, ChatRequest
from aura_py.llm.http_model import HttpChatModel
from aura_py.llm.openai.body import ChatSettings, build_body, has_linked_files
from aura_py.llm.openai.stream import ChatStream
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.transport import HttpClient, HttpResponse, check_key, join_url

CAPABILITIES: Final = Capabilities(
    notes=("images of a tool result follow it in a user message", "prompt caching is automatic"),
)
PROVIDER: Final = "openai"
ADDRESS: Final = "https://api.openai.com/v1"
_ACCOUNT_HEADERS = (("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID"))


class ChatCompletionsModel(HttpChatModel):
    """One model behind a Chat Completions endpoint. Related dialects give other settings, another body or reader."""

    capabilities = CAPABILITIES

    def __init__(
        self, config: LLMBase, errors: ProviderErrors, headers: Mapping[str, str], settings: ChatSettings
    ) -> None:
        super().__init__(config, errors, HttpClient(join_url(errors.address, "/chat/completions"), headers))
        self.settings = settings

    def body(self, request: ChatRequest) -> Body:
        return build_body(request, self.options, self.settings)

    def reader(self, response: HttpResponse) -> StreamReader:
        return ChatStream(response.errors)


def build(config: OpenAILLM, *, agent: str) -> ChatCompletionsModel:
    """The model of an agent's ``[agent.llm]`` table. Nothing is imported or connected yet.

    Raises:
        ConfigurationError: The key cannot be sent.
    """
    key = check_key(config.api_key.get_secret_value(), agent)
    address = config.base_url or ADDRESS
    official = is_openai(address)
    reasons = _wants_developer(config.model)
    errors = ProviderErrors(agent, PROVIDER, config.model, address, secrets=(key,))
    settings = ChatSettings(
        max_tokens_key="max_completion_tokens" if official or (is_azure(address) and reasons) else "max_tokens",
        reasoning_effort=config.reasoning_effort,
        returns_reasoning=True,
        system_role="developer" if official and reasons else "system",
        origin=errors.place,
        unsigned=_unsigned(config.model) if (urlsplit(address).hostname or "").endswith(".googleapis.com") else {},
    )
    return _OpenAIModel(config, errors, key_headers(address, key), settings)


def key_headers(address: str, key: str) -> dict[str, str]:
    """The headers that carry ``key`` to an OpenAI-compatible address."""
    if is_azure(address):
        return {"api-key": key}
    headers = {"Authorization": f"Bearer {key}"}
    if is_openai(address):
        # Which organization and project of an account pays; nobody else's business.
        for name, variable in _ACCOUNT_HEADERS:
            if value := os.environ.get(variable):
                headers[name] = value
    return headers


def is_openai(address: str) -> bool:
    """Whether this is OpenAI's own address."""
    return urlsplit(address).hostname == urlsplit(ADDRESS).hostname


def is_azure(address: str) -> bool:
    """Whether an address is Azure's: by its host, or by the ``api-version`` that only Azure wants in the query."""
    parts = urlsplit(address)
    return (parts.hostname or "").endswith(".azure.com") or "api-version" in parse_qs(parts.query)


class _OpenAIModel(ChatCompletionsModel):
    def body(self, request: ChatRequest) -> Body:
        if has_linked_files(request.messages):
            raise self.errors.refuse_content("a file by its address", "send the file's data instead")
        return super().body(request)


def _unsigned(model: str) -> dict[str, object]:
    """What Google wants beside a call that it has not signed: another model's, or one of the caller's history."""
    from aura_py.llm.gemini.body import NO_SIGNATURE, version

    signs = (version(model) or (0, 0)) >= (3, 0)
    return {"extra_content": {"google": {"thought_signature": NO_SIGNATURE}}} if signs else {}


def _wants_developer(model: str) -> bool:
    """Reasoning models (o1 and later, gpt-5 and later) take instructions as ``developer``."""
    return model.startswith(("o1", "o3", "o4", "gpt-5", "gpt-6"))
