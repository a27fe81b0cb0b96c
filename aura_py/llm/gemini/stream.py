"""Gemini's stream of partial responses as deltas."""

from __future__ import annotations

from typing import Any

import orjson

from aura_py import ids
from aura_py.errors import ProviderError
from aura_py.llm.contract import (
    Delta,
    Finish,
    Text,
    Thinking,
    ThinkingBlock,
    ToolCallFragment,
    ToolCallReady,
    UsageReport,
)
from aura_py.llm.finish_reasons import finish_reason, is_failure
from aura_py.llm.gemini.body import PROVIDER
from aura_py.llm.json_text import at, text_at, to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.stream_errors import stated_error, stream_error
from aura_py.llm.stream_reader import SseStreamReader
from aura_py.llm.usage_counts import UsageCounter, count
from aura_py.messages import Reasoning, ToolCall, Usage

_HEAD_BYTES = 8192


class GeminiStream(SseStreamReader):
    """Holds what one response has said so far. The stream has no last event; it is judged when the body ends."""

    def __init__(self, errors: ProviderErrors) -> None:
        super().__init__(errors)
        self._calls = 0
        self._usage = UsageCounter()
        self._spoke = False
        self._stop: object = None
        self._blocked = False
        self._thinking: list[str] = []
        self._head = b""

    def feed(self, chunk: bytes) -> list[Delta]:
        if len(self._head) < _HEAD_BYTES and not self._sse.lines:
            self._head += chunk[:_HEAD_BYTES]
        return super().feed(chunk)

    def take(self, event: dict[str, Any], out: list[Delta]) -> None:
        candidates = event.get("candidates")
        error = event.get("error") or (None if candidates or event.get("usageMetadata") else stated_error(event))
        if error:
            raise failure(self.errors, error)
        candidate = _first_candidate(candidates)
        if candidate is not None:
            parts = at(candidate, "content").get("parts")
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, dict):
                    self._part(part, out)
            self._judge(candidate)
        elif at(event, "promptFeedback").get("blockReason"):
            self._blocked = True
        if self._usage.add(_usage(at(event, "usageMetadata"))):
            out.append(UsageReport(self._usage.total))

    def finish(self, out: list[Delta]) -> None:
        self._close_thinking(out)
        if self._blocked:
            out.append(Finish("content_filter"))
        elif self._stop is None:
            raise self.errors.broken() if self._spoke or not self._sse.lines else self.errors.empty()
        else:
            reason = finish_reason(self._stop)
            out.append(Finish("tool_calls" if self._calls and reason == "stop" else reason))

    def _judge(self, candidate: dict[str, Any]) -> None:
        stop = candidate.get("finishReason")
        if stop:
            if stop == "MISSING_THOUGHT_SIGNATURE":
                raise self.errors.status(400, f"{stop}: {candidate.get('finishMessage', '')}")
            if is_failure(stop):
                # The model failed to form an answer; asking again usually helps.
                raise self.errors.status(500, f"{stop}: {candidate.get('finishMessage', '')}")
            self._stop = stop

    def odd(self, junk: bytes) -> ProviderError:
        """Some errors come as a plain JSON body with status 200."""
        try:
            value = orjson.loads(self._head)
        except orjson.JSONDecodeError:
            return super().odd(junk)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, dict) and isinstance(value.get("error"), dict):
            return failure(self.errors, value["error"])
        return super().odd(junk)

    def _part(self, part: dict[str, Any], out: list[Delta]) -> None:
        signature = part.get("thoughtSignature")
        text = text_at(part, "text")
        call = at(part, "functionCall")
        self._spoke = self._spoke or bool(text or call)
        if text and part.get("thought"):
            self._thinking.append(text)
            out.append(Thinking(text))
        elif text:
            self._close_thinking(out)
            out.append(Text(text))
        if call:
            self._close_thinking(out)
            self._call(call, signature, out)
        elif signature:
            thought = "".join(self._thinking)
            self._thinking = []
            out.append(ThinkingBlock(Reasoning(thought, PROVIDER, {"thoughtSignature": signature})))

    def _call(self, call: dict[str, Any], signature: str | None, out: list[Delta]) -> None:
        opaque: dict[str, str] = {}
        if signature:
            opaque["thoughtSignature"] = signature
        id_ = text_at(call, "id")
        if id_:
            opaque["id"] = id_
        arguments = to_json(call.get("args") or {}).decode()
        ready = ToolCall(id_ or ids.tool_call_id(), text_at(call, "name"), arguments, opaque)
        out.append(ToolCallFragment(self._calls, ready.id, ready.name, arguments))
        out.append(ToolCallReady(ready))
        self._calls += 1

    def _close_thinking(self, out: list[Delta]) -> None:
        if self._thinking:
            out.append(ThinkingBlock(Reasoning("".join(self._thinking), PROVIDER)))
            self._thinking = []


def _first_candidate(candidates: object) -> dict[str, Any] | None:
    for candidate in candidates if isinstance(candidates, list) else ():
        if isinstance(candidate, dict) and not candidate.get("index"):
            return candidate
    return None


def failure(errors: ProviderErrors, error: object) -> ProviderError:
    """The error object of Google's APIs, sent as a body or in mid-stream."""
    return stream_error(errors, error, retry_after=_retry_delay(error))


def _retry_delay(error: object) -> float | None:
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            try:
                return float(delay[:-1])
            except ValueError:
                return None
    return None


def _usage(usage: dict[str, Any]) -> Usage:
    thoughts = count(usage, "thoughtsTokenCount")
    return Usage(
        input=count(usage, "promptTokenCount") + count(usage, "toolUsePromptTokenCount"),
        output=count(usage, "candidatesTokenCount") + thoughts,
        cached=count(usage, "cachedContentTokenCount"),
        reasoning=thoughts,
    )
