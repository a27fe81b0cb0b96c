"""`[hitl]` (``config.md`` §14): strict, because a misspelt key must not open a gate."""

from __future__ import annotations

from dataclasses import dataclass

from aura_py.config import models
from aura_py.config.maps import HeaderMap, Headers, check_header_name
from aura_py.config.numbers import Whole
from aura_py.config.problems import At, shown
from aura_py.config.tables import Advice, Key, Shape, Table, Variant
from aura_py.config.templates import Unresolved
from aura_py.config.values import Choice, GlobText, JsonSchema, Kind, Strings, Url, wrong_type

_MODES = ("conversational", "webhook")
_RESERVED = frozenset({"content-type", "accept", "mcp-session-id", "host", "content-length", "transfer-encoding"})
_LONGEST_SECS = 86_400


@dataclass(slots=True, frozen=True)
class ResponseHeaders(Kind):
    """MCP header to the header of the approval response that it is taken from; both in lower case."""

    def _read(self, value: object, at: At) -> object:
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


_COMMON = {
    "mode": Key(Choice(_MODES), "Where decisions come from.", True, '`mode = "conversational"`'),
    "timeout_secs": Key(Whole(1, _LONGEST_SECS, "CFG-H04"), "Time for a decision; without one the call is denied."),
}


def _mode_missing(at: At) -> None:
    (at / "mode").error(
        "CFG-H01", "`[hitl.route]` has no `mode`", "add `mode`: one of " + ", ".join(f"`{mode}`" for mode in _MODES)
    )


ROUTE = Variant(
    "mode",
    {
        "conversational": Shape(models.ConversationalRoute, _COMMON, "Decisions come from the caller.", strict=True),
        "webhook": Shape(
            models.WebhookRoute,
            {
                **_COMMON,
                "url": Key(
                    Url("CFG-H02", secret=True),
                    "Decision service.",
                    True,
                    '`url = "https://example.org/approve"`',
                    "CFG-H02",
                    "missing required key `url` in [hitl.route]; it must start with http:// or https://",
                ),
                "headers": Key(Headers(), "Static headers."),
                "headers_from_request": Key(HeaderMap(), "Outbound header to the request's header it is taken from."),
                "tool_headers_from_response": Key(
                    ResponseHeaders(), "MCP header to the header of the approval response it is taken from."
                ),
            },
            "Decisions come from a service.",
            strict=True,
        ),
    },
    _mode_missing,
)

HITL = Table(
    Shape(
        models.Hitl,
        {
            "require_approval": Key(Strings(GlobText("CFG-H03")), "MCP tools that are held until approved."),
            "route": Key(
                ROUTE,
                "Where decisions come from.",
                True,
                '`[hitl.route]` with `mode = "conversational"` or `mode = "webhook"`',
                "CFG-H01",
                "`[hitl]` needs `[hitl.route]` with a `mode`: `conversational` or `webhook`",
            ),
        },
        "Holds tool calls until a person approves. The presence of the table is the switch.",
        strict=True,
        misplaced={
            "enabled": Advice(
                "unknown key `enabled` in [hitl]: the presence of the table switches approvals on",
                "remove the whole `[hitl]` table to switch approvals off; allowed keys are `require_approval`, `route`",
                "CFG-S05",
            )
        },
    )
)
