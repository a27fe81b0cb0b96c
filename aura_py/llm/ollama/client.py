"""Ollama's ``/api/chat``: newline-delimited JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson

from aura_py import ids
from aura_py.errors import ProviderError
from aura_py.llm.contract import (
    Capabilities,
    ChatModel,
    ChatRequest,
    Delta,
    Finish,
    Text,
    Thinking,
    ThinkingBlock,
    ToolCallFragment,
    ToolCallReady,
    UsageReport,
)
from aura_py.llm.finish_reasons import finish_reason
from aura_py.llm.json_text import MALFORMED, at, text_at, to_json
from aura_py.llm.lenient_json import LenientJson, is_cut
from aura_py.llm.ollama.body import PROVIDER, build_body
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.sse import PendingBytes
from aura_py.llm.stream_errors import stated_error, stream_error
from aura_py.llm.stream_reader import Answer, stream_deltas
from aura_py.llm.transport import HttpClient, check_key, join_url
from aura_py.llm.usage_counts import count
from aura_py.messages import Reasoning, ToolCall, Usage

if TYPE_CHECKING:
    from aura_py.config.models import OllamaLLM

CAPABILITIES = Capabilities(
    images=True,
    tool_images=True,
    reasoning=True,
    parallel_tools=True,
    tool_choice=False,
    seed=True,
    stop=True,
    response_format=True,
    reasoning_effort=True,
    prompt_cache=False,
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
_LINE_LIMIT = 8 * 1024 * 1024


def build(config: OllamaLLM, *, agent: str) -> ChatModel:
    """A model behind an Ollama server.

    Raises:
        ConfigurationError: The key cannot be sent.
    """
    return _Ollama(config, agent)


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


class _Ollama:
    def __init__(self, config: OllamaLLM, agent: str) -> None:
        key = check_key(config.api_key.get_secret_value(), agent) if config.api_key else ""
        self.provider = PROVIDER
        self.model = config.model
        self.context_window = config.context_window
        self.capabilities = CAPABILITIES
        self._config = config
        self._errors = ollama_errors(agent, config.model, config.base_url, key)
        self._client = HttpClient()
        self._url = join_url(config.base_url, "/api/chat")
        self._headers = key_headers(key)

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
            yield _OllamaStream(self._errors), response.chunks()


class _OllamaStream:
    """Splits lines and turns each into deltas; ``done`` after the line that says so."""

    def __init__(self, errors: ProviderErrors) -> None:
        self._errors = errors
        self._pending = PendingBytes()
        self._json = LenientJson()
        self._spoke = False
        self._calls = 0
        self._thinking: list[str] = []
        self.failure: ProviderError | None = None
        self.done = False

    def feed(self, chunk: bytes) -> list[Delta]:
        self._pending.append(chunk)
        lines: list[bytes] = []
        if b"\n" in chunk:
            lines = self._pending.take().split(b"\n")
            self._pending.append(lines.pop())
        if self._pending.size > _LINE_LIMIT:
            self.failure = self._errors.garbage("a line without an end")
            return []
        out: list[Delta] = []
        for line in lines:
            if self.done or self.failure is not None:
                break
            if line.strip():
                self._line(line, out)
        return out

    def end(self) -> list[Delta]:
        out: list[Delta] = []
        rest = self._pending.take().strip()
        if rest and not is_cut(rest.decode(errors="replace")):
            # The last line may lack its line feed.
            self._line(rest, out)
        if self.failure is None and not self.done:
            self.failure = self._errors.broken()
        return out

    def _line(self, line: bytes, out: list[Delta]) -> None:
        deltas: list[Delta] = []
        try:
            try:
                self._event(orjson.loads(line), deltas)
            except orjson.JSONDecodeError:
                for event in self._json.values(line):
                    if not self.done:
                        self._event(event, deltas)
        except ProviderError as failure:
            self.failure = failure
        except MALFORMED as error:
            self.failure = self._errors.garbage(line.decode(errors="replace"), error)
        out += self._json.joined(deltas)

    def _event(self, event: dict[str, Any], out: list[Delta]) -> None:
        message = event.get("message")
        error = event.get("error") or (None if isinstance(message, dict) or event.get("done") else stated_error(event))
        if error:
            raise stream_error(self._errors, event)
        if isinstance(message, dict):
            self._spoke = True
            self._message(message, out)
        if event.get("done"):
            if not self._spoke:
                raise self._errors.empty()
            self._finish(event, out)

    def _message(self, message: dict[str, Any], out: list[Delta]) -> None:
        thinking = text_at(message, "thinking")
        if thinking:
            self._thinking.append(thinking)
            out.append(Thinking(thinking))
        content = text_at(message, "content")
        if content:
            self._close_thinking(out)
            out.append(Text(content))
        entries = message.get("tool_calls")
        for entry in entries if isinstance(entries, list) else ():
            self._close_thinking(out)
            function = at(entry, "function")
            arguments = function.get("arguments")
            text = arguments if isinstance(arguments, str) else to_json(arguments or {}).decode()
            call = ToolCall(text_at(entry, "id") or ids.tool_call_id(), text_at(function, "name"), text or "{}")
            out.append(ToolCallFragment(self._calls, call.id, call.name, call.arguments))
            out.append(ToolCallReady(call))
            self._calls += 1

    def _close_thinking(self, out: list[Delta]) -> None:
        if self._thinking:
            out.append(ThinkingBlock(Reasoning("".join(self._thinking), PROVIDER)))
            self._thinking = []

    def _finish(self, event: dict[str, Any], out: list[Delta]) -> None:
        self._close_thinking(out)
        out.append(UsageReport(Usage(input=count(event, "prompt_eval_count"), output=count(event, "eval_count"))))
        reason = finish_reason(event.get("done_reason"))
        out.append(Finish("tool_calls" if self._calls and reason == "stop" else reason))
        self.done = True
