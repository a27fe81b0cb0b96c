"""Earlier runs of a session: reads their manifests, and describes them to the coordinator."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from aura_py.messages import Json, JsonObject
from aura_py.orchestration.manifest import MAX_MANIFEST_BYTES
from aura_py.orchestration.naming import LATEST, is_uuid7
from aura_py.orchestration.plan import is_array
from aura_py.orchestration.run_directory import read_plain
from aura_py.orchestration.run_retention import MAX_DIRECTORIES
from aura_py.orchestration.text import truncate

logger = logging.getLogger(__name__)

MAX_LISTED = 50
MAX_PARSED = 200
_TEXT_LENGTH = 500
"""Characters of any one text of an earlier run; a goal may be a whole pasted log."""
_RUN_LENGTH = 16_000
"""Characters of one earlier run in the coordinator's prompt."""


@dataclass(slots=True, frozen=True)
class Manifest:
    """The manifest of an earlier run; old ones lack much, and unknown fields are ignored."""

    run_id: str
    timestamp: datetime
    goal: str
    status: str
    iterations: int
    outcome: str | None
    response_summary: str | None
    tasks: tuple[JsonObject, ...]
    artifacts: tuple[str, ...]


def read_manifest(value: Json) -> Manifest | None:
    """``None`` when ``value`` is not a manifest."""
    if not isinstance(value, Mapping):
        return None
    run_id, timestamp = value.get("run_id"), _time(value.get("timestamp"))
    if not isinstance(run_id, str) or timestamp is None:
        return None
    status, iterations = value.get("status"), value.get("iterations")
    tasks, artifacts = value.get("task_summaries"), value.get("artifact_paths")
    return Manifest(
        run_id=run_id,
        timestamp=timestamp,
        goal=_text(value.get("goal")) or "",
        status=status if status in ("success", "partial_success", "failed", "cancelled") else "failed",
        iterations=iterations if isinstance(iterations, int) else 0,
        outcome=_text(value.get("outcome")),
        response_summary=_text(value.get("response_summary")),
        tasks=tuple(task for task in tasks if isinstance(task, Mapping)) if is_array(tasks) else (),
        artifacts=tuple(name for name in artifacts if isinstance(name, str)) if is_array(artifacts) else (),
    )


def _time(value: Json) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC) if parsed is not None and parsed.tzinfo is None else parsed


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def prior_runs(session: Path, current: str, limit: int) -> tuple[Manifest, ...]:
    """The newest ``limit`` runs that left a readable manifest, newest first. Blocking."""
    try:
        with os.scandir(session) as entries:
            names = [e.name for e in entries if e.is_dir(follow_symlinks=False) and e.name != current]
    except OSError as error:
        logger.warning("session directory `%s` cannot be read: %s", session, error.strerror)
        return ()
    names = sorted((n for n in names if n != LATEST), reverse=True)[:MAX_DIRECTORIES]
    # ids of version 7 begin with the time: the newest come first, and the rest need not be read
    chronological = all(is_uuid7(name) for name in names)
    found: list[Manifest] = []
    enough = min(limit, MAX_PARSED) if chronological else MAX_PARSED
    for name in names:
        if len(found) == enough:
            break
        manifest = _load(session / name / "manifest.json")
        if manifest is not None:
            found.append(manifest)
    return tuple(sorted(found, key=lambda m: m.timestamp, reverse=True)[:limit])


def _load(path: Path) -> Manifest | None:
    try:
        read = read_plain(path, MAX_MANIFEST_BYTES)
        if read is not None and read[1] > MAX_MANIFEST_BYTES:
            logger.warning("manifest `%s` is larger than 1 MiB and is skipped", path)
            return None
        manifest = None if read is None else read_manifest(orjson.loads(read[0]))
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("manifest `%s` cannot be read: %s", path, error.strerror)
        return None
    except orjson.JSONDecodeError:
        manifest = None
    if manifest is None:
        logger.warning("manifest `%s` is malformed and is skipped", path)
    return manifest


def runs_json(manifests: Sequence[Manifest]) -> dict[str, Json]:
    """The result of ``list_prior_runs``."""
    runs: list[Json] = []
    for manifest in manifests:
        run: dict[str, Json] = {
            "run_id": manifest.run_id,
            "timestamp": manifest.timestamp.isoformat(),
            "goal": _short(manifest.goal),
            "status": manifest.status,
        }
        if manifest.outcome is not None:
            run["outcome"] = manifest.outcome
        run["iteration_count"] = manifest.iterations
        run["task_count"] = len(manifest.tasks)
        run["artifact_count"] = len(manifest.artifacts)
        runs.append(run)
    return {"count": len(runs), "runs": runs}


def run_summary(manifest: Manifest) -> str:
    """One run for the coordinator's prompt, of bounded length."""
    lines = [f"Goal: {_short(manifest.goal)}"]
    if manifest.outcome:
        lines.append(f"Outcome: {_short(manifest.outcome)}")
    if manifest.response_summary:
        lines.append(f"Answer: {_short(manifest.response_summary)}")
    for task in manifest.tasks:
        lines += _task_lines(task)
    text = truncate("\n".join(lines), _RUN_LENGTH)
    return f"{text}\nArtifacts are read with run_id {manifest.run_id}." if manifest.artifacts else text


def _task_lines(task: JsonObject) -> list[str]:
    complete = task.get("status") == "complete"
    note = task.get("confidence") if complete else task.get("failure_category")
    status = _short(task.get("status")) + (f" [{_short(note)}]" if note else "")
    worker = _short(task.get("worker") or "unassigned")
    lines = [f"Task {_short(task.get('task_id'))} ({worker}): {status}: {_short(task.get('description'))}"]
    if complete:
        if task.get("result_preview"):
            lines.append(f"  {_short(task['result_preview'])}")
    elif task.get("error"):
        lines.append(f"  error: {_short(task['error'])}")
        context = task.get("error_context")
        if isinstance(context, Mapping) and context.get("last_tool_call"):
            lines.append(f"  last tool: {_short(context['last_tool_call'])}")
    trace = task.get("tool_trace")
    if is_array(trace) and trace:
        names = [str(call.get("tool")) for call in trace if isinstance(call, Mapping)]
        lines.append(f"  tools: {_short(' → '.join(names))}")
    artifacts = task.get("artifacts")
    if is_array(artifacts):
        for artifact in artifacts:
            if isinstance(artifact, Mapping):
                name, size = _short(artifact.get("filename")), _short(artifact.get("size_bytes"))
                lines.append(f"  artifact: {name} ({size} bytes)")
    return lines


def _short(value: Json) -> str:
    return truncate(str(value), _TEXT_LENGTH)
