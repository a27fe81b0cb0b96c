"""Finding agent files, and turning their bytes into a tree."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from aura_py.config.diagnostics import Diagnostic, InvalidConfiguration

_SUGGESTED = 3
_BOM = b"\xef\xbb\xbf"
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_BARE_PLACEHOLDER = re.compile(r"\{\{\s*env\b")
_DEEPEST = 100
_LARGEST = 16 * 1024 * 1024
"""Bytes of a file. What a file of that size says takes seconds to parse."""
_SCRIPT = ".script.toml"


class UnreadableFile(Exception):
    """A file that cannot be turned into a tree."""

    def __init__(self, diagnostic: Diagnostic, reason: str = "") -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic
        self.reason = reason or diagnostic.message


def agent_files(path: Path) -> tuple[tuple[Path, ...], tuple[Diagnostic, ...]]:
    """The agent files below ``path`` in their observable order, and warnings about what was passed over.

    Raises:
        InvalidConfiguration: The path does not exist, is of the wrong kind or holds no agent file.
    """
    absolute = Path(os.path.abspath(path))
    try:
        if path.is_dir():
            return _in_directory(path, absolute)
        if path.is_file():
            return (path,), ()
        exists = os.path.lexists(path)
    except (OSError, ValueError) as error:
        message = f"`{path}` cannot be examined: {_reason(error)}"
        raise InvalidConfiguration([Diagnostic("CFG-F03", message, "correct the path or its permissions")]) from error
    if exists and path.is_symlink() and not path.exists():
        diagnostic = Diagnostic("CFG-F03", f"`{path}` is a link to nothing", "mend the link", file=path)
    elif exists:
        message = f"`{path}` is neither a file nor a directory"
        diagnostic = Diagnostic("CFG-F04", message, "name a TOML file or a directory of TOML files", file=path)
    else:
        diagnostic = Diagnostic(
            "CFG-F01",
            f"the configuration `{path}` does not exist (looked for `{absolute}`)",
            "create it, or set `--config` or `CONFIG_PATH`",
        )
    raise InvalidConfiguration([diagnostic])


def _in_directory(path: Path, absolute: Path) -> tuple[tuple[Path, ...], tuple[Diagnostic, ...]]:
    files: list[Path] = []
    warnings: list[Diagnostic] = []
    try:
        with os.scandir(path) as found:
            entries = sorted(found, key=lambda entry: os.fsencode(entry.path))
    except OSError as error:
        message = f"the directory `{path}` cannot be read: {_reason(error)}"
        raise InvalidConfiguration([Diagnostic("CFG-F03", message, "correct its permissions", file=path)]) from error
    for entry in entries:
        name = entry.name
        if not _is_agent_file(name):
            continue
        if os.path.isdir(entry):
            message = f"`{entry.path}` is a directory although its name ends in `.toml`; it is skipped"
            fix = "rename the directory, or move its files up"
            warnings.append(Diagnostic("WARN-DIR01", message, fix, "warning", file=Path(entry.path)))
        else:
            files.append(path / name)
    if not files:
        message = f"No .toml configuration files found in directory `{absolute}`"
        near = [f"`{entry.path}`" for entry in entries if _has_agent_files(entry)][:_SUGGESTED]
        fix = f"name the directory that has them: {' or '.join(near)}" if near else "add an agent file"
        raise InvalidConfiguration([*warnings, Diagnostic("CFG-F02", message, f"{fix}, or point `--config` elsewhere")])
    return tuple(files), tuple(warnings)


def _has_agent_files(entry: os.DirEntry[str]) -> bool:
    try:
        if entry.name.startswith(".") or not entry.is_dir():
            return False
        with os.scandir(entry.path) as inner:
            return any(_is_agent_file(file.name) and not file.is_dir() for file in inner)
    except OSError:
        return False


def _is_agent_file(name: str) -> bool:
    return name.endswith(".toml") and not name.startswith(".") and not name.endswith(_SCRIPT)


def read_text(path: Path) -> str:
    """The text of a file without a byte order mark; raises ``UnreadableFile``."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            # Reading a pipe or a device may never end.
            fix = "put an ordinary file in its place"
            raise _unreadable(path, "it is neither a file nor a directory", fix, "CFG-F04")
        if path.stat().st_size > _LARGEST:
            raise _unreadable(path, f"it has more than {_LARGEST >> 20} MiB", "divide it, or name another file")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise _unreadable(path, _reason(error), "correct its permissions, or the link") from error
    try:
        return data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8, the byte at offset {error.start} is no text"
        raise _unreadable(path, reason, "save the file as UTF-8", "CFG-F05") from error


def _unreadable(path: Path, reason: str, fix: str, code: str = "CFG-F03") -> UnreadableFile:
    return UnreadableFile(Diagnostic(code, f"`{path}` cannot be read: {reason}", fix, file=path), reason)


def parse(path: Path, text: str) -> dict[str, object]:
    """The tree of a file; raises ``UnreadableFile``."""
    try:
        tree = tomllib.loads(text)
    except RecursionError as error:
        raise UnreadableFile(_too_deep(path)) from error
    except ValueError as error:
        raise UnreadableFile(_syntax(path, text, str(error))) from error
    if _deeper_than(tree, _DEEPEST):
        raise UnreadableFile(_too_deep(path))
    return tree


def _syntax(path: Path, text: str, reason: str) -> Diagnostic:
    match = _PLACE.search(reason)
    line: int | None = None
    column: int | None = None
    lines = text.split("\n")
    if match is not None:
        reason = reason[: match.start()]
        line, column = (int(match[1]), int(match[2])) if match[1] else (len(lines), len(lines[-1]) + 1)
    elif "digit" in reason:
        reason = "a number has too many digits"
    fix = "correct the TOML"
    if line is not None and column is not None and _bare_placeholder_at(lines[line - 1], column - 1):
        fix = 'a placeholder stands inside a string: put it in quotes, `"{{ env.NAME }}"`'
    where = "" if line is None else f" at line {line}, column {column}"
    return Diagnostic("CFG-T01", f"not valid TOML{where}: {reason}", fix, file=path, line=line, column=column)


def _bare_placeholder_at(line: str, column: int) -> bool:
    """Whether the parser stumbled over a placeholder that is not inside a string: at one of its braces."""
    return any(_BARE_PLACEHOLDER.match(line, start) for start in (column, column - 1) if start >= 0)


def _too_deep(path: Path) -> Diagnostic:
    return Diagnostic(
        "CFG-T01", f"tables or arrays are nested more than {_DEEPEST} levels deep", "flatten them", file=path
    )


def _deeper_than(tree: object, limit: int) -> bool:
    level: list[object] = [tree]
    for _ in range(limit):
        below: list[object] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        if not below:
            return False
        level = below
    return True


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
