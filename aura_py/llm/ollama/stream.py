"""Ollama's lines of JSON as deltas."""

from __future__ import annotations

from typing import Any

from aura_py import ids
from aura_py.llm.contract import Delta
from aura_py.llm.json_text import object_at, text_at, to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.records import LineReader
from aura_py.llm.stream_errors import stated_error
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.usage_counts import count
from aura_py.messages import ToolCall, Usage

_LINE_LIMIT = 8 * 1024 * 1024


class OllamaStream(StreamReader):
    """``done`` after the line that says so."""

    def __init__(self, errors: ProviderErrors) -> None:
        super().__init__(errors, LineReader(_LINE_LIMIT))

    def take(self, event: dict[str, Any], out: list[Delta]) -> None:
        message = event.get("message")
        error = event.get("error") or (None if isinstance(message, dict) or event.get("done") else stated_error(event))
        if error:
            raise self.error(event)
        if isinstance(message, dict):
            # Ollama's answer may be empty, and older servers give no reason why it ended.
            self.stop = self.stop or "stop"
            self._message(message, out)
        if event.get("done"):
            self.stop = event.get("done_reason") or self.stop
            self.close_thought(out)
            self.report(Usage(input=count(event, "prompt_eval_count"), output=count(event, "eval_count")), out)
            self.complete(out)

    def finish(self, out: list[Delta]) -> None:
        raise self.errors.broken()

    def _message(self, message: dict[str, Any], out: list[Delta]) -> None:
        thinking = text_at(message, "thinking")
        if thinking:
            self.think(thinking, out)
        content = text_at(message, "content")
        if content:
            self.close_thought(out)
            self.say(content, out)
        entries = message.get("tool_calls")
        for entry in entries if isinstance(entries, list) else ():
            self.close_thought(out)
            function = object_at(entry, "function")
            arguments = function.get("arguments")
            text = arguments if isinstance(arguments, str) else to_json(arguments or {}).decode()
            call = ToolCall(text_at(entry, "id") or ids.tool_call_id(), text_at(function, "name"), text or "{}")
            self.add_whole_call(call, out)
