"""A run as a stream of the Responses API."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from aura_py.events import (
    ClarificationNeeded,
    Event,
    OrchestratorToolCompleted,
    OrchestratorToolStarted,
    ReasoningDelta,
    RunFailed,
    RunFinished,
    TextDelta,
    ToolCompleted,
    ToolRequested,
)
from aura_py.messages import Usage
from aura_py.server.envelope import message_of
from aura_py.server.sse import response_items as items
from aura_py.server.sse.chat import finish_reason, options_text
from aura_py.server.sse.client_calls import ClientCalls, object_text
from aura_py.server.sse.frames import ERROR_BYTES, PING, cut, event_frame, pieces
from aura_py.server.sse.shape import StreamShape
from aura_py.server.wire_json import to_json, well_formed

_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(slots=True)
class _Writing:
    """The item that is being written: an answer's text or thinking."""

    kind: Literal["message", "reasoning"]
    id: str
    index: int
    text: list[str] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class _RunningCall:
    """A tool that Aura is running, and the item that shows it; with ``function_call`` there is none yet."""

    name: str
    arguments: str
    id: str = ""
    index: int = -1


class ResponsesEncoder:
    """Encodes one response. ``response`` is the whole object as it stands; after the run's end it is the final one.

    Args:
        request: The body of the request, whose parameters the response repeats.
        temperature: What the response says where the request does not.
        tools: How a tool that Aura ran is shown: as one ``mcp_call`` item, which clients leave alone, or as a
            ``function_call`` and its ``function_call_output``.
    """

    content_type = "text/event-stream; charset=utf-8"
    cache_control = "no-cache, no-transform"
    heartbeat = PING
    steady_heartbeat = False

    def __init__(
        self,
        shape: StreamShape,
        *,
        created: int,
        metadata: Mapping[str, str],
        request: Mapping[str, object] | None = None,
        temperature: float | None = None,
        known_ids: Iterable[str] = (),
        tools: Literal["mcp_call", "function_call"] = "mcp_call",
    ) -> None:
        self._shape = shape
        self._mcp_calls = tools == "mcp_call"
        self._output: list[items.Item] = []
        self.response = items.response(
            items.item_id("resp"),
            created,
            shape.model,
            metadata,
            request or {},
            1.0 if temperature is None else temperature,
        )
        self.response["output"] = self._output
        self._sequence = 0
        self._current: _Writing | None = None
        self._calls = ClientCalls(known_ids)
        self._running: dict[str, _RunningCall] = {}
        self._options: tuple[str, ...] = ()

    def opening(self) -> bytes:
        created = self._frame("response.created", {"response": self.response})
        return created + self._frame("response.in_progress", {"response": self.response})

    def encode(self, batch: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in batch:
            if isinstance(event, TextDelta):
                self._write("message", event.text, out)
            elif isinstance(event, ReasoningDelta):
                if self._shape.reasoning and event.text:
                    self._write("reasoning", event.text, out)
            elif isinstance(event, ToolRequested):
                self._tool_requested(event, out)
            elif isinstance(event, ToolCompleted):
                self._tool_completed(event, out)
            elif isinstance(event, ClarificationNeeded):
                self._options = event.options
            elif isinstance(event, OrchestratorToolStarted):
                self._worker_tool_started(event, out)
            elif isinstance(event, OrchestratorToolCompleted):
                text, error = (event.result, None) if event.ok else (None, event.result)
                self._tool_completed(
                    ToolCompleted(event.call_id, event.name, event.kind, event.duration_ms, event.ok, text, error), out
                )
            elif isinstance(event, RunFinished):
                self._finish(event, out)
            elif isinstance(event, RunFailed):
                self._fail(event, out)
        return b"".join(out)

    # --- text and thinking -----------------------------------------------------------------------------------------

    def _write(self, kind: Literal["message", "reasoning"], text: str, out: list[bytes]) -> None:
        current = self._current
        if current is None or current.kind != kind:
            self._close(out)
            current = self._begin(kind, out)
        current.text.append(text)
        place = {"item_id": current.id, "output_index": current.index}
        for piece in pieces(text):
            if kind == "message":
                delta = {**place, "content_index": 0, "delta": piece, "logprobs": []}
                out.append(self._frame("response.output_text.delta", delta))
            else:
                delta = {**place, "summary_index": 0, "delta": piece}
                out.append(self._frame("response.reasoning_summary_text.delta", delta))

    def _begin(self, kind: Literal["message", "reasoning"], out: list[bytes]) -> _Writing:
        identity = items.item_id("msg" if kind == "message" else "rs")
        item = (items.message if kind == "message" else items.reasoning)(identity, "", "in_progress")
        self._current = current = _Writing(kind, identity, self._add(item, out))
        name, part = self._part(current, "")
        out.append(self._frame(f"response.{name}.added", part))
        return current

    def _close(self, out: list[bytes], status: items.Status = "completed") -> None:
        current, self._current = self._current, None
        if current is None:
            return
        text = well_formed("".join(current.text))
        name, part = self._part(current, text)
        place = {key: value for key, value in part.items() if key != "part"}
        if current.kind == "message":
            item = items.message(current.id, text, status)
            out.append(self._frame("response.output_text.done", {**place, "text": text, "logprobs": []}))
        else:
            item = items.reasoning(current.id, text, status)
            out.append(self._frame("response.reasoning_summary_text.done", {**place, "text": text}))
        out.append(self._frame(f"response.{name}.done", part))
        self._done(current.index, item, out)

    def _add(self, item: items.Item, out: list[bytes]) -> int:
        index = len(self._output)
        self._output.append(item)
        out.append(self._frame("response.output_item.added", {"output_index": index, "item": item}))
        return index

    def _done(self, index: int, item: items.Item, out: list[bytes]) -> None:
        self._output[index] = item
        out.append(self._frame("response.output_item.done", {"output_index": index, "item": item}))

    @staticmethod
    def _part(current: _Writing, text: str) -> tuple[str, items.Item]:
        place: items.Item = {"item_id": current.id, "output_index": current.index}
        if current.kind == "message":
            return "content_part", {**place, "content_index": 0, "part": items.output_text(text)}
        return "reasoning_summary_part", {
            **place,
            "summary_index": 0,
            "part": {"type": "summary_text", "text": text},
        }

    # --- tools -----------------------------------------------------------------------------------------------------

    def _tool_requested(self, event: ToolRequested, out: list[bytes]) -> None:
        if event.kind == "client":
            known, event = self._calls.admit(event)
            if not known:
                self._client_call(event, out)
        elif event.kind != "scratchpad" or self._shape.scratchpad_events:
            self._call_started(event.call_id, event.name, object_text(event.arguments), out)

    def _worker_tool_started(self, event: OrchestratorToolStarted, out: list[bytes]) -> None:
        """Tools of workers are server tools; the coordinator's own are how it decides and stay inside."""
        if event.task_id is None or event.kind == "orchestration":
            return
        if event.kind != "scratchpad" or self._shape.scratchpad_events:
            arguments = event.arguments if isinstance(event.arguments, dict) else {}
            self._call_started(event.call_id, event.name, to_json(arguments).decode(), out)

    def _client_call(self, event: ToolRequested, out: list[bytes]) -> None:
        self._close(out)
        identity, arguments = items.item_id("fc"), object_text(event.arguments)
        index = self._add(items.function_call(identity, event.call_id, event.name, "", done=False), out)
        place = {"item_id": identity, "output_index": index}
        for piece in pieces(arguments):
            out.append(self._frame("response.function_call_arguments.delta", {**place, "delta": piece}))
        done = {**place, "name": event.name, "arguments": arguments}
        out.append(self._frame("response.function_call_arguments.done", done))
        self._done(index, items.function_call(identity, event.call_id, event.name, arguments, done=True), out)

    def _call_started(self, call_id: str, name: str, arguments: str, out: list[bytes]) -> None:
        if not self._mcp_calls:
            self._running[call_id] = _RunningCall(name, arguments)
            return
        self._close(out)
        identity = items.item_id("mcp")
        # Some clients append the deltas to what the item started with.
        index = self._add(items.mcp_call(identity, name, "", "in_progress"), out)
        self._running[call_id] = _RunningCall(name, arguments, identity, index)
        place = {"item_id": identity, "output_index": index}
        out.append(self._frame("response.mcp_call.in_progress", place))
        for piece in pieces(arguments):
            out.append(self._frame("response.mcp_call_arguments.delta", {**place, "delta": piece}))
        out.append(self._frame("response.mcp_call_arguments.done", {**place, "arguments": arguments}))

    def _tool_completed(self, event: ToolCompleted, out: list[bytes]) -> None:
        call = self._running.pop(event.call_id, None)
        if call is None:
            return
        result = cut(event.result or "", self._shape.result_limit) if event.ok else cut(event.error or "", ERROR_BYTES)
        if self._mcp_calls:
            self._call_ended(call, "completed" if event.ok else "failed", result, out)
            return
        # Both at once, so that no client takes a call without an output for one of its own.
        self._close(out)
        identity = items.item_id("fc")
        for item in (
            items.function_call(identity, event.call_id, call.name, call.arguments, done=True),
            items.function_call_output(items.item_id("fco"), event.call_id, result, ok=event.ok),
        ):
            self._done(self._add(item, out), item, out)

    def _call_ended(self, call: _RunningCall, status: items.McpStatus, result: str, out: list[bytes]) -> None:
        place = {"item_id": call.id, "output_index": call.index}
        out.append(self._frame(f"response.mcp_call.{'completed' if status == 'completed' else 'failed'}", place))
        self._done(call.index, items.mcp_call(call.id, call.name, call.arguments, status, result), out)

    # --- endings ---------------------------------------------------------------------------------------------------

    def _finish(self, event: RunFinished, out: list[bytes]) -> None:
        for call in event.client_calls:
            if not self._calls.admitted(call.id):
                self._tool_requested(ToolRequested(call.id, call.name, call.arguments, {}, "client"), out)
        if self._options:
            self._write("message", options_text(self._options), out)
        reason = _INCOMPLETE.get(finish_reason(event, client_calls=bool(self._calls.count)))
        status: items.Status = "completed" if reason is None else "incomplete"
        self._end(status, event.usage, out)
        if reason is None:
            self.response["completed_at"] = int(time.time())
        else:
            self.response["incomplete_details"] = {"reason": reason}
        out.append(self._frame(f"response.{self.response['status']}", {"response": self.response}))

    def _fail(self, event: RunFailed, out: list[bytes]) -> None:
        self._end("incomplete", event.usage, out)
        self.response["status"] = "failed"
        self.response["error"] = items.error(event.error, message_of(event.error, debug=self._shape.debug_errors))
        out.append(self._frame("response.failed", {"response": self.response}))

    def _end(self, status: items.Status, usage: Usage, out: list[bytes]) -> None:
        self._close(out, status)
        if self._mcp_calls:
            for call in self._running.values():
                self._call_ended(call, "incomplete", "", out)
        self._running.clear()
        self.response["status"] = status
        self.response["usage"] = items.usage(usage)

    def _frame(self, kind: str, value: items.Item) -> bytes:
        frame = event_frame(kind, {"type": kind, "sequence_number": self._sequence, **value})
        self._sequence += 1
        return frame


class ResponsesCollector:
    """The same response as one JSON body."""

    def __init__(self, encoder: ResponsesEncoder) -> None:
        self._encoder = encoder

    def add(self, batch: list[Event]) -> None:
        self._encoder.encode(batch)

    def body(self, end: RunFinished) -> bytes:
        return to_json(self._encoder.response)
