"""Names of files below the memory dir, and which foreign names are safe."""

from __future__ import annotations

import re
import uuid

_ARTIFACT = re.compile(r"task-\d+-[a-z0-9-]+-iter-\d+(?:-a\d+)?-(?:result|[a-z0-9-]+-\d+-output)\.txt", re.ASCII)
LATEST = "latest"
_DEVICES = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)")


def sanitise(name: str) -> str:
    """Lower case; everything but ASCII letters and digits becomes ``-``, in runs of one, none at the ends."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unknown"


def result_name(task_id: int, worker: str | None, iteration: int, attempt: int = 1) -> str:
    return f"{_stem(task_id, worker, iteration, attempt)}-result.txt"


def output_name(task_id: int, worker: str | None, iteration: int, attempt: int, tool: str, index: int) -> str:
    return f"{_stem(task_id, worker, iteration, attempt)}-{sanitise(tool)}-{index}-output.txt"


def _stem(task_id: int, worker: str | None, iteration: int, attempt: int) -> str:
    again = f"-a{attempt}" if attempt > 1 else ""
    return f"task-{task_id}-{sanitise(worker) if worker else 'default'}-iter-{iteration}{again}"


def safe_component(name: str) -> bool:
    """Whether ``name`` may be one component of a path."""
    return (
        bool(name)
        and ".." not in name
        and not name.startswith(".")
        and not any(c in "/\\" or ord(c) < 32 or ord(c) == 127 for c in name)
        and len(name.encode("utf-8", "surrogatepass")) <= 255
        and not _DEVICES.match(name)
    )


def safe_artifact(name: str) -> bool:
    """Whether ``name`` is one an orchestration gives to its artifacts."""
    return safe_component(name) and _ARTIFACT.fullmatch(name) is not None


def is_run_id(name: str) -> bool:
    """A canonical lower-case hyphenated UUID of any version."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def is_uuid7(name: str) -> bool:
    return is_run_id(name) and uuid.UUID(name).version == 7
