"""Patterns in the schemas of servers."""

from __future__ import annotations

from typing import Any

import pytest

from aura_py.mcp.arguments import SchemaCheck

HANGS = "^(a+)+$"
LONG = "a" * 5_000 + "!"


def problem(schema: dict[str, Any], value: dict[str, Any]) -> str | None:
    return SchemaCheck("tool", {"type": "object", **schema}, "input").problem(value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"properties": {"x": {"type": "string", "pattern": HANGS}}}, {"x": LONG}),
        ({"patternProperties": {HANGS: {}}, "additionalProperties": False}, {LONG: 1}),
        ({"patternProperties": {HANGS: {}}, "additionalProperties": {"type": "string"}}, {LONG: 1}),
    ],
    ids=["pattern", "additional", "additional-schema"],
)
def test_a_pattern_that_would_hang_python_s_engine_is_checked_at_once(
    schema: dict[str, Any], value: dict[str, Any]
) -> None:
    assert problem(schema, value) is not None


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"properties": {"x": {"pattern": "^[0-9]{3}$"}}}, {"x": "123"}, {"x": "12"}),
        ({"properties": {"x": {"pattern": "é"}}}, {"x": "caf\u00e9"}, {"x": "cafe"}),
        ({"patternProperties": {"^n_": {"type": "integer"}}}, {"n_a": 1, "b": "x"}, {"n_a": "x"}),
        (
            {"properties": {"a": {}}, "patternProperties": {"^n_": {}}, "additionalProperties": False},
            {"a": 1, "n_b": 2},
            {"c": 3},
        ),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}, {"a": "x", "b": 1}, {"b": "x"}),
    ],
)
def test_patterns_mean_what_they_mean_everywhere(
    schema: dict[str, Any], good: dict[str, Any], bad: dict[str, Any]
) -> None:
    assert problem(schema, good) is None
    assert problem(schema, bad) is not None


@pytest.mark.parametrize("value", ["anything", "\ud800"])
def test_what_needs_backtracking_is_left_to_the_server(value: str) -> None:
    assert problem({"properties": {"x": {"pattern": r"^(?!foo)(.)\1$"}}}, {"x": value}) is None


def test_properties_that_other_keywords_have_not_seen_are_left_to_the_server_where_patterns_name_them() -> None:
    assert problem({"patternProperties": {HANGS: {}}, "unevaluatedProperties": False}, {LONG: 1}) is None
    assert problem({"properties": {"a": {}}, "unevaluatedProperties": False}, {"b": 1}) is not None
