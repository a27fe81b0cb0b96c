"""Anthropic's stream events as deltas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aura_py.errors import ProviderError
from aura_py.llm.anthropic_body import PROVIDER
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
from aura_py.llm.json_text import to_json
from aura_py.llm.reading import SseStreamReader
from aura_py.messages import FinishReason, Reasoning, ToolCall, Usage

_STOPS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


@dataclass(slots=True)
class _Call:
    position: int
    id: str
    name: str
    whole: str = ""
    pieces: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Thought:
    pieces: list[str] = field(default_factory=list)
    signature: str = ""


class AnthropicStream(SseStreamReader):
    """Holds what one response has said so far; ``done`` once ``message_stop`` came."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self._open: dict[int, _Call | _Thought] = {}
        self._calls = 0
        self._stop: str | None = None
        self._usage: dict[str, Any] = {}

    def take(self, event: dict[str, Any], out: list[Delta]) -> None:
        kind = event["type"]
        if kind == "content_block_delta":
            self._grow(event["index"], event["delta"], out)
        elif kind == "content_block_start":
            self._begin(event["index"], event["content_block"], out)
        elif kind == "content_block_stop":
            self._close(event["index"], out)
        elif kind == "message_start":
            # Reported at once, so that a call cut short is not for free.
            self._count(event["message"].get("usage"))
            out.append(UsageReport(self._total()))
        elif kind == "message_delta":
            self._stop = event["delta"].get("stop_reason") or self._stop
            self._count(event.get("usage"))
        elif kind == "message_stop":
            self.done = True
            out.append(UsageReport(self._total()))
            reason = _STOPS.get(self._stop or "", "stop")
            out.append(Finish("tool_calls" if self._calls and reason == "stop" else reason))
        elif kind == "error":
            raise self._failure(event["error"])

    def _grow(self, index: int, delta: dict[str, Any], out: list[Delta]) -> None:
        kind = delta["type"]
        if kind == "text_delta":
            if delta["text"]:
                out.append(Text(delta["text"]))
            return
        block = self._open.get(index)
        if kind == "input_json_delta" and isinstance(block, _Call):
            piece = delta["partial_json"]
            if piece:
                block.pieces.append(piece)
                out.append(ToolCallFragment(block.position, block.id, block.name, piece))
        elif isinstance(block, _Thought):
            if kind == "thinking_delta" and delta["thinking"]:
                block.pieces.append(delta["thinking"])
                out.append(Thinking(delta["thinking"]))
            elif kind == "signature_delta":
                block.signature += delta["signature"]

    def _begin(self, index: int, block: dict[str, Any], out: list[Delta]) -> None:
        kind = block["type"]
        if kind == "tool_use":
            # Empty at Anthropic; servers that only speak the protocol put the whole of the arguments here.
            whole = to_json(block["input"]).decode() if block.get("input") else ""
            call = _Call(self._calls, block["id"], block["name"], whole)
            self._calls += 1
            self._open[index] = call
            out.append(ToolCallFragment(call.position, call.id, call.name, ""))
        elif kind == "thinking":
            thought = _Thought(signature=block.get("signature") or "")
            self._open[index] = thought
            if block.get("thinking"):
                thought.pieces.append(block["thinking"])
                out.append(Thinking(block["thinking"]))
        elif kind == "redacted_thinking":
            out.append(ThinkingBlock(Reasoning("", PROVIDER, {"redacted": block["data"]})))
        elif kind == "text" and block.get("text"):
            out.append(Text(block["text"]))

    def _close(self, index: int, out: list[Delta]) -> None:
        block = self._open.pop(index, None)
        if isinstance(block, _Call):
            arguments = "".join(block.pieces) or block.whole or "{}"
            out.append(ToolCallReady(ToolCall(block.id, block.name, arguments)))
        elif isinstance(block, _Thought):
            opaque = {"signature": block.signature} if block.signature else {}
            out.append(ThinkingBlock(Reasoning("".join(block.pieces), PROVIDER, opaque)))

    def _count(self, usage: dict[str, Any] | None) -> None:
        if usage:
            self._usage.update({key: value for key, value in usage.items() if value is not None})

    def _total(self) -> Usage:
        usage = self._usage
        cached = usage.get("cache_read_input_tokens", 0)
        written = usage.get("cache_creation_input_tokens", 0)
        details = usage.get("output_tokens_details") or {}
        return Usage(
            # Anthropic counts cached tokens beside `input_tokens`, not in it.
            input=usage.get("input_tokens", 0) + cached + written,
            output=usage.get("output_tokens", 0),
            cached=cached,
            cache_write=written,
            reasoning=details.get("thinking_tokens") or 0,
        )

    def _failure(self, error: dict[str, Any]) -> ProviderError:
        kind = str(error.get("type", ""))
        return self.asked.status(_STATUS.get(kind, 500), f"{kind}: {error.get('message', '')}")
