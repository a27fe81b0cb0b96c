"""``.env`` files: first thing at start-up, never overriding."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from os.path import isdir, isfile  # unlike a Path's, they are false where nothing may be looked at
from pathlib import Path

from aura_py.config.diagnostics import Diagnostic
from aura_py.config.words import is_true

_ASSIGNMENT = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)", re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'[ \t]*(?:#.*)?", re.DOTALL)
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:#.*)?', re.DOTALL)
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ESCAPE = re.compile(r'\\([nrt"\\$])|\$\{([A-Za-z_][A-Za-z0-9_]*)\}')
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def load_dotenv(
    config: Path | None = None, *, env: MutableMapping[str, str] | None = None, directory: Path | None = None
) -> tuple[Diagnostic, ...]:
    """Adds variables of ``.env`` files to ``env`` (the process environment) unless they exist.

    First the nearest ``.env`` from ``directory`` (the working directory) up to the root, then the one beside
    ``config``. Call it again with ``config`` once the first file may have named it in ``CONFIG_PATH``.

    Returns:
        A warning per line or file that cannot be used.
    """
    env = os.environ if env is None else env
    if is_true(env.get("AURA_DISABLE_DOTENV")):
        return ()
    warnings: list[Diagnostic] = []
    start = Path.cwd() if directory is None else directory.absolute()
    seen: set[Path] = set()
    nearest = next((file for file in (each / ".env" for each in (start, *start.parents)) if isfile(file)), None)
    for file in [nearest, *_beside(config, start)]:
        if file is not None and isfile(file) and (real := file.resolve()) not in seen:
            seen.add(real)
            warnings.extend(_load(file, env))
    return tuple(warnings)


def _beside(config: Path | None, start: Path) -> list[Path]:
    if config is None:
        return []
    config = Path(os.path.abspath(start / config))
    if isdir(config):
        return [config / ".env", config.parent / ".env"]
    return [config.parent / ".env"]


def _load(file: Path, env: MutableMapping[str, str]) -> list[Diagnostic]:
    try:
        text = file.read_bytes().removeprefix(b"\xef\xbb\xbf").decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8"
        return [_warning(file, None, f"`{file}` cannot be read: {reason}", "correct its permissions or encoding")]
    warnings: list[Diagnostic] = []
    for number, name, value in _assignments(text, env):
        if value is None:
            fix = "write `NAME=value`, and close every quote"
            warnings.append(
                _warning(file, number, f"line {number} of `{file}` is not an assignment; it is skipped", fix)
            )
        elif name not in env:
            env[name] = value
    return warnings


def parse(text: str, env: Mapping[str, str]) -> dict[str, str]:
    """The assignments of a ``.env`` text; ``${NAME}`` means ``env`` first, then earlier lines."""
    found: dict[str, str] = {}
    for _, name, value in _assignments(text, env):
        if value is not None:
            found.setdefault(name, value)
    return found


def _assignments(text: str, env: Mapping[str, str]) -> list[tuple[int, str, str | None]]:
    """Line number, name and value; a value of ``None`` is a line that cannot be read."""
    found: list[tuple[int, str, str | None]] = []
    known: dict[str, str] = {}
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        number = at + 1
        line = lines[at].strip()
        at += 1
        if not line or line.startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            found.append((number, "", None))
            continue
        name, raw = match.groups()
        closed = at
        if raw[:1] in ("'", '"') and not _quoted(raw):
            # A quoted value may run over several lines; without its end only this line is lost.
            for closed in range(at + 1, len(lines) + 1):
                longer = "\n".join([match[2], *lines[at:closed]]).rstrip(" \t")
                if _quoted(longer):
                    raw = longer
                    break
            else:
                found.append((number, name, None))
                continue
        at = closed
        value = _value(raw, {**known, **env})
        found.append((number, name, value if value is not None and "\0" not in value else None))
        if value is not None:
            known.setdefault(name, value)
    return found


def _quoted(raw: str) -> bool:
    return (_SINGLE if raw[0] == "'" else _DOUBLE).fullmatch(raw) is not None


def _value(raw: str, env: Mapping[str, str]) -> str | None:
    single = _SINGLE.fullmatch(raw)
    if single is not None:
        return single[1]
    double = _DOUBLE.fullmatch(raw)
    if double is not None:
        return _ESCAPE.sub(lambda each: _ESCAPED[each[1]] if each[1] else env.get(each[2], ""), double[1])
    if raw[:1] in ("'", '"'):
        return None
    return _REFERENCE.sub(lambda each: env.get(each[1], ""), _COMMENT.sub("", raw, count=1).strip())


def _warning(file: Path, line: int | None, message: str, fix: str) -> Diagnostic:
    return Diagnostic("WARN-ENV01", "warning", file, line, None if line is None else 1, "", message, fix)
