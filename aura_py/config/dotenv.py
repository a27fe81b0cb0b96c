"""``.env`` files: first thing at start-up, never overriding."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from os.path import isdir, isfile  # unlike a Path's, they are false where nothing may be looked at
from pathlib import Path

from aura_py.config.diagnostics import Diagnostic
from aura_py.config.variables import is_true

_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_ASSIGNMENT = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*"""
    r"""(?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<bare>(?!['"])[^\n]*))"""
    r"""[ \t]*(?:#[^\n]*)?(?:\n|\Z)""",
    re.DOTALL,
)
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
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
    found, unreadable = parse(text, env)
    for name, value in found.items():
        env.setdefault(name, value)
    fix = "write `NAME=value`, and close every quote"
    return [
        _warning(file, number, f"line {number} of `{file}` is not an assignment; it is skipped", fix)
        for number in unreadable
    ]


def parse(text: str, env: Mapping[str, str]) -> tuple[dict[str, str], list[int]]:
    """The assignments of a ``.env`` text, and the numbers of lines that are none.

    A quoted value may run over several lines. ``${NAME}`` means ``env`` first, then earlier lines, except in single
    quotes.
    """
    text = text.replace("\r\n", "\n")
    found: dict[str, str] = {}
    unreadable: list[int] = []
    at, line, counted = 0, 1, 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        match = _ASSIGNMENT.match(text, at)
        value = None if match is None else _value(match, {**found, **env})
        if match is None or value is None or "\0" in value:
            line, counted = line + text.count("\n", counted, at), at
            unreadable.append(line)
            at = match.end() if match else text.find("\n", at) + 1 or len(text)
        else:
            found.setdefault(match["name"], value)
            at = match.end()
    return found, unreadable


def _value(match: re.Match[str], env: Mapping[str, str]) -> str:
    if match["single"] is not None:
        return match["single"]
    if match["double"] is not None:
        return _ESCAPE.sub(lambda each: _ESCAPED[each[1]] if each[1] else env.get(each[2], ""), match["double"])
    return _REFERENCE.sub(lambda each: env.get(each[1], ""), _COMMENT.sub("", match["bare"], count=1).strip())


def _warning(file: Path, line: int | None, message: str, fix: str) -> Diagnostic:
    return Diagnostic("WARN-ENV01", message, fix, "warning", file=file, line=line, column=None if line is None else 1)
