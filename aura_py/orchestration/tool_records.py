"""What a run remembers of its tool calls and files, and the middleware that records them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import orjson

from aura_py.config.models import Artifacts
from aura_py.events import ToolKind
from aura_py.messages import Json, JsonObject
from aura_py.orchestration.naming import output_name
from aura_py.orchestration.run_directory import RunDirectory
from aura_py.tools.contract import Annotations, CallContext, Invocation, Next, Tool, ToolOutcome

logger = logging.getLogger(__name__)

REASONING = "_aura_reasoning"
_REASONING_SCHEMA: JsonObject = {
    "type": "string",
    "description": "Why you make this call with these arguments, in one sentence. Always give it.",
}


RECORD_OUTPUT = 2000
"""Characters of an output that its record keeps when the whole is in an artifact."""


@dataclass(slots=True, frozen=True)
class CallRecord:
    """One MCP call of a worker. ``output`` is the raw text; ``error`` is set when the call failed."""

    tool: str
    arguments: JsonObject
    reasoning: str
    output: str | None
    error: str | None
    duration_ms: int
    artifact: str | None = None

    def to_json(self) -> dict[str, Json]:
        output = self.output
        if output is not None and self.artifact is not None:
            output = output[:RECORD_OUTPUT]
        value: dict[str, Json] = {
            "tool": self.tool,
            "arguments": self.arguments,
            "reasoning": self.reasoning,
            "output": output,
            "error": self.error,
            "duration_ms": self.duration_ms,
        }
        if self.artifact is not None:
            value["artifact_filename"] = self.artifact
        return value

    def trace_json(self) -> dict[str, Json]:
        """The short form of the manifest."""
        value: dict[str, Json] = {"tool": self.tool}
        if self.reasoning:
            value["reasoning"] = self.reasoning
        value["duration_ms"] = self.duration_ms
        if self.error is not None:
            value["outcome"] = {"error": {"message": self.error}}
        else:
            value["outcome"] = {"success": {"output_bytes": len((self.output or "").encode("utf-8", "replace"))}}
        if self.artifact is not None:
            value["artifact_filename"] = self.artifact
        return value


@dataclass(slots=True, frozen=True)
class ArtifactRecord:
    filename: str
    size: int
    kind: Literal["result", "tool_output"]
    tool: str = ""

    def to_json(self) -> dict[str, Json]:
        kind: Json = "result" if self.kind == "result" else {"tool_output": {"tool_name": self.tool}}
        return {"filename": self.filename, "size_bytes": self.size, "kind": kind}


@dataclass(slots=True)
class TaskTrace:
    """What the attempts at one task have called and stored."""

    calls: list[CallRecord] = field(default_factory=list)
    artifacts: list[ArtifactRecord] = field(default_factory=list)

    @property
    def tool_ms(self) -> int:
        return sum(call.duration_ms for call in self.calls)


@dataclass(slots=True, frozen=True)
class ReasoningTool:
    """An MCP tool whose schema also asks for the reason of each call. ``key`` never reaches the server."""

    tool: Tool
    key: str
    parameters: JsonObject

    @property
    def name(self) -> str:
        return self.tool.name

    @property
    def native_name(self) -> str:
        return self.tool.native_name

    @property
    def description(self) -> str:
        return self.tool.description

    @property
    def kind(self) -> ToolKind:
        return self.tool.kind

    @property
    def source(self) -> str:
        return self.tool.source

    @property
    def annotations(self) -> Annotations:
        return self.tool.annotations

    async def call(self, arguments: JsonObject, context: CallContext) -> ToolOutcome:
        return await self.tool.call(arguments, context)


def with_reasoning(tool: Tool) -> ReasoningTool:
    """``tool`` with the reason in its schema; a property of that name that the server has itself is kept."""
    if isinstance(tool, ReasoningTool):
        return tool
    properties = tool.parameters.get("properties")
    known = dict(properties) if isinstance(properties, Mapping) else {}
    key, number = REASONING, 0
    while key in known:
        number += 1
        key = f"{REASONING}_{number}"
    return ReasoningTool(tool, key, {**tool.parameters, "properties": {**known, key: _REASONING_SCHEMA}})


class ToolCallRecorder:
    """The innermost middleware of one attempt: takes the reason out, stores what is worth storing, records the call."""

    def __init__(
        self,
        run: RunDirectory,
        trace: TaskTrace,
        settings: Artifacts,
        *,
        task_id: int,
        worker: str | None,
        iteration: int,
        attempt: int,
    ) -> None:
        self.records: list[CallRecord] = []
        self.changed_something = False
        """A tool that is not known to be read-only was called."""
        self._run, self._trace, self._settings = run, trace, settings
        self._task_id, self._worker, self._iteration, self._attempt = task_id, worker, iteration, attempt
        self._next = 0
        self._file = f"iteration-{iteration}/task-{task_id}.attempt-{attempt}.tool-calls"

    async def __call__(self, invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome:
        tool = invocation.tool
        if tool.kind != "mcp" and tool.name != "wait_for":
            return await next_(invocation, context)
        index, self._next = self._next, self._next + 1
        reasoning, arguments = _split(invocation)
        self._note_effects(tool)
        clock = context.run.clock
        began = clock.monotonic()
        outcome = await next_(Invocation(tool, arguments), replace(context, intent=reasoning or context.intent))
        duration = round((clock.monotonic() - began) * 1000)
        artifact = await self._store(tool.name, index, outcome, duration)
        record = CallRecord(
            tool=tool.name,
            arguments=arguments,
            reasoning=reasoning,
            output=outcome.text if outcome.ok or outcome.outcome == "tool_error" else None,
            error=None if outcome.ok else outcome.text,
            duration_ms=duration,
            artifact=artifact,
        )
        self.records.append(record)
        self._trace.calls.append(record)
        if self._run.enabled:
            line = orjson.dumps(record.to_json(), option=orjson.OPT_APPEND_NEWLINE).decode()
            await self._run.append(f"{self._file}.jsonl", line)
        return outcome if artifact is None else replace(outcome, meta={**outcome.meta, "artifact": artifact})

    async def watch(self, invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome:
        """The middleware of calls that are made within a recorded call: they may change something, too."""
        self._note_effects(invocation.tool)
        return await next_(invocation, context)

    def _note_effects(self, tool: Tool) -> None:
        if tool.kind == "mcp" and not tool.annotations.read_only:
            self.changed_something = True

    async def _store(self, tool: str, index: int, outcome: ToolOutcome, duration: int) -> str | None:
        if not self._run.enabled or outcome.outcome not in ("success", "schema_error", "tool_error"):
            return None
        size, slow = self._settings.tool_output_artifact_threshold, self._settings.tool_output_duration_threshold_ms
        if not (size == 0 or len(outcome.text) > size or (slow and duration > slow)):
            return None
        name = output_name(self._task_id, self._worker, self._iteration, self._attempt, tool, index)
        if not await self._run.write(f"artifacts/{name}", outcome.text):
            return None
        length = len(outcome.text.encode("utf-8", "replace"))
        self._trace.artifacts.append(ArtifactRecord(name, length, "tool_output", tool))
        logger.info("output of `%s` is stored as `%s` (%d bytes)", tool, name, length)
        return name

    def files(self) -> dict[str, Json]:
        """The attempt's records as one file, for the end of the attempt."""
        return {f"{self._file}.json": [record.to_json() for record in self.records]} if self.records else {}

    async def remove_line_file(self) -> None:
        """Removes the line-by-line file once :meth:`files` is written."""
        if self.records:
            await self._run.remove(f"{self._file}.jsonl")


class ArtifactFooter:
    """Names the stored output where the model sees less than all of it."""

    async def __call__(self, invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome:
        outcome = await next_(invocation, context)
        name = outcome.meta.get("artifact")
        if name is None or not outcome.meta.get("cut") or outcome.meta.get("parked"):
            return outcome
        return replace(outcome, text=f"{outcome.text}\n\n[Tool output saved to artifact: {name}]")


def _split(invocation: Invocation) -> tuple[str, JsonObject]:
    tool, arguments = invocation.tool, invocation.arguments
    key = tool.key if isinstance(tool, ReasoningTool) else REASONING
    if key not in arguments:
        return "", arguments
    reason = arguments[key]
    kept = {name: value for name, value in arguments.items() if name != key}
    return (reason.strip() if isinstance(reason, str) else ""), kept
