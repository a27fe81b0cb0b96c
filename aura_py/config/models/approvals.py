"""`[hitl]`: strict, because a misspelt key must not open a gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from aura_py.config.maps import HeaderSources, HeaderValues, check_header_name
from aura_py.config.numbers import Whole
from aura_py.config.problems import Location, shown
from aura_py.config.tables import Advice, Key, Section, Variant
from aura_py.config.templates import Unresolved
from aura_py.config.values import GlobText, JsonSchema, Strings, Url, ValueType, wrong_type

_MODES = ("conversational", "webhook")
_RESERVED = frozenset({"content-type", "accept", "mcp-session-id", "host", "content-length", "transfer-encoding"})
_LONGEST_SECS = 86_400


@dataclass(slots=True, frozen=True)
class ResponseHeaders(ValueType):
    """MCP header to the header of the approval response that it is taken from; both in lower case."""

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table of strings", value, 'write `x-approver = "x-approved-by"`')
        mapping: dict[str, str] = {}
        for outbound, inbound in value.items():
            here = at / outbound
            if isinstance(outbound, Unresolved) or isinstance(inbound, Unresolved):
                continue
            if not isinstance(inbound, str):
                wrong_type(here, "a string", inbound, "name the response header in quotes")
                continue
            if not all(check_header_name(name.strip(), here, "CFG-H06") for name in (outbound, inbound)):
                continue
            lowered = outbound.strip().lower()
            if lowered in _RESERVED:
                here.error("CFG-H08", f"`{shown(outbound)}` is a reserved transport header", "use another header")
            elif lowered in mapping:
                here.error("CFG-H07", f"duplicate tool header override `{lowered}`", "keep one of them")
            else:
                mapping[lowered] = inbound.strip().lower()
        return mapping

    def schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": {"type": "string"}}

    def describe(self) -> str:
        return "table outbound → response header"


def _mode_missing(at: Location) -> None:
    (at / "mode").error(
        "CFG-H01", "`[hitl.route]` has no `mode`", "add `mode`: one of " + ", ".join(f"`{mode}`" for mode in _MODES)
    )


_MODE = Key("Where decisions come from.", required=True, example='`mode = "conversational"`')
_TIMEOUT = Key("Time for a decision; without one the call is denied.")


class ConversationalRoute(Section):
    """Decisions come from the caller."""

    refuses_unknown: ClassVar = True

    mode: Annotated[Literal["conversational"], _MODE] = "conversational"
    timeout_secs: Annotated[int, Whole(1, _LONGEST_SECS, "CFG-H04"), _TIMEOUT] = 60


class WebhookRoute(Section):
    """Decisions come from a service."""

    refuses_unknown: ClassVar = True

    mode: Annotated[Literal["webhook"], _MODE] = "webhook"
    timeout_secs: Annotated[int, Whole(1, _LONGEST_SECS, "CFG-H04"), _TIMEOUT] = 300
    url: Annotated[
        SecretStr,
        Url("CFG-H02", secret=True),
        Key(
            "Decision service.",
            example='`url = "https://example.org/approve"`',
            missing_code="CFG-H02",
            missing_message="missing required key `url` in [hitl.route]; it must start with http:// or https://",
        ),
    ]
    headers: Annotated[HeaderValues, Key("Static headers.")] = Field(default_factory=dict)
    headers_from_request: Annotated[HeaderSources, Key("Outbound header to the request's header it is taken from.")] = (
        Field(default_factory=dict)
    )
    tool_headers_from_response: Annotated[
        Mapping[str, str],
        ResponseHeaders(),
        Key("MCP header to the header of the approval response it is taken from."),
    ] = Field(default_factory=dict)


class Hitl(Section):
    """Holds tool calls until a person approves. The presence of the table is the switch."""

    refuses_unknown: ClassVar = True
    misplaced: ClassVar = {
        "enabled": Advice(
            "unknown key `enabled` in [hitl]: the presence of the table switches approvals on",
            "remove the whole `[hitl]` table to switch approvals off; allowed keys are `require_approval`, `route`",
            "CFG-S05",
        )
    }

    require_approval: Annotated[
        tuple[str, ...], Strings(GlobText("CFG-H03")), Key("MCP tools that are held until approved.")
    ] = ()
    route: Annotated[
        ConversationalRoute | WebhookRoute,
        Field(discriminator="mode"),
        Variant("mode", _mode_missing),
        Key(
            "Where decisions come from.",
            example='`[hitl.route]` with `mode = "conversational"` or `mode = "webhook"`',
            missing_code="CFG-H01",
            missing_message="`[hitl]` needs `[hitl.route]` with a `mode`: `conversational` or `webhook`",
        ),
    ]
