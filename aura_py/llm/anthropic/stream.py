"""Anthropic's stream events as deltas."""

from __future__ import annotations

from typing import Any

from aura_py.llm.contract import Delta, ThinkingBlock
from aura_py.llm.json_text import object_at, text_at, to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.sse import SseReader
from aura_py.llm.stream_errors import stated_error
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.usage_counts import count
from aura_py.messages import Reasoning, Usage


class AnthropicStream(StreamReader):
    """``done`` once ``message_stop`` came; servers that only speak the protocol may leave it out."""

    def __init__(self, errors: ProviderErrors) -> None:
        super().__init__(errors, SseReader())
        self._whole: dict[Any, str] = {}
        """Arguments that came with the start of a call; what follows in pieces takes their place."""

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
            self.report(_usage(object_at(event.get("message"), "usage")), out)
        elif kind == "message_delta":
            self.stop = object_at(event, "delta").get("stop_reason") or self.stop
            self.report(_usage(object_at(event, "usage")), out)
        elif kind == "message_stop":
            self.complete(out)
        else:
            error = stated_error(event)
            if error:
                raise self.error(error)

    def complete(self, out: list[Delta]) -> None:
        for index in list(self._whole):
            self._close(index, out)
        super().complete(out)

    def _grow(self, index: object, delta: dict[str, Any], out: list[Delta]) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            self.say(text_at(delta, "text"), out)
        elif kind == "input_json_delta":
            piece = text_at(delta, "partial_json")
            if piece and index in self._whole:
                self._whole[index] = ""
                out.append(self.calls.add(_number(index), None, None, piece))
        elif kind in ("thinking_delta", "signature_delta"):
            self.think(text_at(delta, "thinking"), out, index, signature=text_at(delta, "signature"))

    def _begin(self, index: object, block: dict[str, Any], out: list[Delta]) -> None:
        kind = block.get("type")
        if kind == "tool_use":
            # Empty at Anthropic; servers that only speak the protocol put the whole of the arguments here.
            whole = block.get("input")
            self._whole[index] = whole if isinstance(whole, str) else to_json(whole).decode() if whole else ""
            out.append(self.calls.add(_number(index), text_at(block, "id"), text_at(block, "name"), ""))
        elif kind == "thinking":
            self.think(text_at(block, "thinking"), out, index, signature=text_at(block, "signature"))
        elif kind == "redacted_thinking":
            out.append(ThinkingBlock(Reasoning("", self.errors.provider, {"redacted": block.get("data")})))
        elif kind == "text":
            self.say(text_at(block, "text"), out)

    def _close(self, index: object, out: list[Delta]) -> None:
        whole = self._whole.pop(index, "")
        if whole:
            out.append(self.calls.add(_number(index), None, None, whole))
        self.close_thought(out, index)


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
        reasoning=count(object_at(usage, "output_tokens_details"), "thinking_tokens"),
    )
