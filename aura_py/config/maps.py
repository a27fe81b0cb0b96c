"""Types of tables whose keys the user chooses: headers, variables, parameters."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import SecretStr

from aura_py.config.numbers import LARGEST
from aura_py.config.problems import Location, shown, toml_type
from aura_py.config.templates import Templated, Unresolved
from aura_py.config.values import NOTHING, JsonSchema, ValueType, note_secret, wrong_type

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_AUTH_SCHEME = re.compile(r"bearer|token|basic", re.IGNORECASE)
_SECRET_NAME = re.compile(r"auth|key|token|secret|passw|cookie|credential", re.IGNORECASE)


@dataclass(slots=True, frozen=True)
class Headers(ValueType):
    """Static HTTP headers; values are secrets, stripped; a bare auth scheme is not sent."""

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table of strings", value, f"write `[{at.key}]` with one header per line")
        headers: dict[str, SecretStr] = {}
        spelled: dict[str, str] = {}
        for name, content in value.items():
            here = at / name
            if isinstance(name, Unresolved) or isinstance(content, Unresolved):
                continue
            if not check_header_name(name, here) or not first_spelling(name, spelled, here):
                continue
            if not isinstance(content, str):
                wrong_type(here, "a string", content, "put the value in quotes")
                continue
            if isinstance(content, Templated) or _SECRET_NAME.search(name):
                note_secret(content, here)
            text = content.strip()
            if not _HEADER_VALUE.fullmatch(text):
                here.error(
                    "CFG-M04",
                    f"the value of header `{here.name}` has characters that no header may carry"
                    f" ({len(text)} characters long)",
                    "remove line breaks and other control characters",
                )
            elif _AUTH_SCHEME.fullmatch(text):
                here.warn(
                    "WARN-MCP02",
                    f"header `{here.name}` is only an authentication scheme without a token; it is not sent",
                    "set the variable behind it, or remove the header",
                )
            else:
                headers[str(name)] = SecretStr(text)
        return headers

    def schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": {"type": "string"}}

    def describe(self) -> str:
        return "table of strings"


@dataclass(slots=True, frozen=True)
class HeaderMap(ValueType):
    """Outbound header name to inbound header name."""

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table of strings", value, 'write `Authorization = "x-user-token"`')
        mapping: dict[str, str] = {}
        spelled: dict[str, str] = {}
        for outbound, inbound in value.items():
            here = at / outbound
            if isinstance(outbound, Unresolved) or isinstance(inbound, Unresolved):
                continue
            if not isinstance(inbound, str):
                wrong_type(here, "a string", inbound, "name the inbound header in quotes")
                continue
            good = check_header_name(outbound, here) and check_header_name(inbound, here)
            if good and first_spelling(outbound, spelled, here):
                mapping[str(outbound)] = str(inbound)
        return mapping

    def schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": {"type": "string"}}

    def describe(self) -> str:
        return "table outbound → inbound"


def check_header_name(name: str, at: Location, code: str = "CFG-M04") -> bool:
    if _HEADER_NAME.fullmatch(name):
        return True
    at.error(code, f"`{shown(name)}` is not a valid http header name", "use letters, digits and hyphens")
    return False


def first_spelling(name: str, spelled: dict[str, str], at: Location) -> bool:
    other = spelled.setdefault(name.lower(), str(shown(name)))
    if other == str(shown(name)):
        return True
    at.error("CFG-M05", f"`{other}` and `{shown(name)}` are the same header, letter case aside", "keep one of them")
    return False


@dataclass(slots=True, frozen=True)
class Environment(ValueType):
    """Variables of a child process; numbers and booleans become text."""

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table of strings", value, 'write `env = { NAME = "value" }`')
        variables: dict[str, SecretStr] = {}
        for name, content in value.items():
            here = at / name
            if isinstance(name, Unresolved) or isinstance(content, Unresolved):
                continue
            if not name or "=" in name or "\0" in name:
                here.error(
                    "CFG-S02", f"`{shown(name)}` cannot be the name of a variable", "use letters, digits and `_`"
                )
            elif isinstance(content, bool):
                variables[str(name)] = SecretStr("true" if content else "false")
            elif isinstance(content, int | float):
                variables[str(name)] = SecretStr(str(content))
            elif not isinstance(content, str) or "\0" in content:
                wrong_type(here, "a string without NUL characters", content, "put the value in quotes")
            else:
                if isinstance(content, Templated) or _SECRET_NAME.search(name):
                    note_secret(content, here)
                variables[str(name)] = SecretStr(str(content))
        return variables

    def schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}

    def describe(self) -> str:
        return "table of strings"


@dataclass(slots=True, frozen=True)
class FreeForm(ValueType):
    """Any table, as it is; dates become RFC 3339 text. ``reserved`` keys are refused."""

    code: str = "CFG-L05"
    reserved: tuple[str, ...] = ()

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            at.error(
                self.code,
                f"`{at.key}` must be a table, found {toml_type(value)}",
                f"write `{at.table}` with one key per line",
            )
            return NOTHING
        for key in value:
            if key in self.reserved:
                (at / key).error(
                    self.code,
                    f"`{shown(key)}` is set by Aura itself and cannot be overridden in `{at.key}`",
                    f"remove `{shown(key)}`",
                )
        return _plain(value, at)

    def schema(self) -> JsonSchema:
        if not self.reserved:
            return {"type": "object"}
        return {"type": "object", "propertyNames": {"not": {"enum": list(self.reserved)}}}

    def describe(self) -> str:
        return "table"


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
