"""Input schemas of servers, made fit for every provider."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aura_py.mcp.schemas import UnusableSchema, sanitize_schema

Schema = dict[str, Any]
NULL = {"type": "null"}
TUPLE = {"type": "array", "prefixItems": [{}], "items": {"not": {}}}


def of(**properties: Any) -> Schema:
    """An object that requires all the given properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def test_a_tool_whose_input_is_no_object_is_refused() -> None:
    with pytest.raises(UnusableSchema, match="`string`"):
        sanitize_schema({"type": "string"})
    with pytest.raises(UnusableSchema):
        sanitize_schema({"type": ["string", "null"]})
    assert sanitize_schema({"type": ["object", "null"]})["type"] == "object"


def test_free_form_maps_stay_usable() -> None:
    labels = {"type": "object", "additionalProperties": {"type": "string"}}
    anything = {"type": "object", "additionalProperties": True}
    cleaned = sanitize_schema(of(labels=labels, anything=anything))
    assert cleaned["properties"]["labels"]["additionalProperties"] == {"type": "string"}
    assert cleaned["properties"]["anything"]["additionalProperties"] is True


def test_optional_stays_optional_and_open_stays_open() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": True}, "required": ["a"]}
    assert sanitize_schema(schema) == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {}},
        "required": ["a"],
    }
    assert sanitize_schema({"type": "object"}) == {"type": "object", "properties": {}}


def test_bare_booleans_are_replaced_wherever_a_schema_stands() -> None:
    cleaned = sanitize_schema(
        of(
            a={"anyOf": [True, {"type": "string"}]},
            b={"type": "array", "items": True},
            c={"type": "array", "prefixItems": [False]},
            d={"type": "object", "patternProperties": {"^x": True}, "additionalProperties": True},
        )
        | {"$defs": {"e": True}, "definitions": {"f": False}}
    )
    assert cleaned["properties"]["a"]["anyOf"] == [{}, {"type": "string"}]
    assert cleaned["properties"]["b"]["items"] == {}
    assert cleaned["properties"]["c"]["prefixItems"] == [{"not": {}}]
    assert cleaned["properties"]["d"]["patternProperties"] == {"^x": {}}
    assert cleaned["properties"]["d"]["additionalProperties"] is True
    assert (cleaned["$defs"], cleaned["definitions"]) == ({"e": {}}, {"f": {"not": {}}})


def test_a_const_null_becomes_the_null_type() -> None:
    assert sanitize_schema(of(a={"const": None, "nullable": True}))["properties"]["a"] == NULL


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ({"$ref": "#/$defs/missing"}, {}),
        ({"$ref": "https://elsewhere.example/schema.json"}, {}),
        ({"type": "object", "properties": ["a"]}, {"type": "object", "properties": {}}),
        ({"type": "string", "anyOf": []}, {"type": "string"}),
        ({"type": "array", "items": "string"}, {"type": "array", "items": {}}),
        ({"type": 5}, {}),
        ({"type": "any"}, {}),
        ({"type": ["STRING", "int"]}, {"type": ["string", "integer"]}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": "array", "items": [{}], "additionalItems": False}, TUPLE),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, {"type": "number", "exclusiveMinimum": 1}),
        ({"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}),
        ({"pattern": "(unclosed", "minLength": "5", "maxLength": -1, "format": 7}, {}),
        ({"patternProperties": {"(": {}, "^x": {}}}, {"patternProperties": {"^x": {}}}),
        ({"type": "string", "enum": [], "title": 3, "description": None}, {"type": "string"}),
        ({"type": "string", "required": True}, {"type": "string", "required": []}),
        ({"$id": "#here", "$anchor": "1 2", "multipleOf": 0}, {}),
        (
            {"type": "object", "properties": {}, "required": ["b"]},
            {"type": "object", "properties": {"b": {}}, "required": ["b"]},
        ),
    ],
)
def test_what_is_malformed_is_mended(broken: Schema, mended: Schema) -> None:
    assert sanitize_schema(of(a=broken))["properties"]["a"] == mended


def test_a_root_that_combines_objects_becomes_a_plain_one() -> None:
    schema = {"anyOf": [of(a={"type": "string"}, c={}), {"$ref": "#/$defs/b"}], "$defs": {"b": of(b={}, c={})}}
    cleaned = sanitize_schema(schema)
    assert cleaned["type"] == "object"
    assert set(cleaned["properties"]) == {"a", "b", "c"}
    assert cleaned["required"] == ["c"]
    assert "anyOf" not in cleaned


def test_a_root_reference_is_followed() -> None:
    cleaned = sanitize_schema({"$ref": "#/$defs/a", "$defs": {"a": of(x={"type": "string"})}})
    assert cleaned["properties"] == {"x": {"type": "string"}}
    with pytest.raises(UnusableSchema):
        sanitize_schema({"$ref": "#/$defs/a", "$defs": {"a": {"type": "array"}}})


def test_a_schema_without_a_bottom_is_hopeless() -> None:
    deep: Schema = {"type": "object"}
    for _ in range(200):
        deep = {"type": "object", "properties": {"a": deep}}
    with pytest.raises(UnusableSchema, match="levels deep"):
        sanitize_schema(deep)


def test_recursive_schemas_survive() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}
    cleaned = sanitize_schema({**copy.deepcopy(tree), "$defs": {"tree": tree}})
    assert cleaned["$defs"]["tree"] == tree


KEYWORDS = (
    "type properties required items anyOf oneOf allOf $ref enum const $defs not additionalProperties prefixItems "
    "patternProperties default description nullable minimum exclusiveMinimum minItems pattern format $id $anchor "
    "additionalItems examples uniqueItems dependentRequired definitions title"
)
keywords = st.sampled_from(KEYWORDS.split())
leaves = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(["object", "string", "null", "#/$defs/a", "#", "x"])
)
soup = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keywords | st.just("a"), inner))


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(keywords, soup))
def test_no_schema_breaks_the_sanitiser_and_twice_is_once(schema: Schema) -> None:
    before = copy.deepcopy(schema)
    try:
        cleaned = sanitize_schema(schema)
    except UnusableSchema:
        return
    assert schema == before
    assert cleaned["type"] == "object"
    assert isinstance(cleaned["properties"], dict)
    assert sanitize_schema(cleaned) == cleaned
    Draft202012Validator.check_schema(cleaned)


values = st.fixed_dictionaries({"a": st.text(max_size=3)}, optional={"b": st.integers()})


@given(values)
def test_what_the_server_accepts_the_prepared_schema_accepts(value: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]}
    Draft202012Validator(sanitize_schema(schema)).validate(value)
