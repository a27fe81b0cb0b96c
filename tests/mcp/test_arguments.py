"""Nulls that stand for "left out", and arguments held against the server's own schema."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aura_py.mcp.arguments import SchemaCheck, drop_nulls
from aura_py.mcp.reasons import without_secrets

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "limit": {"type": "integer"},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "any": {},
        "filter": {"$ref": "#/$defs/filter"},
        "rows": {"type": "array", "items": {"$ref": "#/$defs/filter"}},
        "pair": {"type": "array", "prefixItems": [{"$ref": "#/$defs/filter"}]},
        "either": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/filter"}]},
        "map": {"type": "object", "additionalProperties": {"$ref": "#/$defs/filter"}},
    },
    "required": ["name"],
    "$defs": {
        "filter": {
            "type": "object",
            "properties": {"field": {"type": "string"}, "deep": {"$ref": "#/$defs/filter"}},
            "required": ["field"],
        }
    },
}


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ({"name": "a", "limit": None}, {"name": "a"}),
        ({"name": None}, {"name": None}),
        ({"name": "a", "maybe": None, "any": None}, {"name": "a", "maybe": None, "any": None}),
        ({"name": "a", "unknown": None}, {"name": "a", "unknown": None}),
        ({"filter": {"field": "x", "deep": None}}, {"filter": {"field": "x"}}),
        (
            {"filter": {"field": "x", "deep": {"field": "y", "deep": None}}},
            {"filter": {"field": "x", "deep": {"field": "y"}}},
        ),
        ({"rows": [{"field": "x", "deep": None}, None]}, {"rows": [{"field": "x"}, None]}),
        ({"pair": [{"field": "x", "deep": None}, {"deep": None}]}, {"pair": [{"field": "x"}, {"deep": None}]}),
        ({"either": {"field": "x", "deep": None}}, {"either": {"field": "x"}}),
        ({"map": {"k": {"field": "x", "deep": None}}}, {"map": {"k": {"field": "x"}}}),
    ],
)
def test_only_invented_nulls_are_dropped(given_: dict[str, Any], kept: dict[str, Any]) -> None:
    assert drop_nulls(given_, SCHEMA) == kept


@given(
    st.fixed_dictionaries(
        {"name": st.text(max_size=3)},
        optional={"limit": st.integers(), "maybe": st.none() | st.text(max_size=3), "rows": st.just([{"field": "x"}])},
    )
)
def test_nulls_for_what_is_left_out_never_reach_the_server(wanted: dict[str, Any]) -> None:
    sent = {**dict.fromkeys(SCHEMA["properties"]), **wanted}
    sent["rows"] = [{"field": "x", "deep": None}] if "rows" in wanted else None
    kept = drop_nulls(sent, SCHEMA)
    Draft202012Validator(SCHEMA).validate(kept)
    assert {name: value for name, value in kept.items() if value is not None} == {
        name: value for name, value in wanted.items() if value is not None
    }


def test_a_problem_names_its_place_and_stays_short() -> None:
    check = SchemaCheck("search", SCHEMA, "input")
    assert check.problem({"name": "a", "rows": [{"field": "x"}]}) is None
    assert check.problem({"name": "a", "rows": [{"field": 5}]}) == "`rows[0].field`: 5 is not of type 'string'"
    assert len(check.problem({"name": ["x" * 5000]}) or "") < 600


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "wrong"}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?<bad"}}},
        {"type": "object", "properties": {"a": {"$ref": "https://elsewhere.example/a.json"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}},
    ],
)
def test_a_schema_that_cannot_be_applied_lets_everything_through_with_one_warning(
    schema: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    check = SchemaCheck("odd", schema, "input")
    with caplog.at_level(logging.WARNING):
        assert check.problem({"a": "x"}) is None
        assert check.problem({"a": "y"}) is None
    assert caplog.text.count("`odd`") == 1


def test_what_a_server_echoes_of_our_headers_is_hidden() -> None:
    text = without_secrets("bad token abcdef12 (Bearer abcdef12) for x", ["Bearer abcdef12", "x"])
    assert "abcdef12" not in text
    assert text.endswith("for x")
