"""The events of ``ConverseStream`` as deltas."""

from __future__ import annotations

from typing import Any

import orjson

from aura_py.errors import ProviderError
from aura_py.llm.bedrock.errors import bedrock_error
from aura_py.llm.bedrock.frames import Frame, FrameReader
from aura_py.llm.contract import Delta
from aura_py.llm.json_text import MALFORMED, object_at, text_at
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.usage_counts import count
from aura_py.messages import Usage


class BedrockStream(StreamReader):
    """``done`` once the closing metadata came."""

    def __init__(self, errors: ProviderErrors) -> None:
        super().__init__(errors, FrameReader())
        self._tools: set[Any] = set()

    def take_record(self, record: Frame, out: list[Delta]) -> None:
        if record.failed:
            raise self._failed(record)
        for body in self.values(record.payload or b"{}"):
            self.take({record.event: body}, out)

    def take(self, event: dict[str, dict[str, Any]], out: list[Delta]) -> None:
        """One event as AWS's SDKs show it: an object whose only key is the kind."""
        for kind, body in event.items():
            index = body.get("contentBlockIndex")
            if kind == "contentBlockDelta":
                self._grow(index, body["delta"], out)
            elif kind == "contentBlockStart":
                start = object_at(object_at(body, "start"), "toolUse")
                # Tools that the service runs itself are its own affair.
                if start and start.get("type") != "server_tool_use":
                    self._tools.add(index)
                    out.append(self.calls.add(index, text_at(start, "toolUseId"), text_at(start, "name"), ""))
            elif kind == "contentBlockStop":
                self._tools.discard(index)
                self.close_thought(out, index)
            elif kind == "messageStop":
                self.stopped(body.get("stopReason") or "end_turn")
            elif kind == "metadata":
                self.report(_usage(object_at(body, "usage")), out)
                self.complete(out)

    def error(self, stated: object) -> ProviderError:
        return bedrock_error(self.errors, "", 500, str(stated)) if isinstance(stated, str) else super().error(stated)

    def _grow(self, index: Any, delta: dict[str, Any], out: list[Delta]) -> None:
        self.say(text_at(delta, "text"), out)
        piece = text_at(object_at(delta, "toolUse"), "input")
        if piece and index in self._tools:
            out.append(self.calls.add(index, None, None, piece))
        thought = object_at(delta, "reasoningContent")
        if thought:
            marks = {"signature": text_at(thought, "signature"), "redacted": text_at(thought, "redactedContent")}
            self.think(text_at(thought, "text"), out, index, **marks)

    def _failed(self, frame: Frame) -> ProviderError:
        original: object = None
        try:
            body = orjson.loads(frame.payload)
            original = body.get("originalStatusCode")
            text = f"{body.get('message', '')} {body.get('originalMessage', '')}".strip()
        except MALFORMED:
            text = frame.payload.decode(errors="replace")
        return bedrock_error(self.errors, frame.event, original if isinstance(original, int) else 500, text)


def _usage(usage: dict[str, Any]) -> Usage:
    cached = count(usage, "cacheReadInputTokens")
    written = count(usage, "cacheWriteInputTokens")
    return Usage(
        # Bedrock counts cached tokens beside `inputTokens`, not in it.
        input=count(usage, "inputTokens") + cached + written,
        output=count(usage, "outputTokens"),
        cached=cached,
        cache_write=written,
    )
