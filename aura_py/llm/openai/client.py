"""OpenAI's Chat Completions, and every server that speaks it through ``base_url``."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

from aura_py.config.models import LLMBase, OpenAILLM
from aura_py.llm.contract import Capabilities, ChatRequest, Delta, ThinkingBlock
from aura_py.llm.json_text import to_json, whole_text
from aura_py.llm.openai.body import ChatSettings, chat_body, has_linked_files
from aura_py.llm.openai.stream import ChatStream
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.sse import OversizedEvent, SseReader
from aura_py.llm.stream_reader import drain
from aura_py.llm.transport import HttpClient, check_key, join_url
from aura_py.messages import Reasoning

CAPABILITIES: Final = Capabilities(
    images=True,
    tool_images=True,
    reasoning=True,
    seed=True,
    response_format=True,
    reasoning_effort=True,
    notes=("images of a tool result follow it in a user message", "prompt caching is automatic"),
)
PROVIDER: Final = "openai"
ADDRESS: Final = "https://api.openai.com/v1"
_ACCOUNT_HEADERS = (("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID"))
_REASONING_KEYS = ("reasoning_content", "reasoning")


class ChatCompletionsModel:
    """One model behind a Chat Completions endpoint. Related dialects give other settings or another reader."""

    def __init__(
        self,
        config: LLMBase,
        settings: ChatSettings,
        errors: ProviderErrors,
        headers: Mapping[str, str],
        *,
        capabilities: Capabilities = CAPABILITIES,
        reader: type[ChatStream] = ChatStream,
    ) -> None:
        self.provider = errors.provider
        self.model = config.model
        self.context_window = config.context_window
        self.capabilities = capabilities
        self._settings = settings
        self._errors = errors
        self._client = HttpClient()
        self._url = join_url(errors.address, "/chat/completions")
        self._headers = headers
        self._reader = reader

    async def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        body = to_json(self.body(request))
        async with self._client.post(self._errors, self._url, self._headers, body) as response:
            chat = self._reader(self._errors)
            kind = response.content_type
            events = SseReader()
            chunks = response.chunks()
            try:
                if kind in ("text/html", "application/json"):
                    for deltas in self._whole(kind, chat, await response.read()):
                        yield deltas
                    return
                async for chunk in chunks:
                    deltas = chat.read(events.feed(chunk))
                    if deltas and not chat.done:
                        yield deltas
                    if chat.failure is not None:
                        raise chat.failure
                    if chat.done:
                        break
                else:
                    deltas = chat.read(events.close())
                    if chat.failure is not None:
                        raise chat.failure
            except OversizedEvent as error:
                raise self._errors.garbage("an event without an end", error) from error
            if events.junk and not chat.finished:
                # One object in place of a stream: an error, as a rule.
                deltas += chat.read((events.junk,))
                if chat.failure is not None:
                    raise chat.failure
            yield [*deltas, *chat.end()]
            await drain(chunks)

    def body(self, request: ChatRequest) -> dict[str, object]:
        """What is sent."""
        return chat_body(self._settings, request)

    async def aclose(self) -> None:
        await self._client.aclose()

    def _whole(self, kind: str, chat: ChatStream, body: bytes) -> Iterator[list[Delta]]:
        """An answer that is not a stream: some servers ignore ``stream`` and send one object."""
        if kind == "text/html":
            raise self._errors.garbage(body.decode(errors="replace"))
        events = SseReader()
        # Some servers send events under this type.
        deltas = chat.read((body,) if body.lstrip()[:1] in b"{[" else [*events.feed(body), *events.close()])
        if chat.failure is not None:
            raise chat.failure
        yield [*deltas, *chat.end()]


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
        model=config.model,
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        max_tokens_key="max_completion_tokens" if official or (is_azure(address) and reasons) else "max_tokens",
        reasoning_effort=config.reasoning_effort,
        returns_reasoning_of=PROVIDER,
        system_role="developer" if official and reasons else "system",
        extra=config.additional_params,
        origin=errors.place,
        unsigned=_unsigned(config.model) if (urlsplit(address).hostname or "").endswith(".googleapis.com") else {},
    )
    return _OpenAIModel(config, settings, errors, key_headers(address, key), reader=_OpenAIStream)


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
    def body(self, request: ChatRequest) -> dict[str, object]:
        if has_linked_files(request.messages):
            raise self._errors.refuse_content("a file by its address", "send the file's data instead")
        return super().body(request)


class _OpenAIStream(ChatStream):
    """Keeps the reasoning that servers beside OpenAI's own stream, because some want it back with tool results."""

    def __init__(self, errors: ProviderErrors) -> None:
        super().__init__(errors)
        self._key = ""
        self._thoughts: list[str] = []

    def extra(self, delta: dict[str, object], deltas: list[Delta]) -> None:
        for key in _REASONING_KEYS:
            thought = delta.get(key)
            if thought and isinstance(thought, str):
                self._key = key
                self._thoughts.append(thought)
                return

    def end(self) -> list[Delta]:
        deltas = super().end()
        if self._thoughts:
            block = Reasoning(whole_text("".join(self._thoughts)), PROVIDER, {"key": self._key})
            deltas.insert(0, ThinkingBlock(block))
        return deltas


def _unsigned(model: str) -> dict[str, object]:
    """What Google wants beside a call that it has not signed: another model's, or one of the caller's history."""
    from aura_py.llm.gemini.body import NO_SIGNATURE, version

    signs = (version(model) or (0, 0)) >= (3, 0)
    return {"extra_content": {"google": {"thought_signature": NO_SIGNATURE}}} if signs else {}


def _wants_developer(model: str) -> bool:
    """Reasoning models (o1 and later, gpt-5 and later) take instructions as ``developer``."""
    return model.startswith(("o1", "o3", "o4", "gpt-5", "gpt-6"))
