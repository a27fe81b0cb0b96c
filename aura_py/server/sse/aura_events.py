"""``aura.*`` events: names, fields, gating and what must be held back.

A payload is flat; absent fields are left out. Names are given without the ``aura.`` prefix; the channel adds it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias, TypeVar

from aura_py.events import (
    Event,
    McpStatus,
    ModelCallCompleted,
    Notice,
    ReasoningDelta,
    RunFailed,
    RunFinished,
    ScratchpadUsage,
    SessionInfo,
    ToolCompleted,
    ToolProgress,
    ToolRequested,
    ToolStarted,
    WorkerReasoning,
)
from aura_py.messages import Usage
from aura_py.server.envelope import message_of
from aura_py.server.sse.frames import ERROR_BYTES, cut
from aura_py.server.sse.orchestrator_events import ENCODERS, worker_reasoning
from aura_py.server.sse.shape import StreamShape

Payload: TypeAlias = Mapping[str, object]
Named: TypeAlias = tuple[str, Payload]

PENDING_IDS: Final = 256
_TURN_LIMIT: Final = "The limit of tool turns was reached; the answer may be incomplete."
_E = TypeVar("_E")


class AuraEvents:
    """Encodes one run's events. ``encode`` is called with every event, in order; ``ending`` once, at the end."""

    def __init__(self, shape: StreamShape) -> None:
        self._shape = shape
        self._corr: dict[str, object] = {"session_id": shape.session_id}
        if shape.trace_id is not None:
            self._corr["trace_id"] = shape.trace_id
        self._agent: dict[str, object] = {"agent_id": shape.agent_id, **self._corr}
        self._single = shape.agent_id == "main"
        self._open: set[str] = set()
        self._hidden: set[str] = set()
        self._pending: OrderedDict[str, None] = OrderedDict()
        self._call_usage: Usage | None = None
        self._scratchpad: ScratchpadUsage | None = None

    def encode(self, event: Event) -> Iterable[Named]:
        """What ``event`` is on the wire: nothing, one event, or several that stay together."""
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            return handler(self, event)
        encoder = ENCODERS.get(type(event))
        if encoder is None:
            return ()
        named = encoder(event, self._shape)
        return () if named is None else ((named[0], {**named[1], **self._agent}),)

    def before_turn(self) -> Iterable[Named]:
        """Call before text and reasoning: what was held for the end of a turn."""
        return self._tool_usage() if self._call_usage is not None else ()

    def ending(self, event: RunFinished | RunFailed) -> Iterable[Named]:
        """The sequence before the final chunk: error, tool usage, scratchpad usage, usage."""
        error = self._error(event)
        if error is not None:
            yield error
        if self._pending:
            yield from self._tool_usage()
        if self._scratchpad is not None:
            yield "scratchpad_usage", self._scratchpad_payload(self._scratchpad)
        if event.context_usage.input > 0:
            yield "usage", {**token_counts(event.context_usage), **self._corr}

    # --- the run ---------------------------------------------------------------------------------------------------

    def _session_info(self, event: SessionInfo) -> Iterable[Named]:
        fields: dict[str, object] = {"model": event.model}
        if event.context_limit is not None:
            fields["model_context_limit"] = event.context_limit
        return (("session_info", {**fields, **self._corr}),)

    def _mcp_status(self, event: McpStatus) -> Iterable[Named]:
        servers: list[dict[str, object]] = []
        for server in sorted(event.servers, key=lambda s: s.server_name):
            entry: dict[str, object] = {
                "server_name": server.server_name,
                "transport": server.transport,
                "status": server.status,
                "tools_count": server.tools_count,
            }
            if server.status == "failed" and server.reason:
                entry["reason"] = server.reason
            servers.append(entry)
        return (("mcp_status", {"servers": servers, **self._corr}),)

    def _notice(self, event: Notice) -> Iterable[Named]:
        """Additive to the specification: a degraded run says so."""
        return (("notice", {"code": event.code, "message": event.message, **self._agent}),)

    def _error(self, event: RunFinished | RunFailed) -> Named | None:
        if isinstance(event, RunFailed):
            error = event.error
            kind = error.failure
            if kind == "cancelled":
                kind = "internal"
            fields: dict[str, object] = {
                "kind": kind,
                "message": message_of(error, debug=self._shape.debug_errors),
                "retryable": error.retryable,
            }
        elif event.turn_limit:
            fields = {"kind": "turn_limit", "message": _TURN_LIMIT, "retryable": False}
        else:
            return None
        return "error", {**fields, "elapsed_ms": event.elapsed_ms, **self._agent}

    # --- tools -----------------------------------------------------------------------------------------------------

    def _visible(self, kind: str) -> bool:
        return kind != "scratchpad" or self._shape.scratchpad_events

    def _tool_requested(self, event: ToolRequested) -> Iterable[Named]:
        if not self._visible(event.kind):
            self._hidden.add(event.call_id)
            self._pending.pop(event.call_id, None)
            return ()
        if event.kind != "client":
            self._open.add(event.call_id)
        self._remember(event.call_id)
        fields = {"tool_id": event.call_id, "tool_name": event.name, "arguments": event.parsed}
        return (("tool_requested", {**fields, **self._agent}),)

    def _tool_started(self, event: ToolStarted) -> Iterable[Named]:
        if event.call_id in self._hidden:
            return ()
        fields: dict[str, object] = {"tool_id": event.call_id, "tool_name": event.name}
        if event.progress_token is not None:
            fields["progress_token"] = event.progress_token
        return (("tool_start", {**fields, **self._agent}),)

    def _progress(self, event: ToolProgress) -> Iterable[Named]:
        if event.call_id in self._hidden:
            return ()
        total = event.total
        fields: dict[str, object] = {"message": event.message or _progress_text(event), "phase": event.phase}
        if total is not None:
            fields["percent"] = _percent(event.progress, total)
        if event.progress_token is not None:
            fields["progress_token"] = event.progress_token
        if not self._single:
            fields["tool_call_id"] = event.call_id
            if event.task_id is not None:
                fields["task_id"] = event.task_id
            if event.worker_id is not None:
                fields["worker_id"] = event.worker_id
        return (("progress", {**fields, **self._agent}),)

    def _tool_completed(self, event: ToolCompleted) -> Iterable[Named]:
        if not self._visible(event.kind) or event.call_id in self._hidden:
            return
        self._open.discard(event.call_id)
        fields: dict[str, object] = {
            "tool_id": event.call_id,
            "tool_name": event.name,
            "duration_ms": event.duration_ms,
            "success": event.ok,
        }
        if event.ok:
            fields["result"] = cut(event.result or "", self._shape.result_limit)
        else:
            fields["error"] = cut(event.error or "", ERROR_BYTES)
        yield "tool_complete", {**fields, **self._agent}
        if not self._open and self._call_usage is not None:
            yield from self._tool_usage()

    # --- thinking --------------------------------------------------------------------------------------------------

    def _reasoning(self, event: ReasoningDelta) -> Iterable[Named]:
        if not self._shape.reasoning_events:
            return ()
        fields: dict[str, object] = {"content": event.text, "agent_id": event.agent_id}
        if event.parent_agent_id is not None:
            fields["parent_agent_id"] = event.parent_agent_id
        return (("reasoning", {**fields, **self._corr}),)

    def _worker_reasoning(self, event: WorkerReasoning) -> Iterable[Named]:
        if not self._shape.reasoning_events:
            return ()
        name, fields = worker_reasoning(event)
        mirror: dict[str, object] = {
            "content": event.text,
            "agent_id": event.worker_id,
            "parent_agent_id": self._shape.agent_id,
        }
        return ((name, {**fields, **self._agent}), ("reasoning", {**mirror, **self._corr}))

    # --- usage -----------------------------------------------------------------------------------------------------

    def _model_call(self, event: ModelCallCompleted) -> Iterable[Named]:
        """Figures of a call that asked for tools wait until its tools are through."""
        if not self._single:
            return
        if self._call_usage is not None:
            yield from self._tool_usage()
        for call_id in event.tool_calls:
            self._remember(call_id)
        if not self._pending or not event.usage.total:
            return
        self._call_usage = event.usage
        if not event.tool_calls:
            yield from self._tool_usage()

    def _remember(self, call_id: str) -> None:
        if call_id not in self._hidden:
            self._pending[call_id] = None
            if len(self._pending) > PENDING_IDS:
                self._pending.popitem(last=False)

    def _tool_usage(self) -> Iterable[Named]:
        usage, self._call_usage = self._call_usage or Usage(), None
        ids = [call_id for call_id in self._pending if call_id not in self._hidden]
        self._pending.clear()
        return (("tool_usage", {"tool_ids": ids, **token_counts(usage), **self._corr}),) if ids else ()

    def _scratchpad_usage(self, event: ScratchpadUsage) -> Iterable[Named]:
        if not (event.tokens_intercepted or event.tokens_extracted):
            return ()
        if self._single:
            self._scratchpad = event
            return ()
        return (("scratchpad_usage", self._scratchpad_payload(event)),)

    def _scratchpad_payload(self, event: ScratchpadUsage) -> Payload:
        return {
            "tokens_intercepted": event.tokens_intercepted,
            "tokens_extracted": event.tokens_extracted,
            "agent_id": event.agent_id,
            **self._corr,
        }


