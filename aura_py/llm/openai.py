"""OpenAI's Chat Completions, and every server that speaks it through ``base_url`` (``config.md`` §8)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from aura_py.config.models import LLMBase, OpenAILLM
from aura_py.llm.body import pieces_of
from aura_py.llm.chat_request import ChatSettings, chat_body, has_linked_files
from aura_py.llm.chat_stream import ChatStream
from aura_py.llm.contract import Capabilities, ChatRequest, Delta, ThinkingBlock
from aura_py.llm.failures import Asked
from aura_py.llm.json_text import to_json
from aura_py.llm.openai_client import Connection, import_sdk
from aura_py.llm.reading import drain
from aura_py.llm.sse import OversizedEvent, SseReader
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
_ADDRESS = "https://api.openai.com/v1"
_REASONING_KEYS = ("reasoning_content", "reasoning")


class ChatCompletionsModel:
    """One model behind a Chat Completions endpoint. Related dialects give other settings or another reader."""

    def __init__(
        self,
        config: LLMBase,
        settings: ChatSettings,
        asked: Asked,
        api_key: str,
        *,
        capabilities: Capabilities = CAPABILITIES,
        headers: Mapping[str, str] | None = None,
        reader: type[ChatStream] = ChatStream,
    ) -> None:
        self.provider = asked.provider
        self.model = config.model
        self.context_window = config.context_window
        self.capabilities = capabilities
        self._settings = settings
        self._asked = asked
        self._connection = Connection(asked.address, api_key, headers)
        self._reader = reader

    async def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        body = to_json(self.body(request))
        response = await self._connection.open(self._asked, "/chat/completions", body)
        import aiohttp
        import httpx2

        try:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            chat = self._reader(self._asked)
            try:
                if kind in ("text/html", "application/json"):
                    for deltas in self._whole(kind, chat, await response.aread()):
                        yield deltas
                    return
                events = SseReader()
                chunks = aiter(pieces_of(response))
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
                if events.junk and not chat.finished:
                    raise self._asked.garbage(events.junk.decode(errors="replace"))
                yield [*deltas, *chat.end()]
                await drain(chunks)
            except OversizedEvent as error:
                raise self._asked.garbage("an event without an end", error) from error
            except (httpx2.HTTPError, aiohttp.ClientError, OSError) as error:
                raise self._asked.broken(error) from error
        finally:
            await response.aclose()

    def body(self, request: ChatRequest) -> dict[str, object]:
        """What is sent."""
        return chat_body(self._settings, request)

    async def aclose(self) -> None:
        await self._connection.aclose()

    def _whole(self, kind: str, chat: ChatStream, body: bytes) -> Iterator[list[Delta]]:
        """An answer that is not a stream: some servers ignore ``stream`` and send one object."""
        if kind == "text/html":
            raise self._asked.garbage(body.decode(errors="replace"))
        deltas = chat.read((body,))
        if chat.failure is not None:
            raise chat.failure
        yield [*deltas, *chat.end()]


def build(config: OpenAILLM, *, agent: str) -> ChatCompletionsModel:
    """The model of an agent's ``[agent.llm]`` table. Nothing is imported or connected yet."""
    key = config.api_key.get_secret_value()
    official = config.base_url is None or urlsplit(config.base_url).hostname == urlsplit(_ADDRESS).hostname
    settings = ChatSettings(
        model=config.model,
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        max_tokens_key="max_completion_tokens" if official else "max_tokens",
        reasoning_effort=config.reasoning_effort,
        returns_reasoning_of=PROVIDER,
        system_role="developer" if official and _wants_developer(config.model) else "system",
        extra=config.additional_params,
    )
    asked = Asked(agent, PROVIDER, config.model, config.base_url or _ADDRESS, secrets=(key,))
    return _OpenAIModel(config, settings, asked, key, reader=_OpenAIStream)


def preload() -> None:
    """Imports the SDK; takes most of a second, so a server does it in a thread before the first question."""
    import_sdk()


class _OpenAIModel(ChatCompletionsModel):
    def body(self, request: ChatRequest) -> dict[str, object]:
        if has_linked_files(request.messages):
            raise self._asked.refuse_content("a file by its address", "send the file's data instead")
        return super().body(request)


class _OpenAIStream(ChatStream):
    """Keeps the reasoning that servers beside OpenAI's own stream, because some want it back with tool results."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
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
            block = Reasoning("".join(self._thoughts), PROVIDER, {"key": self._key})
            deltas.insert(0, ThinkingBlock(block))
        return deltas


def _wants_developer(model: str) -> bool:
    """Reasoning models (o1 and later, gpt-5 and later) take instructions as ``developer``."""
    return model.startswith(("o1", "o3", "o4", "gpt-5", "gpt-6"))
