"""What `aura run` shows of a run: text with tool activity, one JSON object, or every event as a line of JSON.

stdout carries the answer and nothing else; everything about the answer goes to stderr.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import fields, is_dataclass
from typing import Protocol

from aura_py.cli.terminal import coloured, printable
from aura_py.context import RunContext
from aura_py.errors import AuraError
from aura_py.events import (
    ClarificationNeeded,
    Event,
    McpStatus,
    Notice,
    OrchestratorToolCompleted,
    OrchestratorToolStarted,
    PlanCreated,
    RunFailed,
    RunFinished,
    TaskCompleted,
    TaskStarted,
    TextDelta,
    ToolCompleted,
    ToolRequested,
)
from aura_py.messages import Json
from aura_py.server.sse.aura_events import token_counts
from aura_py.server.sse.chat import options_text

_SHOWN_ARGUMENTS = 160
# One event stays one line for readers that split where `str.splitlines` does.
_ONE_LINE = str.maketrans({char: f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"})
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")

End = RunFinished | RunFailed


class Printer(Protocol):
    """Follows one run."""

    @property
    def has_text(self) -> bool:
        """Whether any text of the answer has been seen."""
        ...

    def show(self, events: list[Event]) -> None: ...

    def end(self, context: RunContext, end: End) -> None: ...


class TextPrinter:
    """The answer on stdout as it comes, tool activity on stderr."""

    def __init__(self) -> None:
        self.has_text = False
        self._last = "\n"
        self._paragraph = False
        self._options: tuple[str, ...] = ()
        self._dim = coloured(sys.stderr)
        self._shown = printable if sys.stdout.isatty() else str

    def show(self, events: list[Event]) -> None:
        text = ""
        for event in events:
            if isinstance(event, TextDelta):
                if self._paragraph and self.has_text:
                    text += "\n\n"
                text += event.text
                self._paragraph, self.has_text = False, True
                continue
            if isinstance(event, ClarificationNeeded):
                self._options = event.options
            line = activity(event)
            if line is not None:
                self._write(text)
                text = ""
                self._note(line)
            if isinstance(event, ToolCompleted):
                self._paragraph = True
        self._write(text)

    def end(self, context: RunContext, end: End) -> None:
        if self._options:
            self._write(options_text(self._options))
        if self._last != "\n":
            self._write("\n")

    def _write(self, text: str) -> None:
        if text := self._shown(text):
            sys.stdout.write(text)
            sys.stdout.flush()
            self._last = text[-1]

    def _note(self, line: str) -> None:
        """A line of its own, also where answer and activity share a terminal."""
        if self._last != "\n" and sys.stdout.isatty() and sys.stderr.isatty():
            self._write("\n")
        sys.stderr.write(f"\x1b[2m{line}\x1b[0m\n" if self._dim else f"{line}\n")
        sys.stderr.flush()


class JsonPrinter:
    """One JSON object at the end of a run that has an answer."""

    def __init__(self, model: str) -> None:
        self.has_text = False
        self._model = model
        self._calls: list[Json] = []
        self._options: tuple[str, ...] = ()

    def show(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, TextDelta):
                self.has_text = True
            elif isinstance(event, ClarificationNeeded):
                self._options = event.options
            elif isinstance(event, ToolCompleted):
                self._calls.append({"id": event.call_id, "name": event.name, "ok": event.ok})

    def end(self, context: RunContext, end: End) -> None:
        if isinstance(end, RunFailed) and not self.has_text:
            return
        _print_line(
            {
                "content": end.answer + (options_text(self._options) if self._options else ""),
                "model": self._model,
                "usage": token_counts(end.usage),
                "session_id": context.session_id,
                "tool_calls": self._calls,
                "finish_reason": end.finish_reason if isinstance(end, RunFinished) else None,
            }
        )


class EventPrinter:
    """Every event as it comes, one `{"event": …, "data": {…}}` a line."""

    def __init__(self) -> None:
        self.has_text = False

    def show(self, events: list[Event]) -> None:
        for event in events:
            self.has_text = self.has_text or isinstance(event, TextDelta)
            name = _CAPITAL.sub("_", type(event).__name__).lower()
            _print_line({"event": name, "data": _plain(event)})

    def end(self, context: RunContext, end: End) -> None:
        self.show([end])


def activity(event: Event) -> str | None:
    """One line for the person who waits, or None where there is nothing to tell."""
    line = _line(event)
    return None if line is None else printable(line)


def _line(event: Event) -> str | None:
    match event:
        case ToolRequested():
            return f"→ {event.name} {_short(event.arguments)}"
        case ToolCompleted(ok=True):
            return f"← {event.name}: {len(event.result or '')} characters in {event.duration_ms} ms"
        case ToolCompleted():
            return f"✗ {event.name}: {_short(event.error or 'failed')}"
        case McpStatus():
            return _servers(event)
        case PlanCreated():
            return f"· plan with {len(event.tasks)} tasks: {_short(event.goal)}"
        case TaskStarted():
            return f"· task {event.task_id} ({event.worker_id}): {_short(event.description)}"
        case TaskCompleted():
            return f"· task {event.task_id} {'done' if event.success else 'failed'} in {event.duration_ms} ms"
        case OrchestratorToolStarted():
            return f"→ [{event.worker_id}] {event.name} {_short(json.dumps(event.arguments, ensure_ascii=False))}"
        case OrchestratorToolCompleted(ok=True):
            return f"← [{event.worker_id}] {event.name}: {len(event.result)} characters in {event.duration_ms} ms"
        case OrchestratorToolCompleted():
            return f"✗ [{event.worker_id}] {event.name}: {_short(event.result or 'failed')}"
        case Notice():
            return f"! {event.message}"
        case _:
            return None


def _servers(event: McpStatus) -> str | None:
    lines = [
        f"! MCP server `{each.server_name}` is not available: {each.reason or each.status}"
        if each.status == "failed"
        else f"! MCP server `{each.server_name}` has no tools"
        for each in event.servers
        if each.status == "failed" or (each.status == "connected" and each.tools_count == 0)
    ]
    return "\n".join(lines) or None


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN_ARGUMENTS else flat[: _SHOWN_ARGUMENTS - 1] + "…"


def _plain(value: object) -> Json:
    """Dataclasses, mappings and tuples as JSON; an error as what a client may know of it."""
    if isinstance(value, AuraError):
        return {"message": value.message, "type": value.type, "code": value.code}
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)


def _print_line(value: Json) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False).translate(_ONE_LINE) + "\n")
    sys.stdout.flush()
