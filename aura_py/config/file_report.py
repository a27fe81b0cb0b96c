"""What is to be said about one file, and the locations to say it of. Positions are looked up only when needed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path as FilePath

from aura_py.config.diagnostics import Diagnostic, Severity
from aura_py.config.environment_text import EnvironmentText, Path, source_of
from aura_py.config.positions import Positions

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 80


class FileReport:
    """Collects the diagnostics of one file, and what is known about it across its tables."""

    def __init__(self, file: FilePath, text: str = "", *, strict: bool = False) -> None:
        self.file = file
        self.strict = strict
        self.names: dict[Path, str] = {}
        """Names of array entries, shown beside their index."""
        self.uses = VariableUses()
        self.sources: dict[Path, str] = {}
        """What the file says where a path came from a template."""
        self._failed: set[Path] = set()
        """Every place at or below which something was wrong."""
        self._text = text
        self._own: list[Diagnostic] = []
        self._parts: list[FileReport] = []

    @cached_property
    def positions(self) -> Positions:
        return Positions(self._text)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        return [*self._own, *(each for part in self._parts for each in part.diagnostics)]

    @property
    def failed(self) -> bool:
        return any(each.severity == "error" for each in self.diagnostics)

    @property
    def root(self) -> Location:
        return Location(self, ())

    def failed_below(self, path: Path) -> bool:
        return path in self._failed

    def fail(self, path: Path) -> None:
        """Note that something was wrong at a place; for unresolved placeholders, which are reported in one go."""
        self._failed.update(path[:length] for length in range(len(path) + 1))

    def add_file(self, file: FilePath, text: str) -> FileReport:
        """The report on a file that this one names."""
        part = FileReport(file, text, strict=self.strict)
        self._parts.append(part)
        return part

    def adopt(self, diagnostic: Diagnostic) -> None:
        """A problem that was found, with its place, before the tree was."""
        self._own.append(diagnostic)
        self.fail(())

    def add(self, severity: Severity, code: str, path: Path, message: str, fix: str = "") -> None:
        if severity == "error":
            self.fail(path)
        line, column = self.positions.of(tuple(source_of(step) for step in path)) or (None, None)
        self._own.append(
            Diagnostic(code, message, fix, severity, file=self.file, line=line, column=column, key=self.key(path))
        )

    def key(self, path: Path) -> str:
        """The dotted path, array entries by index and name, placeholders as the file spells them."""
        shown = ""
        for depth, step in enumerate(path, start=1):
            if isinstance(step, int):
                shown += f"[{step}]"
                if path[:depth] in self.names:
                    shown += f" '{self.names[path[:depth]]}'"
                continue
            name = str(source_of(step))
            name = name if _BARE.fullmatch(name) else f'"{name}"'
            shown = f"{shown}.{name}" if shown else name
        return shown


@dataclass(slots=True)
class VariableUses:
    """Variables by the kind of field they reach, to find a secret that is put into a prompt (`WARN-SEC01`)."""

    secrets: dict[str, Path] = field(default_factory=dict)
    prompts: dict[str, Path] = field(default_factory=dict)
    literals: list[Path] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Location:
    """A place in a file, to read from and to complain about."""

    file: FileReport
    path: Path

    def __truediv__(self, step: str | int) -> Location:
        return Location(self.file, (*self.path, step))

    @property
    def key(self) -> str:
        return self.file.key(self.path)

    @property
    def header(self) -> str:
        """The dotted path as a table's header says it: without the places of array entries."""
        return self.file.key(tuple(step for step in self.path if isinstance(step, str)))

    @property
    def table(self) -> str:
        """How a message names this table."""
        return f"[{self.key}]" if self.path else "the top level of the file"

    @property
    def name(self) -> str:
        """The last step as the file spells it."""
        return str(source_of(self.path[-1])) if self.path else ""

    def shown_path(self, path: FilePath) -> str:
        """A path that was read here, or the placeholder it came from."""
        return self.file.sources.get(self.path, str(path))

    def error(self, code: str, message: str, fix: str = "") -> None:
        self.file.add("error", code, self.path, message, fix)

    def warn(self, code: str, message: str, fix: str = "") -> None:
        self.file.add("warning", code, self.path, message, fix)

    def info(self, code: str, message: str, fix: str = "") -> None:
        self.file.add("info", code, self.path, message, fix)


def display(value: object) -> str:
    """A value for a message: a template as its placeholder, anything long cut. Never for secret fields."""
    if isinstance(value, EnvironmentText):
        text = value.source
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = str(value)
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def toml_type(value: object) -> str:
    """What TOML calls a value."""
    for kinds, name in _TOML_NAMES:
        if isinstance(value, kinds):
            return name
    return "a date or time"


_TOML_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a float"),
    (str, "a string"),
    (list, "an array"),
    (dict, "a table"),
)
