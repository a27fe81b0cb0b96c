"""A run as one ``chat.completion``."""

from __future__ import annotations

from collections.abc import Iterable

from aura_py import ids
from aura_py.events import ClarificationNeeded, Event, RunFinished, ToolRequested
from aura_py.messages import ToolCall
from aura_py.server.sse.chat import finish_reason, options_text, usage_object
from aura_py.server.sse.client_calls import ClientCalls, object_text
from aura_py.server.sse.shape import StreamShape
from aura_py.server.wire_json import to_json


class ChatCollector:
    """Collects what the body needs; server tools never appear in it."""

    def __init__(self, shape: StreamShape, *, created: int, known_ids: Iterable[str] = ()) -> None:
        self._shape = shape
        self._created = created
        self._known = ClientCalls(known_ids)
        self._calls: list[dict[str, object]] = []
        self._options: tuple[str, ...] = ()

    def add(self, batch: list[Event]) -> None:
        for event in batch:
            if isinstance(event, ToolRequested) and event.kind == "client":
                self._add_call(ToolCall(event.call_id, event.name, event.arguments))
            elif isinstance(event, ClarificationNeeded):
                self._options = event.options

    def body(self, end: RunFinished) -> bytes:
        for call in end.client_calls:
            self._add_call(call)
        text = end.answer + options_text(self._options) if self._options else end.answer
        content = text or (None if self._calls else "")
        message: dict[str, object] = {"role": "assistant", "content": content, "refusal": None}
        if end.reasoning and self._shape.reasoning:
            message[self._shape.reasoning_field] = end.reasoning
        if self._calls:
            message["tool_calls"] = self._calls
        reason = finish_reason(end, client_calls=bool(self._calls))
        return to_json(
            {
                "id": ids.completion_id(),
                "object": "chat.completion",
                "created": self._created,
                "model": self._shape.model,
                "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
                "usage": usage_object(end.usage),
                "metadata": {"chat_session_id": self._shape.session_id},
            }
        )

    def _add_call(self, call: ToolCall) -> None:
        known, event = self._known.admit(ToolRequested(call.id, call.name, call.arguments, {}, "client"))
        if not known:
            function = {"name": event.name, "arguments": object_text(event.arguments)}
            self._calls.append({"id": event.call_id, "type": "function", "function": function})