def _typed(
    kind: type[_E], handler: Callable[[AuraEvents, _E], Iterable[Named]]
) -> tuple[type[object], Callable[[AuraEvents, Event], Iterable[Named]]]:
    """An entry of the dispatch table; its key guarantees ``kind``."""
    return kind, handler  # type: ignore[return-value]


_HANDLERS: Final = dict(
    (
        _typed(SessionInfo, AuraEvents._session_info),
        _typed(McpStatus, AuraEvents._mcp_status),
        _typed(Notice, AuraEvents._notice),
        _typed(ToolRequested, AuraEvents._tool_requested),
        _typed(ToolStarted, AuraEvents._tool_started),
        _typed(ToolProgress, AuraEvents._progress),
        _typed(ToolCompleted, AuraEvents._tool_completed),
        _typed(ReasoningDelta, AuraEvents._reasoning),
        _typed(WorkerReasoning, AuraEvents._worker_reasoning),
        _typed(ModelCallCompleted, AuraEvents._model_call),
        _typed(ScratchpadUsage, AuraEvents._scratchpad_usage),
    )
)


def token_counts(usage: Usage) -> dict[str, int]:
    """Tokens under the names of Chat Completions."""
    return {"prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": usage.total}


def _percent(progress: float, total: float) -> int:
    """Floor of the share in percent, 0–100; a total of 0 is 100."""
    if not total > 0:
        return 100
    share = progress / total * 100
    return int(min(100.0, max(0.0, share))) if share == share else 0  # a NaN is unequal to itself


def _progress_text(event: ToolProgress) -> str:
    return f"{event.progress:g}" if event.total is None else f"{event.progress:g} of {event.total:g}"
