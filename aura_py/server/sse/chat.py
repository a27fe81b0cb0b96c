"""A run as a ``chat.completion.chunk`` stream.

The constant part of a chunk is built once per stream; a text delta costs one JSON string and two concatenations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aura_py import ids
from aura_py.events import (
    ClarificationNeeded,
    Event,
    ReasoningDelta,
    RunFailed,
    RunFinished,
    TextDelta,
    ToolCompleted,
    ToolRequested,
)
from aura_py.messages import FinishReason, ToolCall, Usage
from aura_py.server.envelope import error_object
from aura_py.server.sse.aura_events import AuraEvents, Named
from aura_py.server.sse.client_calls import ClientCalls, object_text
from aura_py.server.sse.frames import (
    DELTA_BYTES,
    DONE,
    ERROR_BYTES,
    HEARTBEAT,
    PING,
    cut,
    data_frame,
    event_frame,
    pieces,
)
from aura_py.server.sse.progress import progress_line
from aura_py.server.sse.shape import StreamShape
from aura_py.server.wire_json import text_json, to_json

_TINY: Final = 48
"""Deltas that arrived together are joined up to this many characters; larger ones keep their borders."""
_ROLE: Final = b'"role":"assistant",'
_OPEN_END: Final = b'},"finish_reason":null}]}\n\n'
_SURELY_SMALL: Final = DELTA_BYTES // 4


def usage_object(usage: Usage, *, details: bool = True) -> dict[str, object]:
    """OpenAI's ``usage``: the billed sum, with details where they are known."""
    body: dict[str, object] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
    }
    if details and (usage.cached or usage.cache_write):
        prompt = {"cached_tokens": usage.cached}
        if usage.cache_write:
            prompt["cache_write_tokens"] = usage.cache_write
        body["prompt_tokens_details"] = prompt
    if details and usage.reasoning:
        body["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return body


def finish_reason(event: RunFinished, *, client_calls: bool) -> FinishReason:
    """The reason a client acts on: a call it owes a result for beats everything else."""
    if client_calls:
        return "tool_calls"
    if event.finish_reason == "tool_calls":
        return "stop"
    return "length" if event.turn_limit and event.finish_reason == "stop" else event.finish_reason


class ChatEncoder:
    """Encodes one stream: ``opening`` once, ``encode`` for every batch; the batch that ends the run ends the stream."""

    def __init__(self, shape: StreamShape, *, created: int, known_ids: Iterable[str] = ()) -> None:
        self.id = ids.completion_id()
        self._shape = shape
        self._merged = shape.mode == "open-web-ui"
        head = {"id": self.id, "object": "chat.completion.chunk", "created": created, "model": shape.model}
        self._head = b"data: " + to_json(head)[:-1] + b',"choices":['
        self._delta = self._head + b'{"index":0,"delta":{'
        self._content = self._delta + b'"content":'
        self._reasoning = b'"' + shape.reasoning_field.encode() + b'":'
        self._thought_open = False
        self._events = AuraEvents(shape) if shape.events != "none" else None
        self._calls = ClientCalls(known_ids)
        self._role_sent = False
        self._text_sent = False
        self._break = False
        self._plain = False  # nothing but text has to be thought of
        self._indexes: dict[str, int] = {}
        self._options: tuple[str, ...] = ()

    # --- what the response needs -----------------------------------------------------------------------------------

    @property
    def content_type(self) -> str:
        return "text/event-stream" if self._shape.legacy else "text/event-stream; charset=utf-8"

    @property
    def cache_control(self) -> str:
        return "no-cache" if self._shape.legacy else "no-cache, no-transform"

    @property
    def heartbeat(self) -> bytes:
        return HEARTBEAT if self._shape.legacy else PING

    @property
    def steady_heartbeat(self) -> bool:
        """Heartbeats come at once and then regularly, whatever else is sent."""
        return self._shape.legacy

    def opening(self) -> bytes:
        """The first frames. With named events the session comes first, and the role before the first delta."""
        return b"" if self._shape.legacy else self._role()

    def encode(self, batch: list[Event]) -> bytes:
        """Frames of everything that happened together, for one write."""
        if len(batch) == 1 and self._plain and type(batch[0]) is TextDelta and len(batch[0].text) <= _SURELY_SMALL:
            return self._content + text_json(batch[0].text) + _OPEN_END
        out: list[bytes] = []
        text = ""
        thought: ReasoningDelta | None = None
        for event in batch:
            if type(event) is TextDelta:
                if thought is not None:
                    self._other(thought, out)
                    thought = None
                text = text + event.text if text else event.text
                if len(text) >= _TINY:
                    self._say(text, out)
                    text = ""
                continue
            if text:
                self._say(text, out)
                text = ""
            if type(event) is ReasoningDelta:
                thought = self._joined(thought, event, out)
                continue
            if thought is not None:
                self._other(thought, out)
                thought = None
            self._other(event, out)
        if text:
            self._say(text, out)
        elif thought is not None:
            self._other(thought, out)
        return b"".join(out)

    def _joined(self, earlier: ReasoningDelta | None, event: ReasoningDelta, out: list[bytes]) -> ReasoningDelta | None:
        """``event`` with what the same agent thought just before; ``None`` when that was enough to be told."""
        if earlier is not None and (earlier.agent_id, earlier.parent_agent_id) != (
            event.agent_id,
            event.parent_agent_id,
        ):
            self._other(earlier, out)
            earlier = None
        if earlier is not None:
            event = ReasoningDelta(earlier.text + event.text, event.agent_id, event.parent_agent_id)
        if len(event.text) < _TINY:
            return event
        self._other(event, out)
        return None

    # --- text ------------------------------------------------------------------------------------------------------

    def _say(self, text: str, out: list[bytes]) -> None:
        if not self._role_sent and not self._merged:
            out.append(self._role())
        if self._events is not None:
            self._publish(self._events.before_turn(), out)
        if self._break:
            text = "\n\n" + text
            self._break = False
        self._text_sent = True
        for piece in pieces(text):
            out.append(self._content_head() + text_json(piece) + _OPEN_END)
        self._plain = self._events is None

    def _content_head(self) -> bytes:
        if self._role_sent:
            return self._content
        self._role_sent = True
        return self._delta + _ROLE + b'"content":'

    def _role(self) -> bytes:
        self._role_sent = True
        return self._delta + _ROLE + b'"content":""' + _OPEN_END

    def _chunk(self, delta: bytes) -> bytes:
        """A chunk with ``delta`` (a JSON object without braces), with the role if it is still owed."""
        if self._role_sent:
            return self._delta + delta + _OPEN_END
        if not self._merged:
            return self._role() + self._chunk(delta)
        self._role_sent = True
        return self._delta + _ROLE + delta + _OPEN_END

    # --- everything else -------------------------------------------------------------------------------------------

    def _other(self, event: Event, out: list[bytes]) -> None:
        if isinstance(event, ReasoningDelta):
            self._reasoned(event, out)
            return
        if isinstance(event, RunFinished):
            self._finish(event, out)
            return
        if isinstance(event, RunFailed):
            self._fail(event, out)
            return
        if self._shape.progress and not self._merged:
            line = progress_line(event, scratchpad=self._shape.scratchpad_events)
            if line is not None:
                out.append(self._chunk(self._reasoning + text_json(("\n" if self._thought_open else "") + line + "\n")))
                self._thought_open = False
        if isinstance(event, ToolRequested):
            event = self._requested(event, out)
        elif isinstance(event, ClarificationNeeded):
            self._options = event.options
        if self._events is not None:
            self._publish(self._events.encode(event), out)
        if isinstance(event, ToolCompleted):
            self._completed(event, out)

    def _reasoned(self, event: ReasoningDelta, out: list[bytes]) -> None:
        if self._events is not None:
            self._publish(self._events.before_turn(), out)
        if self._shape.reasoning and not self._merged and event.text:
            for piece in pieces(event.text):
                out.append(self._chunk(self._reasoning + text_json(piece)))
            if self._shape.progress:
                self._thought_open = not event.text.endswith("\n")
        if self._events is not None:
            self._publish(self._events.encode(event), out)

    def _publish(self, events: Iterable[Named], out: list[bytes]) -> None:
        named = self._shape.events == "named"
        for name, payload in events:
            if named:
                out.append(event_frame(f"aura.{name}", payload))
            else:
                body = _object({"type": name, **payload})
                if body:
                    out.append(self._head + b'],"aura":' + body + b"}\n\n")

    # --- tools -----------------------------------------------------------------------------------------------------

    def _requested(self, event: ToolRequested, out: list[bytes]) -> ToolRequested:
        if event.kind == "client":
            known, event = self._calls.admit(event)
            if not known:
                self._client_call(event.call_id, event.name, object_text(event.arguments), out)
        elif self._shown_as_call(event.kind) and event.call_id not in self._indexes:
            self._indexes[event.call_id] = self._next_index()
            self._tool_calls(self._indexes[event.call_id], event.call_id, event.name, "", out)
        return event

    def _completed(self, event: ToolCompleted, out: list[bytes]) -> None:
        if event.kind == "client" or (event.kind == "scratchpad" and not self._shape.scratchpad_events):
            return
        index = self._indexes.pop(event.call_id, None)
        if index is not None:
            limit = self._shape.result_limit
            text = cut(event.result or "", limit) if event.ok else cut(cut(event.error or "", ERROR_BYTES), limit)
            self._tool_calls(index, event.call_id, "", text, out)
        self._break = self._text_sent
        self._plain = False

    def _shown_as_call(self, kind: str) -> bool:
        """The one legacy mode that shows calls Aura runs itself."""
        return self._merged and (kind != "scratchpad" or self._shape.scratchpad_events)

    def _next_index(self) -> int:
        return self._calls.take_index()

    def _client_call(self, call_id: str, name: str, arguments: str, out: list[bytes]) -> None:
        index = self._next_index()
        first, *rest = pieces(arguments) if not self._merged else (arguments,)
        self._tool_calls(index, call_id, name, first, out)
        for piece in rest:
            call = {"index": index, "function": {"arguments": piece}}
            out.append(self._chunk(b'"tool_calls":[' + _object(call) + b"]"))

    def _tool_calls(self, index: int, call_id: str, name: str, arguments: str, out: list[bytes]) -> None:
        call = {
            "index": index,
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        out.append(self._chunk(b'"tool_calls":[' + _object(call) + b"]"))

    # --- endings ---------------------------------------------------------------------------------------------------

    def _finish(self, event: RunFinished, out: list[bytes]) -> None:
        for call in event.client_calls:
            self._missed_call(call, out)
        if self._options and self._events is None:
            self._say(options_text(self._options), out)
        if not self._role_sent and not self._merged:
            out.append(self._role())
        if self._events is not None:
            self._publish(self._events.ending(event), out)
        reason = finish_reason(event, client_calls=bool(self._calls.count))
        usage = usage_object(event.usage, details=not self._merged)
        out.append(self._head + b'{"index":0,"delta":{},"finish_reason":"' + reason.encode() + b'"}]')
        if self._merged:
            out.append(b',"usage":' + to_json(usage))
        out.append(b"}\n\n")
        if self._shape.include_usage and not self._merged:
            out.append(self._head + b'],"usage":' + to_json(usage) + b"}\n\n")
        out.append(DONE)

    def _missed_call(self, call: ToolCall, out: list[bytes]) -> None:
        if not self._calls.admitted(call.id):
            self._requested(ToolRequested(call.id, call.name, call.arguments, {}, "client"), out)

    def _fail(self, event: RunFailed, out: list[bytes]) -> None:
        if self._events is not None:
            self._publish(self._events.ending(event), out)
        out.append(data_frame(error_object(event.error, debug=self._shape.debug_errors)))
        out.append(DONE)


def options_text(options: Iterable[str]) -> str:
    """Choices of a question as a list, for clients that see no events."""
    return "\n\n" + "\n".join(f"- {option}" for option in options)


def _object(value: dict[str, object]) -> bytes:
    try:
        return to_json(value)
    except ValueError:
        return b""
