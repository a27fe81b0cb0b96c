"""The schema sanitiser: every example of ``mcp-tools.md`` §6, then I-11."""

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


def strict(schema: Schema) -> Schema:
    return sanitize_schema(schema, strict=True)


def loose(schema: Schema) -> Schema:
    return sanitize_schema(schema, strict=False)


def of(**properties: Any) -> Schema:
    """An object that requires all the given properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


EXAMPLES: dict[str, tuple[Schema, Schema]] = {
    "optional parameter": (
        {
            "type": "object",
            "properties": {
                "svc": {"type": "string"},
                "mins": {"type": "integer", "description": "window", "default": 15},
            },
            "required": ["svc"],
        },
        {
            "type": "object",
            "properties": {
                "svc": {"type": "string"},
                "mins": {"anyOf": [{"type": "integer"}, NULL], "description": "window", "default": 15},
            },
            "required": ["svc", "mins"],
            "additionalProperties": False,
        },
    ),
    "no arguments": ({"type": "object"}, {"type": "object", "properties": {}, "additionalProperties": False}),
    "bare boolean property": (
        {"type": "object", "properties": {"payload": True}},
        {
            "type": "object",
            "properties": {"payload": {"anyOf": [{}, NULL]}},
            "required": ["payload"],
            "additionalProperties": False,
        },
    ),
    "nested object": (
        of(
            f={
                "type": "object",
                "properties": {"k": {"type": "string"}, "op": {"type": "string"}},
                "required": ["k"],
            }
        ),
        {
            **of(
                f={
                    "type": "object",
                    "properties": {"k": {"type": "string"}, "op": {"anyOf": [{"type": "string"}, NULL]}},
                    "required": ["k", "op"],
                    "additionalProperties": False,
                }
            ),
            "additionalProperties": False,
        },
    ),
    "already nullable": (
        {"type": "object", "properties": {"p": {"anyOf": [{"type": "string"}, NULL], "default": None}}},
        {**of(p={"anyOf": [{"type": "string"}, NULL], "default": None}), "additionalProperties": False},
    ),
    "nullable with a stray type": (
        {
            "type": "object",
            "properties": {"c": {"anyOf": [{"type": "string"}, NULL], "type": "string", "default": ""}},
            "required": [],
        },
        {
            **of(c={"anyOf": [{"type": "string"}, NULL], "type": "string", "default": ""}),
            "additionalProperties": False,
        },
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_the_specification(name: str) -> None:
    given_, wanted = EXAMPLES[name]
    before = copy.deepcopy(given_)
    assert strict(given_) == wanted
    assert list(strict(given_).get("required", [])) == wanted.get("required", [])
    assert given_ == before


def test_a_tool_whose_input_is_no_object_is_refused() -> None:
    with pytest.raises(UnusableSchema, match="`string`"):
        strict({"type": "string"})
    with pytest.raises(UnusableSchema):
        loose({"type": ["string", "null"]})
    assert loose({"type": ["object", "null"]})["type"] == "object"


def test_free_form_maps_stay_usable() -> None:
    labels = {"type": "object", "additionalProperties": {"type": "string"}}
    anything = {"type": "object", "additionalProperties": True}
    for mode in (strict, loose):
        cleaned = mode(of(labels=labels, anything=anything))
        assert cleaned["properties"]["labels"]["additionalProperties"] == {"type": "string"}
        assert cleaned["properties"]["anything"]["additionalProperties"] is True


def test_without_strict_mode_optional_stays_optional_and_open_stays_open() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": True}, "required": ["a"]}
    assert loose(schema) == {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]}
    assert loose({"type": "object"}) == {"type": "object", "properties": {}}


def test_bare_booleans_are_replaced_wherever_a_schema_stands() -> None:
    cleaned = loose(
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


@pytest.mark.parametrize(
    "nullable",
    [
        {"oneOf": [{"type": "string"}, NULL]},
        {"type": "null"},
        {"type": ["string", "null"]},
        {"enum": ["a", None]},
        {"$ref": "#/$defs/maybe"},
    ],
)
def test_what_is_nullable_in_any_spelling_is_left_as_it_is(nullable: Schema) -> None:
    schema = {"type": "object", "properties": {"p": nullable}, "$defs": {"maybe": {"anyOf": [{}, NULL]}}}
    assert strict(schema)["properties"]["p"] == nullable


def test_an_optional_object_is_rewritten_inside_too() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "string"}}}
    (branch, null) = strict({"type": "object", "properties": {"a": inner}})["properties"]["a"]["anyOf"]
    assert branch == {**of(x={"anyOf": [{"type": "string"}, NULL]}), "additionalProperties": False}
    assert null == NULL


def test_definitions_and_tuples_are_rewritten_too() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "string"}}}
    cleaned = strict(
        of(
            a={"$ref": "#/$defs/inner"},
            b={"type": "array", "prefixItems": [copy.deepcopy(inner)]},
            c={"type": "array", "items": [copy.deepcopy(inner)]},
        )
        | {"$defs": {"inner": copy.deepcopy(inner)}}
    )
    closed = {**of(x={"anyOf": [{"type": "string"}, NULL]}), "additionalProperties": False}
    assert cleaned["$defs"]["inner"] == closed
    assert cleaned["properties"]["b"]["prefixItems"] == [closed]
    assert cleaned["properties"]["c"] == {"type": "array", "prefixItems": [closed], "items": {}}


def test_an_all_of_of_plain_objects_becomes_one_closed_object() -> None:
    schema = of(a={"allOf": [of(x={"type": "string"}), {"$ref": "#/$defs/y"}]})
    schema["$defs"] = {"y": {"type": "object", "properties": {"y": {"type": "integer"}}}}
    assert strict(schema)["properties"]["a"] == {
        "type": "object",
        "properties": {"x": {"type": "string"}, "y": {"anyOf": [{"type": "integer"}, NULL]}},
        "required": ["x", "y"],
        "additionalProperties": False,
    }


def test_an_all_of_that_cannot_be_merged_is_not_closed_branch_by_branch() -> None:
    schema = of(a={"allOf": [of(x={"type": "string"}), of(x={"type": "integer"})]})
    assert all("additionalProperties" not in branch for branch in strict(schema)["properties"]["a"]["allOf"])


def test_a_const_null_becomes_the_null_type() -> None:
    assert loose(of(a={"const": None, "nullable": True}))["properties"]["a"] == NULL


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
    assert loose(of(a=broken))["properties"]["a"] == mended


def test_a_root_that_combines_objects_becomes_a_plain_one() -> None:
    schema = {"anyOf": [of(a={"type": "string"}, c={}), {"$ref": "#/$defs/b"}], "$defs": {"b": of(b={}, c={})}}
    cleaned = loose(schema)
    assert cleaned["type"] == "object"
    assert set(cleaned["properties"]) == {"a", "b", "c"}
    assert cleaned["required"] == ["c"]
    assert "anyOf" not in cleaned


def test_a_root_reference_is_followed() -> None:
    cleaned = loose({"$ref": "#/$defs/a", "$defs": {"a": of(x={"type": "string"})}})
    assert cleaned["properties"] == {"x": {"type": "string"}}
    with pytest.raises(UnusableSchema):
        loose({"$ref": "#/$defs/a", "$defs": {"a": {"type": "array"}}})


def test_a_schema_without_a_bottom_is_hopeless() -> None:
    deep: Schema = {"type": "object"}
    for _ in range(200):
        deep = {"type": "object", "properties": {"a": deep}}
    with pytest.raises(UnusableSchema, match="levels deep"):
        loose(deep)


def test_an_all_of_that_leads_back_to_itself_ends() -> None:
    base = {"type": "object", "properties": {"child": {"allOf": [{"$ref": "#/$defs/base"}, of(z={})]}}}
    schema = of(a={"allOf": [{"$ref": "#/$defs/base"}, of(y={})]}) | {"$defs": {"base": base}}
    Draft202012Validator.check_schema(strict(schema))


def test_recursive_schemas_survive() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}
    cleaned = strict({**copy.deepcopy(tree), "$defs": {"tree": tree}})
    assert cleaned["$defs"]["tree"]["required"] == ["next"]


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


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keywords, soup))
def test_no_schema_breaks_the_sanitiser_and_twice_is_once(schema: Schema) -> None:
    for mode in (strict, loose):
        before = copy.deepcopy(schema)
        try:
            cleaned = mode(schema)
        except UnusableSchema:
            continue
        assert schema == before
        assert cleaned["type"] == "object"
        assert isinstance(cleaned["properties"], dict)
        assert mode(cleaned) == cleaned
        Draft202012Validator.check_schema(cleaned)


values = st.fixed_dictionaries({"a": st.text(max_size=3)}, optional={"b": st.integers()})


@given(values)
def test_what_the_server_accepts_the_loose_schema_accepts(value: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]}
    Draft202012Validator(loose(schema)).validate(value)
    Draft202012Validator(strict(schema)).validate({"b": None, **value})
