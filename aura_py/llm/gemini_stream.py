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
from aura_py.llm.failures import Asked
from aura_py.llm.gemini_body import PROVIDER
from aura_py.llm.reading import SseStreamReader
from aura_py.messages import FinishReason, JsonObject, Reasoning, ToolCall, Usage

_STOPS: dict[str, FinishReason] = {
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "TOO_MANY_TOOL_CALLS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "ESCALATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
# The model failed to form an answer; asking again usually helps.
_MISFIRES = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"})

_HEAD_BYTES = 8192


class GeminiStream(SseStreamReader):
    """Holds what one response has said so far. The stream has no last event; it is judged when the body ends."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self._calls = 0
        self._stop: str | None = None
        self._blocked = False
        self._thinking: list[str] = []
        self._head = b""

    def feed(self, chunk: bytes) -> list[Delta]:
        if len(self._head) < _HEAD_BYTES and not self._sse.lines:
            self._head += chunk[:_HEAD_BYTES]
        return super().feed(chunk)

    def take(self, event: dict[str, Any], out: list[Delta]) -> None:
        if "error" in event:
            raise failure(self.asked, event["error"])
        candidates = event.get("candidates")
        if candidates:
            candidate = candidates[0]
            content = candidate.get("content")
            if content:
                for part in content.get("parts") or ():
                    self._part(part, out)
            stop = candidate.get("finishReason")
            if stop:
                if stop == "MISSING_THOUGHT_SIGNATURE":
                    raise self.asked.status(400, f"{stop}: {candidate.get('finishMessage', '')}")
                if stop in _MISFIRES:
                    raise self.asked.status(500, f"{stop}: {candidate.get('finishMessage', '')}")
                self._stop = stop
        elif (event.get("promptFeedback") or {}).get("blockReason"):
            self._blocked = True
        usage = event.get("usageMetadata")
        if usage:
            out.append(UsageReport(_usage(usage)))

    def finish(self, out: list[Delta]) -> None:
        self._close_thinking(out)
        if self._blocked:
            out.append(Finish("content_filter"))
        elif self._stop is None:
            raise self.asked.broken()
        else:
            reason = _STOPS.get(self._stop, "stop")
            out.append(Finish("tool_calls" if self._calls and reason == "stop" else reason))

    def odd(self, junk: bytes) -> ProviderError:
        """Some errors come as a plain JSON body with status 200."""
        try:
            value = orjson.loads(self._head)
        except orjson.JSONDecodeError:
            return super().odd(junk)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, dict) and isinstance(value.get("error"), dict):
            return failure(self.asked, value["error"])
        return super().odd(junk)

    def _part(self, part: dict[str, Any], out: list[Delta]) -> None:
        signature = part.get("thoughtSignature")
        text = part.get("text")
        if text and part.get("thought"):
            self._thinking.append(text)
            out.append(Thinking(text))
        elif text:
            self._close_thinking(out)
            out.append(Text(text))
        call = part.get("functionCall")
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
        if call.get("id"):
            opaque["id"] = call["id"]
        arguments = orjson.dumps(call.get("args") or {}).decode()
        ready = ToolCall(call.get("id") or ids.tool_call_id(), call["name"], arguments, opaque)
        out.append(ToolCallFragment(self._calls, ready.id, ready.name, arguments))
        out.append(ToolCallReady(ready))
        self._calls += 1

    def _close_thinking(self, out: list[Delta]) -> None:
        if self._thinking:
            out.append(ThinkingBlock(Reasoning("".join(self._thinking), PROVIDER)))
            self._thinking = []


def failure(asked: Asked, error: JsonObject) -> ProviderError:
    """The error object of Google's APIs, sent as a body or in mid-stream."""
    code = error.get("code")
    return asked.status(
        code if isinstance(code, int) else 500, orjson.dumps(error).decode(), retry_after=_retry_delay(error)
    )


def _retry_delay(error: JsonObject) -> float | None:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            try:
                return float(delay[:-1])
            except ValueError:
                return None
    return None


def _usage(usage: dict[str, Any]) -> Usage:
    thoughts = usage.get("thoughtsTokenCount") or 0
    return Usage(
        input=(usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0),
        output=(usage.get("candidatesTokenCount") or 0) + thoughts,
        cached=usage.get("cachedContentTokenCount") or 0,
        reasoning=thoughts,
    )
