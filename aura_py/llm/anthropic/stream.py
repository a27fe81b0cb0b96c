"""Anthropic's stream events as deltas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aura_py.llm.anthropic.body import PROVIDER
from aura_py.llm.assembler import ToolCallAssembler
from aura_py.llm.contract import Delta, Finish, Text, Thinking, ThinkingBlock, UsageReport
from aura_py.llm.finish_reasons import finish_reason
from aura_py.llm.json_text import at, text_at, to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.stream_errors import stated_error, stream_error
from aura_py.llm.stream_reader import SseStreamReader
from aura_py.llm.usage_counts import UsageCounter, count
from aura_py.messages import Reasoning, Usage


@dataclass(slots=True)
class _Thought:
    pieces: list[str] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)


class AnthropicStream(SseStreamReader):
    """Holds what one response has said so far; ``done`` once ``message_stop`` came."""

    def __init__(self, errors: ProviderErrors) -> None:
        super().__init__(errors)
        self._thoughts: dict[Any, _Thought] = {}
        self._whole: dict[Any, str] = {}
        """Arguments that came with the start of a call; what follows in pieces takes their place."""
        self._calls = ToolCallAssembler()
        self._spoke = False
        self._stop: object = None
        self._usage = UsageCounter()

    def take(self, event: dict[str, Any], out: list[Delta]) -> None:
        kind = event.get("type")
        if kind == "content_block_delta":
            self._grow(event.get("index"), event["delta"], out)
        elif kind == "content_block_start":
            self._begin(event.get("index"), event["content_block"], out)
        elif kind == "content_block_stop":
            self._close(event.get("index"), out)
        elif kind == "message_start":
            # Reported at once, so that a call cut short is not for free.
            self._usage.add(_usage(at(event.get("message"), "usage")))
            out.append(UsageReport(self._usage.total))
        elif kind == "message_delta":
            self._stop = at(event, "delta").get("stop_reason") or self._stop
            self._usage.add(_usage(at(event, "usage")))
        elif kind == "message_stop":
            if not self._stop and not self._spoke:
                raise self.errors.empty()
            self._end(out)
        else:
            error = stated_error(event)
            if error:
                raise stream_error(self.errors, error)

    def finish(self, out: list[Delta]) -> None:
        """Servers that only speak the protocol may leave out the last event, but not the reason before it."""
        if not self._stop:
            raise self.errors.broken()
        self._end(out)

    def _end(self, out: list[Delta]) -> None:
        for index in [*self._whole, *self._thoughts]:
            self._close(index, out)
        calls = self._calls.finish()
        out += calls
        out.append(UsageReport(self._usage.total))
        reason = finish_reason(self._stop)
        out.append(Finish("tool_calls" if calls and reason == "stop" else reason))
        self.done = True

    def _grow(self, index: object, delta: dict[str, Any], out: list[Delta]) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            text = text_at(delta, "text")
            if text:
                self._spoke = True
                out.append(Text(text))
        elif kind == "input_json_delta":
            piece = text_at(delta, "partial_json")
            if piece and index in self._whole:
                self._whole[index] = ""
                out.append(self._calls.add(_number(index), None, None, piece))
        elif index in self._thoughts:
            thought = self._thoughts[index]
            text = text_at(delta, "thinking")
            if text:
                self._spoke = True
                thought.pieces.append(text)
                out.append(Thinking(text))
            thought.signature.append(text_at(delta, "signature"))

    def _begin(self, index: object, block: dict[str, Any], out: list[Delta]) -> None:
        kind = block.get("type")
        text = text_at(block, "text" if kind == "text" else "thinking")
        self._spoke = self._spoke or bool(text) or kind == "tool_use"
        if kind == "tool_use":
            # Empty at Anthropic; servers that only speak the protocol put the whole of the arguments here.
            whole = block.get("input")
            self._whole[index] = whole if isinstance(whole, str) else to_json(whole).decode() if whole else ""
            out.append(self._calls.add(_number(index), text_at(block, "id"), text_at(block, "name"), ""))
        elif kind == "thinking":
            self._thoughts[index] = _Thought([text] if text else [], [text_at(block, "signature")])
            if text:
                out.append(Thinking(text))
        elif kind == "redacted_thinking":
            out.append(ThinkingBlock(Reasoning("", PROVIDER, {"redacted": block.get("data")})))
        elif text:
            out.append(Text(text))

    def _close(self, index: object, out: list[Delta]) -> None:
        whole = self._whole.pop(index, "")
        if whole:
            out.append(self._calls.add(_number(index), None, None, whole))
        thought = self._thoughts.pop(index, None)
        if thought is not None:
            signature = "".join(thought.signature)
            opaque = {"signature": signature} if signature else {}
            out.append(ThinkingBlock(Reasoning("".join(thought.pieces), PROVIDER, opaque)))


def _number(index: object) -> int | None:
    return index if isinstance(index, int) else None


def _usage(usage: dict[str, Any]) -> Usage:
    cached = count(usage, "cache_read_input_tokens")
    written = count(usage, "cache_creation_input_tokens")
    return Usage(
        # Anthropic counts cached tokens beside `input_tokens`, not in it.
        input=count(usage, "input_tokens") + cached + written,
        output=count(usage, "output_tokens"),
        cached=cached,
        cache_write=written,
        reasoning=count(at(usage, "output_tokens_details"), "thinking_tokens"),
    )
