"""Gemini's stream of partial responses as deltas."""

from __future__ import annotations

from typing import Any

from aura_py import ids
from aura_py.errors import ProviderError
from aura_py.llm.contract import Delta
from aura_py.llm.json_text import object_at, text_at, to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.sse import SseReader
from aura_py.llm.stream_errors import stated_error, stream_error
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.usage_counts import count
from aura_py.messages import ToolCall, Usage


class GeminiStream(StreamReader):
    """The stream has no last event; it is judged when the body ends."""

    def __init__(self, errors: ProviderErrors) -> None:
        super().__init__(errors, SseReader())

    def take(self, event: dict[str, Any], out: list[Delta]) -> None:
        candidates = event.get("candidates")
        error = event.get("error") or (None if candidates or event.get("usageMetadata") else stated_error(event))
        if error:
            raise self.error(error)
        candidate = _first_candidate(candidates)
        if candidate is not None:
            parts = object_at(candidate, "content").get("parts")
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, dict):
                    self._part(part, out)
            self._judge(candidate)
        elif object_at(event, "promptFeedback").get("blockReason"):
            self.stop = "content_filter"
        self.report(_usage(object_at(event, "usageMetadata")), out)

    def finish(self, out: list[Delta]) -> None:
        if not self.stop and self.records.count and not self.has_spoken(out):
            raise self.errors.empty()
        super().finish(out)

    def error(self, stated: object) -> ProviderError:
        return google_error(self.errors, stated)

    def _judge(self, candidate: dict[str, Any]) -> None:
        stop = candidate.get("finishReason")
        why = candidate.get("finishMessage", "")
        if stop == "MISSING_THOUGHT_SIGNATURE":
            raise self.errors.status(400, f"{stop}: {why}")
        if stop:
            self.stopped(stop, why)

    def _part(self, part: dict[str, Any], out: list[Delta]) -> None:
        signature = text_at(part, "thoughtSignature")
        text = text_at(part, "text")
        call = object_at(part, "functionCall")
        if text and part.get("thought"):
            self.think(text, out)
        elif text:
            self.close_thought(out)
            self.say(text, out)
        if call:
            self.close_thought(out)
            self._call(call, signature, out)
        elif signature:
            self.think("", out, thoughtSignature=signature)
            self.close_thought(out)

    def _call(self, call: dict[str, Any], signature: str, out: list[Delta]) -> None:
        id_ = text_at(call, "id")
        opaque = {name: value for name, value in (("thoughtSignature", signature), ("id", id_)) if value}
        arguments = to_json(call.get("args") or {}).decode()
        self.add_whole_call(ToolCall(id_ or ids.tool_call_id(), text_at(call, "name"), arguments, opaque), out)


def _first_candidate(candidates: object) -> dict[str, Any] | None:
    for candidate in candidates if isinstance(candidates, list) else ():
        if isinstance(candidate, dict) and not candidate.get("index"):
            return candidate
    return None


def google_error(errors: ProviderErrors, error: object) -> ProviderError:
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
