"""`[hitl]`: strict, because a misspelt key must not open a gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from aura_py.config.file_report import Location, display
from aura_py.config.maps import Entries, HeaderSources, HeaderValues, check_header_name
from aura_py.config.numbers import Integer
from aura_py.config.tables import Advice, Key, StrictSection, Variant
from aura_py.config.values import NOTHING, GlobText, Strings, Url, refused, wrong_type

_RESERVED = frozenset({"content-type", "accept", "mcp-session-id", "host", "content-length", "transfer-encoding"})
_LONGEST_SECS = 86_400


class ResponseHeaders(Entries):
    """MCP header to the header of the approval response that it is taken from; both in lower case."""

    label = "table outbound → response header"
    example = 'write `x-approver = "x-approved-by"`'

    def entry(self, name: str, content: object, at: Location) -> object:
        if not isinstance(content, str):
            return wrong_type(at, "a string", content, "name the response header in quotes")
        if not all(check_header_name(each.strip(), at, "CFG-H06") for each in (name, content)):
            return NOTHING
        if name.strip().lower() in _RESERVED:
            return refused(at, "CFG-H08", f"`{display(name)}` is a reserved transport header", "use another header")
        return content.strip().lower()

    def is_new(self, name: str, spelled: dict[str, str], at: Location) -> bool:
        lowered = self.spelling(name)
        if lowered in spelled:
            at.error("CFG-H07", f"duplicate tool header override `{display(lowered)}`", "keep one of them")
            return False
        spelled[lowered] = lowered
        return True

    def spelling(self, name: str) -> str:
        return name.strip().lower()


_MODE = Key("Where decisions come from.", required=True, example='`mode = "conversational"`')
_TIMEOUT = Key("Time for a decision; without one the call is denied.")


class ConversationalRoute(StrictSection):
    """Decisions come from the caller."""

    mode: Annotated[Literal["conversational"], _MODE] = "conversational"
    timeout_secs: Annotated[int, Integer(1, _LONGEST_SECS, "CFG-H04"), _TIMEOUT] = 60


class WebhookRoute(StrictSection):
    """Decisions come from a service."""

    mode: Annotated[Literal["webhook"], _MODE] = "webhook"
    timeout_secs: Annotated[int, Integer(1, _LONGEST_SECS, "CFG-H04"), _TIMEOUT] = 300
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


class Hitl(StrictSection):
    """Holds tool calls until a person approves. The presence of the table is the switch."""

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
        Variant("mode", missing_code="CFG-H01"),
        Key(
            "Where decisions come from.",
            example='`[hitl.route]` with `mode = "conversational"` or `mode = "webhook"`',
            missing_code="CFG-H01",
            missing_message="`[hitl]` needs `[hitl.route]` with a `mode`: `conversational` or `webhook`",
        ),
    ]
