"""A run as a stream of the Responses API (``clients.md`` §9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

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
from aura_py.server.envelope import message_of
from aura_py.server.sse import response_items as items
from aura_py.server.sse.chat import finish_reason, options_text
from aura_py.server.sse.client_calls import ClientCalls, object_text
from aura_py.server.sse.cut import ERROR_BYTES, cut, pieces
from aura_py.server.sse.frames import PING, event_frame
from aura_py.server.sse.shape import StreamShape
from aura_py.server.wire_json import to_json, well_formed

_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(slots=True)
class _Open:
    """The item that is being written: an answer's text or thinking."""

    kind: str
    id: str
    index: int
    text: list[str] = field(default_factory=list)


class ResponsesEncoder:
    """Encodes one response. ``response`` is the whole object as it stands; after the run's end it is the final one.

    ``mcp_calls`` shows a tool that Aura ran as one ``mcp_call`` item instead of RP-3's pair of items.
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
        metadata: dict[str, str],
        known_ids: Iterable[str] = (),
        mcp_calls: bool = False,
    ) -> None:
        self._shape = shape
        self._mcp_calls = mcp_calls
        self._output: list[items.Item] = []
        self.response = items.response(items.item_id("resp"), created, shape.model, metadata)
        self.response["output"] = self._output
        self._sequence = 0
        self._current: _Open | None = None
        self._calls = ClientCalls(known_ids)
        self._requested: dict[str, ToolRequested] = {}
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
                self._worker_tool_started(event)
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

    def _write(self, kind: str, text: str, out: list[bytes]) -> None:
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

    def _begin(self, kind: str, out: list[bytes]) -> _Open:
        identity = items.item_id("msg" if kind == "message" else "rs")
        item = items.message(identity, None) if kind == "message" else items.reasoning(identity, None)
        self._current = current = _Open(kind, identity, len(self._output))
        self._output.append(item)
        out.append(self._frame("response.output_item.added", {"output_index": current.index, "item": item}))
        name, part = self._part(current, "")
        out.append(self._frame(f"response.{name}.added", part))
        return current

    def _close(self, out: list[bytes]) -> None:
        current, self._current = self._current, None
        if current is None:
            return
        text = well_formed("".join(current.text))
        name, part = self._part(current, text)
        place = {key: value for key, value in part.items() if key != "part"}
        if current.kind == "message":
            item = items.message(current.id, text)
            out.append(self._frame("response.output_text.done", {**place, "text": text, "logprobs": []}))
        else:
            item = items.reasoning(current.id, text)
            out.append(self._frame("response.reasoning_summary_text.done", {**place, "text": text}))
        out.append(self._frame(f"response.{name}.done", part))
        self._output[current.index] = item
        out.append(self._frame("response.output_item.done", {"output_index": current.index, "item": item}))

    @staticmethod
    def _part(current: _Open, text: str) -> tuple[str, items.Item]:
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
            self._requested[event.call_id] = event

    def _worker_tool_started(self, event: OrchestratorToolStarted) -> None:
        """Tools of workers are server tools; the coordinator's own are how it decides and stay inside."""
        if event.task_id is not None and event.kind != "orchestration":
            arguments = event.arguments if isinstance(event.arguments, dict) else {}
            self._tool_requested(
                ToolRequested(event.call_id, event.name, to_json(arguments).decode(), arguments, event.kind), []
            )

    def _client_call(self, event: ToolRequested, out: list[bytes]) -> None:
        self._close(out)
        identity, index = items.item_id("fc"), len(self._output)
        arguments = object_text(event.arguments)
        begun = items.function_call(identity, event.call_id, event.name, "", done=False)
        item = items.function_call(identity, event.call_id, event.name, arguments, done=True)
        place = {"item_id": identity, "output_index": index}
        self._output.append(item)
        out.append(self._frame("response.output_item.added", {"output_index": index, "item": begun}))
        for piece in pieces(arguments):
            out.append(self._frame("response.function_call_arguments.delta", {**place, "delta": piece}))
        done = {**place, "name": event.name, "arguments": arguments}
        out.append(self._frame("response.function_call_arguments.done", done))
        out.append(self._frame("response.output_item.done", {"output_index": index, "item": item}))

    def _tool_completed(self, event: ToolCompleted, out: list[bytes]) -> None:
        """A call that Aura ran: the call and its output, both complete, so that no client runs it again (RP-3)."""
        request = self._requested.pop(event.call_id, None)
        if request is None:
            return
        self._close(out)
        result = cut(event.result or "", self._shape.result_limit) if event.ok else cut(event.error or "", ERROR_BYTES)
        arguments = object_text(request.arguments)
        if self._mcp_calls:
            self._whole(items.mcp_call(items.item_id("mcp"), event.name, arguments, result, ok=event.ok), out)
            return
        self._whole(items.function_call(items.item_id("fc"), event.call_id, event.name, arguments, done=True), out)
        self._whole(items.function_call_output(items.item_id("fco"), event.call_id, result, ok=event.ok), out)

    def _whole(self, item: items.Item, out: list[bytes]) -> None:
        place = {"output_index": len(self._output), "item": item}
        self._output.append(item)
        out.append(self._frame("response.output_item.added", place))
        out.append(self._frame("response.output_item.done", place))

    # --- endings ---------------------------------------------------------------------------------------------------

    def _finish(self, event: RunFinished, out: list[bytes]) -> None:
        for call in event.client_calls:
            if not self._calls.admitted(call.id):
                self._tool_requested(ToolRequested(call.id, call.name, call.arguments, {}, "client"), out)
        if self._options:
            self._write("message", options_text(self._options), out)
        self._close(out)
        reason = _INCOMPLETE.get(finish_reason(event, client_calls=bool(self._calls.count)))
        self.response["status"] = "completed" if reason is None else "incomplete"
        self.response["incomplete_details"] = None if reason is None else {"reason": reason}
        self.response["usage"] = items.usage(event.usage)
        out.append(self._frame(f"response.{self.response['status']}", {"response": self.response}))

    def _fail(self, event: RunFailed, out: list[bytes]) -> None:
        self._close(out)
        error = event.error
        self.response["status"] = "failed"
        self.response["error"] = {
            "code": error.code or error.type,
            "message": message_of(error, debug=self._shape.debug_errors),
        }
        self.response["usage"] = items.usage(event.usage)
        out.append(self._frame("response.failed", {"response": self.response}))

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
