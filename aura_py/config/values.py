"""Types of values: how each is read leniently, what may be wrong, how JSON Schema says it.

Texts and lists are here, numbers and booleans in ``numbers``.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import SecretStr

from aura_py.config.environment_text import EnvironmentText, UnresolvedText
from aura_py.config.file_report import Location, display, toml_type
from aura_py.globs import Glob, GlobError

JsonSchema: TypeAlias = dict[str, object]


class _Nothing:
    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = _Nothing()
"""What a reader returns for a value that counts as absent or was reported as a problem."""

_TEMPLATE_PATTERN = r"\{\{\s*env\.[A-Za-z_][A-Za-z0-9_]*"
TEMPLATE_SCHEMA: JsonSchema = {"type": "string", "pattern": _TEMPLATE_PATTERN}


class ValueType(ABC):
    """Reads one value, or reports why it cannot."""

    label: ClassVar[str]
    """The type for the generated reference."""

    def read(self, value: object, at: Location) -> object:
        if isinstance(value, UnresolvedText):
            at.file.fail(at.path)
            return NOTHING
        return self._read(value, at)

    @abstractmethod
    def _read(self, value: object, at: Location) -> object: ...

    def json_schema(self) -> JsonSchema:
        return {"type": "string"}

    def describe(self) -> str:
        return self.label


def wrong_type(at: Location, expected: str, value: object, fix: str = "") -> _Nothing:
    return refused(at, "CFG-S02", f"`{at.name}` must be {expected}, found {toml_type(value)}", fix)


def refused(at: Location, code: str, message: str, fix: str = "") -> _Nothing:
    """Report a value that is not allowed."""
    at.error(code, message, fix)
    return NOTHING


class StringType(ValueType):
    """A value that stands in quotes."""

    example: ClassVar[str] = "…"

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, str):
            return wrong_type(at, "a string", value, f'put the value in quotes: `{at.name} = "{self.example}"`')
        return self._read_text(value, at)

    @abstractmethod
    def _read_text(self, value: str, at: Location) -> object: ...


# --- strings -------------------------------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class Text(StringType):
    """A string. ``blank`` says what a blank one is: text like any other, absent, or the error ``blank_code``."""

    label = "string"

    blank: str = "text"
    blank_code: str = ""
    prompt: bool = False
    """Its content reaches a model."""

    def _read_text(self, value: str, at: Location) -> object:
        if self.blank != "text" and not value.strip():
            if self.blank == "absent":
                return NOTHING
            return refused(
                at, self.blank_code, f"`{at.name}` must not be blank{blank_reason(value)}", f"give `{at.key}` a value"
            )
        if self.prompt and isinstance(value, EnvironmentText):
            for variable in value.variables:
                at.file.uses.prompts.setdefault(variable, at.path)
        return value

    def json_schema(self) -> JsonSchema:
        return {"type": "string", "pattern": r"\S"} if self.blank == "refuse" else {"type": "string"}


@dataclass(slots=True, frozen=True)
class Secret(StringType):
    """A credential: stripped, and never shown."""

    label = "secret string"

    blank: str = "absent"
    blank_code: str = "CFG-L03"
    blank_message: str = "API key is required"

    def _read_text(self, value: str, at: Location) -> object:
        note_secret(value, at)
        text = value.strip()
        if not text:
            if self.blank == "absent":
                return NOTHING
            return refused(
                at,
                self.blank_code,
                f"{self.blank_message}: `{at.key}` is blank{blank_reason(value)}",
                "export the variable, or write any non-empty text when the endpoint needs no key",
            )
        return SecretStr(text)

    def json_schema(self) -> JsonSchema:
        return {"type": "string", "minLength": 1} if self.blank == "refuse" else {"type": "string"}


def note_secret(value: str, at: Location) -> None:
    if isinstance(value, EnvironmentText):
        for variable in value.variables:
            at.file.uses.secrets.setdefault(variable, at.path)
    elif not _is_dummy(value.strip()):
        at.file.uses.literals.append(at.path)


def _is_dummy(text: str) -> bool:
    return len(text) <= 8 or text.lower().startswith(("test", "unused", "none", "dummy", "example"))


def blank_reason(value: object) -> str:
    """Why a value from the environment is blank, if it is."""
    if not isinstance(value, EnvironmentText) or not value.variables or value.strip():
        return ""
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(value.variables))
    return f" ({names} is set but empty, or its default is)"


@dataclass(slots=True, frozen=True)
class Url(StringType):
    """An absolute http(s) URL with a host."""

    label = "URL"

    code: str
    secret: bool = False
    blank: str = "refuse"

    def _read_text(self, value: str, at: Location) -> object:
        if isinstance(value, EnvironmentText) and self.secret:
            for variable in value.variables:
                at.file.uses.secrets.setdefault(variable, at.path)
        text = value.strip()
        if not text and self.blank == "absent":
            return NOTHING
        if not is_url(text):
            what = f": `{display(value)}`" if isinstance(value, EnvironmentText) else ""
            what += blank_reason(value)
            return refused(
                at,
                self.code,
                f"`{at.key}` must start with http:// or https:// and name a host{what}",
                f'write the whole URL, for example `{at.name} = "https://example.org/path"`',
            )
        return SecretStr(text) if self.secret else text

    def json_schema(self) -> JsonSchema:
        pattern = rf"^\s*(http|https)://|{_TEMPLATE_PATTERN}" + (r"|^\s*$" if self.blank == "absent" else "")
        return {"type": "string", "pattern": pattern}


def is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"[\s\x00-\x1f\x7f]", text)


@dataclass(slots=True, frozen=True)
class FilePath(StringType):
    """A path; relative ones start at the working directory, or with ``beside`` at the file that names them, whose
    directory they cannot leave.

    With ``home`` they start at the directory of the file, too, and may leave it; ``either`` falls back to the working
    directory, with a warning, for a path that exists only there.
    """

    label = "path"

    beside: bool = False
    home: Literal["cwd", "file", "either"] = "cwd"
    blank: str = "absent"
    blank_code: str = ""
    blank_message: str = ""

    def _read_text(self, value: str, at: Location) -> object:
        if not value.strip():
            if self.blank == "refuse":
                at.error(self.blank_code, f"{self.blank_message}{blank_reason(value)}", "name a directory")
            return NOTHING
        if "\0" in value:
            return refused(at, "CFG-S02", f"`{at.key}` holds a NUL character, which no path can", "remove it")
        if isinstance(value, EnvironmentText):
            at.file.sources[at.path] = value.source
        if not self.beside:
            return Path(os.path.abspath(value)) if self.home == "cwd" else self._from_file(value, at)
        home = at.file.file.parent
        path = os.path.abspath(os.path.join(home, value))
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(home)):
            # Reading a file is the one thing that a check does for an author whom nobody trusts yet.
            return refused(
                at,
                "CFG-F03",
                f"`{at.key}` names `{display(value)}`, which is outside of the directory of this file",
                "put it beside this file or in a directory below",
            )
        return Path(path)

    def _from_file(self, value: str, at: Location) -> Path:
        path = os.path.abspath(at.file.file.parent / value)
        here = os.path.abspath(value)
        if self.home == "file" or here == path or os.path.lexists(path) or not os.path.lexists(here):
            return Path(path)
        at.warn(
            "WARN-PATH01",
            f"`{display(value)}` does not exist beside this file; the one in the working directory is used",
            "write the path relative to this file, or an absolute one",
        )
        return Path(here)

    def json_schema(self) -> JsonSchema:
        return {"type": "string", "minLength": 1} if self.blank == "refuse" else {"type": "string"}


@dataclass(slots=True, frozen=True)
class Choice(ValueType):
    """One of a closed set of words."""

    words: tuple[str, ...]

    def _read(self, value: object, at: Location) -> object:
        fix = "use one of " + ", ".join(f"`{word}`" for word in self.words)
        if not isinstance(value, str):
            return wrong_type(at, "a string", value, fix)
        if value in self.words:
            return value
        return refused(at, "CFG-S10", f"`{display(value)}` is not a value of `{at.key}`{blank_reason(value)}", fix)

    def json_schema(self) -> JsonSchema:
        return {"anyOf": [{"enum": list(self.words)}, TEMPLATE_SCHEMA]}

    def describe(self) -> str:
        return " \\| ".join(f"`{word}`" for word in self.words)


# --- lists ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class Strings(ValueType):
    """An array of strings; ``element`` reads each."""

    element: ValueType = Text()

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, list):
            fix = f'wrap it in brackets: `{at.name} = ["…"]`' if isinstance(value, str) else ""
            return wrong_type(at, "an array of strings", value, fix)
        items = [self.element.read(item, at / index) for index, item in enumerate(value)]
        return NOTHING if any(item is NOTHING for item in items) else tuple(items)

    def json_schema(self) -> JsonSchema:
        return {"type": "array", "items": self.element.json_schema()}

    def describe(self) -> str:
        return f"list of {self.element.describe()}{'' if isinstance(self.element, Choice) else 's'}"


@dataclass(slots=True, frozen=True)
class GlobText(StringType):
    """A glob over tool names."""

    label = "glob"

    code: str = "CFG-S08"

    def _read_text(self, value: str, at: Location) -> object:
        try:
            Glob(value)
        except GlobError as error:
            return refused(
                at,
                self.code,
                f"the pattern `{display(value)}` does not compile: {error.reason} at position {error.position}",
                "close the bracket or brace, or put `\\` before a character that is meant literally",
            )
        return value


PromptText: TypeAlias = Annotated[str, Text(prompt=True)]
Globs: TypeAlias = Annotated[tuple[str, ...], Strings(GlobText())]
