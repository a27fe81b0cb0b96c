"""Types of tables whose keys the user chooses: headers, variables, parameters."""

from __future__ import annotations

import datetime
import math
import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import SecretStr

from aura_py.config.environment_text import EnvironmentText, UnresolvedText
from aura_py.config.file_report import Location, display, toml_type
from aura_py.config.numbers import LARGEST
from aura_py.config.values import NOTHING, JsonSchema, ValueType, note_secret, refused, wrong_type

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_AUTH_SCHEME = re.compile(r"bearer|token|basic", re.IGNORECASE)
_SECRET_NAME = re.compile(r"auth|key|token|secret|passw|cookie|credential", re.IGNORECASE)


class Entries(ValueType):
    """A table of names and strings, each entry read by itself."""

    label = "table of strings"
    example = "write `[{key}]` with one header per line"

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table of strings", value, self.example.replace("{key}", at.key))
        entries: dict[str, object] = {}
        spelled: dict[str, str] = {}
        for name, content in value.items():
            if isinstance(name, UnresolvedText) or isinstance(content, UnresolvedText):
                continue
            here = at / name
            read = self.entry(name, content, here)
            if read is not NOTHING and self.is_new(name, spelled, here):
                entries[self.spelling(name)] = read
        return entries

    @abstractmethod
    def entry(self, name: str, content: object, at: Location) -> object:
        """The value as it is used, or ``NOTHING``."""

    def is_new(self, name: str, spelled: dict[str, str], at: Location) -> bool:
        """Headers are the same in every letter case."""
        other = spelled.setdefault(name.lower(), str(display(name)))
        if other == str(display(name)):
            return True
        at.error(
            "CFG-M05", f"`{other}` and `{display(name)}` are the same header, letter case aside", "keep one of them"
        )
        return False

    def spelling(self, name: str) -> str:
        return str(name)

    def json_schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": {"type": "string"}}


class Headers(Entries):
    """Static HTTP headers; values are secrets, stripped; a bare authentication scheme is not sent."""

    def entry(self, name: str, content: object, at: Location) -> object:
        if not check_header_name(name, at):
            return NOTHING
        if not isinstance(content, str):
            return wrong_type(at, "a string", content, "put the value in quotes")
        if isinstance(content, EnvironmentText) or _SECRET_NAME.search(name):
            note_secret(content, at)
        text = content.strip()
        if not _HEADER_VALUE.fullmatch(text):
            return refused(
                at,
                "CFG-M04",
                f"the value of header `{at.name}` has characters that no header may carry"
                f" ({len(text)} characters long)",
                "remove line breaks and other control characters",
            )
        if _AUTH_SCHEME.fullmatch(text):
            at.warn(
                "WARN-MCP02",
                f"header `{at.name}` is only an authentication scheme without a token; it is not sent",
                "set the variable behind it, or remove the header",
            )
            return NOTHING
        return SecretStr(text)


class HeaderMap(Entries):
    """Outbound header name to inbound header name."""

    label = "table outbound → inbound"
    example = 'write `Authorization = "x-user-token"`'

    def entry(self, name: str, content: object, at: Location) -> object:
        if not isinstance(content, str):
            return wrong_type(at, "a string", content, "name the inbound header in quotes")
        return str(content) if check_header_name(name, at) and check_header_name(content, at) else NOTHING


def check_header_name(name: str, at: Location, code: str = "CFG-M04") -> bool:
    if _HEADER_NAME.fullmatch(name):
        return True
    at.error(code, f"`{display(name)}` is not a valid http header name", "use letters, digits and hyphens")
    return False


class Environment(Entries):
    """Variables of a child process; numbers and booleans become text."""

    example = 'write `env = { NAME = "value" }`'

    def entry(self, name: str, content: object, at: Location) -> object:
        if not name or "=" in name or "\0" in name:
            return refused(
                at, "CFG-S02", f"`{display(name)}` cannot be the name of a variable", "use letters, digits and `_`"
            )
        if isinstance(content, bool | int | float):
            return SecretStr(str(content).lower() if isinstance(content, bool) else str(content))
        if not isinstance(content, str) or "\0" in content:
            return wrong_type(at, "a string without NUL characters", content, "put the value in quotes")
        if isinstance(content, EnvironmentText) or _SECRET_NAME.search(name):
            note_secret(content, at)
        return SecretStr(str(content))

    def is_new(self, name: str, spelled: dict[str, str], at: Location) -> bool:
        return True

    def json_schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}


@dataclass(slots=True, frozen=True)
class AnyTable(ValueType):
    """Any table, as it is; dates become RFC 3339 text. ``reserved`` keys are refused."""

    label = "table"

    code: str = "CFG-L05"
    reserved: tuple[str, ...] = ()

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            return refused(
                at,
                self.code,
                f"`{at.key}` must be a table, found {toml_type(value)}",
                f"write `{at.table}` with one key per line",
            )
        for key in value:
            if key in self.reserved:
                (at / key).error(
                    self.code,
                    f"`{display(key)}` is set by Aura itself and cannot be overridden in `{at.key}`",
                    f"remove `{display(key)}`",
                )
        return _plain(value, at)

    def json_schema(self) -> JsonSchema:
        if not self.reserved:
            return {"type": "object"}
        return {"type": "object", "propertyNames": {"not": {"enum": list(self.reserved)}}}


def _plain(value: object, at: Location) -> object:
    """JSON-ready: plain strings, no dates, no numbers that JSON has not."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item, at / key) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, at / index) for index, item in enumerate(value)]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        at.error("CFG-S03", f"`{at.key}` must be a finite number", "JSON has no such number; remove it")
    elif isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        at.error("CFG-S03", f"`{at.key}` is out of range for a 64-bit integer", "write a smaller number or a string")
    return value


HeaderValues: TypeAlias = Annotated[Mapping[str, SecretStr], Headers()]
HeaderSources: TypeAlias = Annotated[Mapping[str, str], HeaderMap()]
EnvironmentVariables: TypeAlias = Annotated[Mapping[str, SecretStr], Environment()]
