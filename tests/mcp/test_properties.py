"""Properties whose names a provider would refuse, there and back."""

from __future__ import annotations

import copy
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aura_py.mcp import McpPool
from aura_py.mcp.properties import rename_properties, restore_names
from aura_py.mcp.schemas import sanitize_schema, schemas_in
from aura_py.messages import JsonObject
from tests.mcp.conftest import Calls, python_server, tool

names = st.text(alphabet="ab$é_. @", min_size=1, max_size=80)
leaves = st.sampled_from([{"type": "string"}, {"type": "integer"}])
objects = st.recursive(
    leaves,
    lambda inner: st.dictionaries(names, inner, min_size=1, max_size=4).map(
        lambda found: {"type": "object", "properties": found, "required": sorted(found)[:1]}
    ),
    max_leaves=8,
)


def example(schema: dict[str, Any]) -> Any:
    """A value with every property, under the names of ``schema``."""
    if "properties" not in schema:
        return "x"
    return {name: [example(inner)] for name, inner in schema["properties"].items()}


@given(st.dictionaries(names, objects, min_size=1, max_size=4))
def test_every_name_fits_and_finds_its_way_back(properties: dict[str, Any]) -> None:
    own = {"type": "object", "properties": properties, "required": sorted(properties)}
    shown = copy.deepcopy(own)
    renamed = rename_properties(shown)
    for node in schemas_in(shown):
        for name in node.get("properties", ()):
            assert re.fullmatch("[a-zA-Z0-9_.-]{1,64}", name)
        assert set(node.get("required", ())) <= set(node.get("properties", ()))
    assert restore_names(example(shown), renamed) == example(own)


def test_names_that_fit_are_left_alone_and_none_is_given_twice() -> None:
    schema = {"type": "object", "properties": {"$top": {}, "_top": {}, "@top": {}, "top": {}}}
    assert rename_properties(schema) == {"_top_2": "$top", "_top_3": "@top"}
    assert set(schema["properties"]) == {"_top", "top", "_top_2", "_top_3"}
    assert rename_properties(sanitize_schema({"type": "object", "properties": {"a-b.c": {}}})) == {}


def test_paths_through_the_properties_keep_their_names() -> None:
    schema = {"type": "object", "properties": {"$a": {"type": "string"}, "b": {"$ref": "#/properties/$a"}}}
    before = copy.deepcopy(schema)
    assert rename_properties(schema) == {}
    assert schema == before


async def test_a_server_is_called_with_its_own_names() -> None:
    calls = Calls()
    async with McpPool() as pool:
        attachment = await pool.attach({"contents": python_server("contents")}, headers={})
        query = tool(attachment, "query")
        (options,) = (node for node in schemas_in(dict(query.parameters)) if "_top" in node.get("properties", ()))
        asked: list[JsonObject] = [{"_top": 3}, {"_top": 3, "_filter": "disks"}, {"_filter": "disks"}]
        outcomes = [await query.call({"options": each}, calls.context()) for each in asked]
        await attachment.release()
    assert (set(options["properties"]), options["required"]) == ({"_top", "_filter"}, ["_top"])
    assert [outcome.text for outcome in outcomes[:2]] == ["3 of all", "3 of disks"]
    assert not outcomes[2].ok
