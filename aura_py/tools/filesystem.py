"""``read_file`` and ``list_directory``: read-only, confined to one root."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread
import orjson

from aura_py.messages import JsonObject
from aura_py.tools.contract import BuiltinTool, CallContext, Tool, ToolOutcome, failure, success

MAX_FILE_BYTES = 1_048_576
MAX_ENTRIES = 2_000
_BLOCKED = ("/etc", "/proc", "/sys", "/dev", "/var/log", "/.ssh", "/.aws", "/.config")

_PARAMETERS: JsonObject = {
    "type": "object",
    "properties": {"path": {"type": "string", "description": "Relative to the root, or absolute below it."}},
    "required": ["path"],
    "additionalProperties": False,
}


def filesystem_tools(root: Path | None) -> tuple[Tool, ...]:
    """The two tools, confined to ``root`` (default: the working directory)."""
    base = Path(os.path.realpath(root or Path.cwd()))

    async def read_file(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        return await anyio.to_thread.run_sync(_outcome, _read, base, arguments)

    async def list_directory(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        return await anyio.to_thread.run_sync(_outcome, _list, base, arguments)

    return (
        BuiltinTool(
            "read_file",
            f"Reads a text file of at most {MAX_FILE_BYTES} bytes.",
            _PARAMETERS,
            read_file,
            "filesystem",
        ),
        BuiltinTool(
            "list_directory",
            "Lists the entries of a directory, not recursively.",
            _PARAMETERS,
            list_directory,
            "filesystem",
        ),
    )


class _AccessDenied(Exception):
    pass


def _outcome(action: Callable[[Path, Path], str], base: Path, arguments: JsonObject) -> ToolOutcome:
    extra = sorted(set(arguments) - {"path"})
    path = arguments.get("path")
    if extra or not isinstance(path, str) or not path:
        return failure("ToolCallError: the only argument is `path`, a non-empty string.", outcome="schema_error")
    try:
        return success(action(base, _resolve(base, path)))
    except _AccessDenied as error:
        return failure(f"ToolCallError: {error}")
    except OSError as error:
        return failure(f"ToolCallError: `{path}`: {error.strerror or type(error).__name__}.")


def _resolve(base: Path, path: str) -> Path:
    if "\x00" in path:
        raise _AccessDenied("the path holds a NUL character.")
    real = Path(os.path.realpath(base / path))
    if real != base and base not in real.parents:
        raise _AccessDenied(f"`{path}` lies outside the permitted directory.")
    inside = "/" + real.relative_to(base).as_posix().lower()
    absolute = real.as_posix().lower()
    if real.name.lower().startswith(".env"):
        raise _AccessDenied(f"`{path}` holds secrets and is never read.")
    if any(absolute.startswith(blocked) for blocked in _BLOCKED) or any(b in inside for b in _BLOCKED if "." in b):
        raise _AccessDenied(f"`{path}` is a system or credential location.")
    return real


def _read(_base: Path, path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _AccessDenied(f"`{path.name}` is not a regular file.")
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise _AccessDenied(f"`{path.name}` is larger than {MAX_FILE_BYTES} bytes.")
    return content.decode("utf-8", "replace")


def _list(base: Path, path: Path) -> str:
    if not path.is_dir():
        raise _AccessDenied(f"`{path.name}` is not a directory.")
    entries = []
    total = 0
    for entry in sorted(os.scandir(path), key=lambda e: e.name):
        total += 1
        if total > MAX_ENTRIES:
            continue
        is_file, is_dir = entry.is_file(follow_symlinks=False), entry.is_dir(follow_symlinks=False)
        entries.append(
            {
                "name": entry.name,
                "path": Path(entry.path).relative_to(base).as_posix(),
                "is_file": is_file,
                "is_dir": is_dir,
                "size": entry.stat(follow_symlinks=False).st_size if is_file else 0,
            }
        )
    relative = path.relative_to(base).as_posix()
    return orjson.dumps({"path": relative, "entries": entries, "total_count": total}).decode()
