"""What a run remembers of its tool calls and files, by iteration and task (``orchestration.md`` L11)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from aura_py.messages import Json, JsonObject

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
    calls: list[CallRecord] = field(default_factory=list)
    artifacts: list[ArtifactRecord] = field(default_factory=list)

    @property
    def tool_ms(self) -> int:
        return sum(call.duration_ms for call in self.calls)


class Traces:
    """All traces of a run."""

    def __init__(self) -> None:
        self._traces: dict[tuple[int, int], TaskTrace] = {}

    def of(self, iteration: int, task_id: int) -> TaskTrace:
        return self._traces.setdefault((iteration, task_id), TaskTrace())

    def tool_ms(self, iteration: int) -> int:
        return sum(trace.tool_ms for (number, _), trace in self._traces.items() if number == iteration)

    @property
    def artifacts(self) -> tuple[ArtifactRecord, ...]:
        found = (artifact for trace in self._traces.values() for artifact in trace.artifacts)
        return tuple(sorted(found, key=lambda artifact: artifact.filename))
