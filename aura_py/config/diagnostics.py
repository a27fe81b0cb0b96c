"""What is wrong with a configuration, where, and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal

from aura_py.errors import ConfigurationError

Severity = Literal["error", "warning", "info"]

USAGE_ERRORS = frozenset({"CFG-D01", "CFG-D02"})
"""Codes that are mistakes of the command line: exit status 2 instead of 1."""


@dataclass(slots=True, frozen=True)
class Diagnostic:
    """One problem. ``line`` and ``column`` count from 1 in the file as it is on disk; ``key`` is the dotted path."""

    code: str
    message: str
    fix: str = ""
    severity: Severity = "error"
    _: KW_ONLY
    file: Path | None = None
    line: int | None = None
    column: int | None = None
    key: str = ""
    agent: str = ""
    """The effective id of the file's agent, once that is known."""

    def as_dict(self) -> dict[str, str | int | None]:
        """The object of ``aura check --json``."""
        return {
            "code": self.code,
            "severity": self.severity,
            "file": None if self.file is None else str(self.file),
            "line": self.line,
            "column": self.column,
            "key": self.key,
            "message": self.message,
            "fix": self.fix,
        }

    def _order(self) -> tuple[str, int, int, int]:
        missing = 1 << 60
        return (
            "" if self.file is None else str(self.file),
            self.line or missing,
            self.column or 0,
            _RANK[self.severity],
        )


_RANK: dict[str, int] = {"error": 0, "warning": 1, "info": 2}


class InvalidConfiguration(ConfigurationError):
    """The configuration cannot be used. ``diagnostics`` holds every problem of every file, warnings included."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = in_order(diagnostics)
        super().__init__(render(self.diagnostics))

    @property
    def exit_code(self) -> int:
        """2 when the command line (or a variable that stands for a flag) is at fault, else 1."""
        return 2 if any(each.code in USAGE_ERRORS for each in self.diagnostics) else 1


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By file, then by place in the file."""
    return tuple(sorted(diagnostics, key=Diagnostic._order))


def errors(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(each for each in diagnostics if each.severity == "error")


def render(diagnostics: Sequence[Diagnostic], *, summary: bool = True) -> str:
    """One block per problem; with errors among them the last line counts them."""
    blocks = [_block(each) for each in diagnostics]
    failed = errors(diagnostics)
    if failed and summary:
        files = len({each.file for each in failed if each.file is not None})
        place = f" in {files} file{'s' * (files != 1)}" if files else ""
        blocks.append(f"{len(failed)} error{'s' * (len(failed) != 1)}{place}; nothing was started")
    return "\n".join(blocks)


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    return json.dumps([each.as_dict() for each in diagnostics], ensure_ascii=False, indent=2)


def _block(each: Diagnostic) -> str:
    place = ""
    if each.file is not None:
        numbers = [str(number) for number in (each.line, each.column) if number is not None]
        place = " " + ":".join([str(each.file), *numbers])
    key = f"  {each.key}" if each.key else ""
    agent = f" (agent `{each.agent}`)" if each.agent else ""
    lines = [f"{each.severity}[{each.code}]{place}{agent}{key}"]
    lines += [f"  {line}" for line in each.message.splitlines()]
    for number, line in enumerate(each.fix.splitlines()):
        lines.append(f"  {'     ' if number else 'fix: '}{line}")
    return "\n".join(lines)
