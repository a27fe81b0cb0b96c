"""The exploration tools, one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scratchpad.rig import Rig, error_of, rig
from tests.servers.outputs import large_json, log_lines, nested_json

DOCUMENT = """\
# Guide
intro
## Setup
- name: how
- plain item
  - nested: no
```sh
# not a header
```
### Details
text
## Use
end
"""


@pytest.fixture
def pad(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path / "pad") as opened:
        yield opened


async def test_there_are_the_eight_tools_and_a_listing_and_they_take_nothing_else(pad: Rig) -> None:
    tools = {tool.name: tool for tool in pad.scratchpad.tools}
    assert list(tools) == [
        "head", "slice", "grep", "schema", "item_schema", "get_in", "iterate_over", "read", "list_files",
    ]  # fmt: skip
    for tool in tools.values():
        assert tool.kind == "scratchpad"
        assert tool.parameters["additionalProperties"] is False
        assert tool.name in pad.scratchpad.prompt
    refused = await pad.explore("head", file="x", colour="red")
    assert "`colour` is not a parameter" in refused.text


async def test_head_numbers_lines_and_tells_what_is_left(pad: Rig) -> None:
    file = await pad.park(json.dumps({"hosts": [1, 2]}))
    text = await pad.read("head", file=file, lines="2")
    start, meta = text.split(" | ")
    assert start == '     1\t{\n     2\t  "hosts": [\n\n--- scratchpad head: showing 2/6 lines'
    facts = json.loads(meta.removesuffix(" ---"))
    assert list(facts) == ["estimated_tokens", "lines", "window_hint"]
    assert facts["lines"] == 2
    assert re.fullmatch(
        r"~\d+ tokens remaining \(~\d+ used: \d+ baseline \+ \d+ since, of ~800000 usable\)", facts["window_hint"]
    )


async def test_slices_past_the_end_say_so_and_bad_ranges_are_explained(pad: Rig) -> None:
    file = await pad.park("one\ntwo\nthree\n")
    assert "lines 2-9 of 3 |" in await pad.read("slice", file=file, start=2, end=9)
    past = await pad.read("slice", file=file, start=10**30, end=10**31)
    assert "past the end: the file has 3 lines" in past
    for start, end, reason in ((0, 2, "counts from 1"), (3, 2, "is before"), ("x", 2, "whole number")):
        refused = await pad.explore("slice", file=file, start=start, end=end)
        assert (refused.ok, refused.outcome) == (False, "tool_error")
        assert reason in refused.text


async def test_schema_shows_real_lines_even_where_key_texts_repeat(pad: Rig) -> None:
    file = await pad.park('{"hosts": [{"name": "total"}, {"name": "b"}], "total": 2, "long": "' + "x" * 60 + '"}')
    assert await pad.body("schema", file=file) == (
        "$ (object(3 keys)) [L1-L11]\n"
        "  $.hosts (array(2 items)) [L2-L9]\n"
        "    $.hosts[0] (object(1 keys)) [L3-L5]\n"
        "      $.hosts[0].name (string) [L4-L4]\n"
        "  $.total (number) [L10-L10]\n"
        "  $.long (string(60ch)) [L11-L11]"
    ).replace("L1-L11", "L1-L12")
    assert (await pad.body("schema", file=file, max_depth=0)).startswith("$ (object(3 keys))")


async def test_schema_of_markdown_nests_sections_and_skips_fences(pad: Rig) -> None:
    file = await pad.park(DOCUMENT)
    assert await pad.body("schema", file=file) == (
        "# Guide [L1-L13]\n  ## Setup [L3-L11] (keys: name, plain item)\n    ### Details [L10-L11]\n  ## Use [L12-L13]"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}\n{"a": 2}\n\n{"a": 3}', ["$ (array(3 items))", "$[0].a (number) [L1-L1]"]),
        ('Here it is:\n```json\n{"a": [1,\n2]}\n```\n', ["$.a (array(2 items)) [L3-L4]"]),
        ("id,name\n1,x\n2,y\n3,z\n", ["table (2 columns", "id (number)", "name (string)"]),
        ("kind: Pod\nmetadata:\n  name: web\n  labels:\n    app: x\nspec: {}\n", ["metadata [L2]", "  name: web [L3]"]),
        ("\n".join(log_lines(30)), ["text (30 lines", "ERROR 10", "L30: "]),
    ],
)
async def test_schema_recognises_other_texts(pad: Rig, text: str, expected: list[str]) -> None:
    shown = await pad.read("schema", file=await pad.park(text))
    for part in expected:
        assert part in shown


async def test_json_tools_work_on_ndjson_and_on_fenced_json(pad: Rig) -> None:
    lines = await pad.park("\n".join(json.dumps({"n": n, "deep": {"k": [n]}}) for n in range(50)))
    assert await pad.lines("get_in", file=lines, path="[7].deep.k[0]") == ["7"]
    found = json.loads(await pad.body("iterate_over", file=lines, path="$", fields="n", where="n > 47"))
    assert [row["n"] for row in found] == [48, 49]
    assert "deep.k" in await pad.read("item_schema", file=lines, path="")
    fenced = await pad.park('```json\n{"a": {"b": 5}}\n```')
    assert await pad.lines("get_in", file=fenced, path="a.b") == ["5"]


@pytest.mark.parametrize(
    "path", ["results[3].name", "$.results[3].name", "results.3.name", '$["results"][3]["name"]', "results[-47].name"]
)
async def test_get_in_accepts_every_notation(pad: Rig, path: str) -> None:
    file = await pad.park(large_json(50))
    assert await pad.lines("get_in", file=file, path=path) == ["resource-000003-of-the-collection"]


async def test_get_in_reaches_odd_keys_the_root_and_wildcards(pad: Rig) -> None:
    file = await pad.park(json.dumps({"a.b": {"0": "zero"}, "list": [{"x": 1}, {"y": 2}, {"x": 3}], "": "empty"}))
    assert await pad.lines("get_in", file=file, path='$["a.b"].0') == ["zero"]
    assert await pad.lines("get_in", file=file, path="a.b") == ["{", '  "0": "zero"', "}"]
    assert await pad.lines("get_in", file=file, path='[""]') == ["empty"]
    assert json.loads("\n".join(await pad.lines("get_in", file=file, path="$")))["list"] == [
        {"x": 1},
        {"y": 2},
        {"x": 3},
    ]
    assert (await pad.body("get_in", file=file, path="list[*].x")).split("\n") == ["$.list[0].x: 1", "$.list[2].x: 3"]


async def test_get_in_pages_through_long_strings_with_absolute_numbers(pad: Rig) -> None:
    text = "\n".join(f"line {number}" for number in range(1, 301))
    file = await pad.park(json.dumps({"log": text}))
    page = await pad.read("get_in", file=file, path="log", offset=100, limit=2)
    assert page.startswith("   101\tline 101\n   102\tline 102\n")
    assert "$.log (string, lines 101-102 of 300)" in page
    assert "lines 1-100 of 300" in await pad.read("get_in", file=file, path="log", offset=0)
    assert "lines 300-300" in await pad.read("get_in", file=file, path="log", offset=299, limit=10**30)
    past = error_of(await pad.read("get_in", file=file, path="log", offset=300))
    assert (past["error"], past["total_lines"]) == ("offset_out_of_range", 300)


@pytest.mark.parametrize("tool", ["get_in", "iterate_over", "item_schema"])
async def test_a_wrong_path_teaches_the_right_one(pad: Rig, tool: str) -> None:
    file = await pad.park(nested_json())
    fields = {"fields": "id"} if tool == "iterate_over" else {}

    async def wrong(path: str) -> dict[str, Any]:
        return error_of(await pad.read(tool, file=file, path=path, **fields))

    missed = await wrong("nodes[0].stats")
    assert missed["error"] == "key_path_not_found"
    assert missed["valid_prefix"] == "$.nodes[0]"
    assert missed["failed_segment"] == "stats"
    assert missed["available_keys"] == ["id", "status", "error", "metrics", "labels"]
    assert "schema(" in missed["suggestions"][0]
    assert "`status`" in missed["suggestions"][1]
    assert (await wrong("nodes[12]"))["array_length"] == 12
    assert (await wrong("cluster.x"))["value_type"] == "string"
    assert (await wrong("nothing"))["valid_prefix"] == ""


async def test_iterate_over_filters_sorts_pages_and_sums_up(pad: Rig) -> None:
    file = await pad.park(large_json(500))

    async def rows(**arguments: Any) -> Any:
        given = {"fields": "id", **arguments}
        return json.loads(await pad.body("iterate_over", file=file, path="results", **given))

    assert await rows(offset=498) == [{"_index": 498, "id": 498}, {"_index": 499, "id": 499}]
    assert [row["id"] for row in await rows(where='status == "active" and metadata.score >= 71')] == [498]
    assert [row["_index"] for row in await rows(sort_by="-metadata.score", limit=2)] == [499, 498]
    assert [row["id"] for row in await rows(where="name contains 00012 and id != 120", limit=2)] == [12, 121]
    groups = await rows(group_by="status", aggregate="count, sum(id), max(metadata.score)")
    assert [group["status"] for group in groups] == ["active", "inactive", "pending"]
    assert groups[0]["count"] == 167
    assert sum(group["sum(id)"] for group in groups) == 499 * 250
    assert (await rows(aggregate="avg(id)", where="id < 3"))[0]["avg(id)"] == 1
    for wrong in ({"where": "???"}, {"aggregate": "median(id)"}, {"fields": " , "}):
        assert not (await pad.explore("iterate_over", file=file, path="results", **{"fields": "id", **wrong})).ok


async def test_iterate_over_cuts_long_strings_and_says_where_the_rest_is(pad: Rig) -> None:
    items = [{"log": "\n".join(f"row {n}" for n in range(20)), "blob": "y" * 5000, "none": None}]
    file = await pad.park(json.dumps({"items": items}))
    (row,) = json.loads(await pad.body("iterate_over", file=file, path="items", fields="log, blob, none, absent"))
    assert row["log"].startswith("row 0\nrow 1\nrow 2\nrow 3\nrow 4\n[cut: 5 of 20 lines; get_in(file=")
    assert "path=$.items[0].log" in row["log"]
    assert len(row["blob"]) < 700
    assert (row["none"], row["absent"]) == (None, None)


async def test_item_schema_counts_every_key_of_items_that_differ(pad: Rig) -> None:
    file = await pad.park(nested_json())
    table = await pad.body("item_schema", file=file, path="nodes")
    rows = {line.split()[0]: line.split()[1:] for line in table.split("\n")[4:]}
    assert table.startswith("$.nodes (12 items)\n\nKEY")
    assert rows["id"] == ["string", "12/12", "items"]
    assert rows["error.code"] == ["number", "3/12", "items"]
    assert rows["metrics"] == ["object", "4/12", "items"]
    assert rows["labels.zone"] == ["string", "6/12", "items"]
    assert list(rows) == sorted(rows)
    window = await pad.body("item_schema", file=file, path="nodes", offset=1, limit=2)
    assert "(window: items [1..3) of 12 total)" in window
    assert "2/2 items in window" in window
    assert "(window: items [12..12) of 12 total)" in await pad.body("item_schema", file=file, path="nodes", offset=99)
    assert "no array" in (await pad.explore("item_schema", file=file, path="cluster")).text


async def test_item_schema_agrees_with_a_full_parse_of_mixed_items(pad: Rig) -> None:
    items: list[Any] = []
    for n in range(400):
        item: dict[str, Any] = {"id": n if n % 3 else str(n), "tags": ["t"] * (n % 3), "o": {"k": n} if n % 5 else None}
        if n % 4 == 0:
            item["extra: {"] = True
        items.append(item if n % 11 else n)
    file = await pad.park(json.dumps(items))
    rows = {
        line[:40].strip(): (line[40:60].strip(), line[60:])
        for line in (await pad.body("item_schema", file=file, path="$")).split("\n")[4:]
    }
    objects = [item for item in items if isinstance(item, dict)]
    assert rows["id"] == ("number|string", f"{len(objects)}/400 items")
    assert rows["o"] == ("null|object", f"{len(objects)}/400 items")
    assert rows["o.k"] == ("number", f"{sum(bool(item['o']) for item in objects)}/400 items")
    assert rows['["extra: {"]'] == ("bool", f"{sum('extra: {' in item for item in objects)}/400 items")


async def test_over_the_limit_the_largest_part_comes_with_the_call_that_continues(tmp_path: Path) -> None:
    with rig(tmp_path / "small", max_extraction_tokens=300) as pad:
        file = await pad.park(large_json(500))
        for tool, arguments in (
            ("head", {"lines": 500}),
            ("slice", {"start": 10, "end": 900}),
            ("read", {}),
            ("grep", {"pattern": "name", "context": 0}),
            ("schema", {"max_depth": 9}),
            ("get_in", {"path": "results"}),
            ("iterate_over", {"path": "results", "fields": "id"}),
        ):
            before = pad.scratchpad.budget.extracted
            text = await pad.read(tool, file=file, **arguments)
            assert pad.scratchpad.budget.extracted - before <= 300
            if tool != "schema":
                assert "; partial, go on with " in text, tool
        again = re.search(r"start=(\d+)", await pad.read("head", file=file, lines=500))
        assert again is not None
        assert (await pad.read("slice", file=file, start=int(again[1]), end=int(again[1]))).startswith(
            f"{again[1]:>6}\t"
        )


async def test_when_nothing_fits_the_error_has_the_fields_of_the_specification(tmp_path: Path) -> None:
    with rig(tmp_path / "tiny", max_extraction_tokens=20) as pad:
        file = await pad.park(large_json(5))
        found = error_of(await pad.read("head", file=file, lines=400))
        assert found["error"] == "head_too_large"
        assert found["per_call_limit"] == 20
        assert found["requested_lines"] == 400
        assert any("lines=200" in suggestion for suggestion in found["suggestions"])
    with rig(tmp_path / "full", window=2500) as pad:
        file = await pad.park(large_json(5))
        pad.scratchpad.budget.seed(10_000)
        found = error_of(await pad.read("get_in", file=file, path="results"))
        assert (found["error"], found["remaining_budget_tokens"]) == ("get_in_too_large", 0)
        assert pad.scratchpad.usage()[1] == 0


async def test_errors_are_charged_but_not_as_extracted(pad: Rig) -> None:
    used = pad.scratchpad.budget.used
    assert not (await pad.explore("head", file="missing.json")).ok
    assert pad.scratchpad.budget.used > used
    assert pad.scratchpad.usage()[1] == 0


async def test_json_tools_point_to_others_on_plain_text(pad: Rig) -> None:
    file = await pad.park("just words\nand more")
    refused = await pad.explore("get_in", file=file, path="a")
    assert (refused.ok, "use read, head, grep or slice" in refused.text) == (False, True)


async def test_one_enormous_line_is_read_in_pieces(tmp_path: Path) -> None:
    with rig(tmp_path / "pad", max_extraction_tokens=400) as pad:
        text = "".join(f"part{number} " for number in range(2000))
        file = await pad.park(text)
        got, at = "", 0
        for _ in range(100):
            page = await pad.read("slice", file=file, start=1, end=1, from_char=at)
            got += page.split("\n\n--- ")[0].split("\t", 1)[1]
            more = re.search(r"from_char=(\d+)\)", page)
            if more is None:
                break
            at = int(more[1])
        assert got == text


async def test_lost_names_are_listed_with_the_call_they_came_from(pad: Rig) -> None:
    file = await pad.park(json.dumps({"r": "# T\n" * 12}), arguments={"query": "all"})
    text = await pad.read("list_files")
    assert f"{file} (~" in text
    assert 'from big {"query":"all"}' in text
    assert ".r.md (12 lines, markdown) from $.r" in text


async def test_an_empty_item_does_not_swallow_the_one_behind_it(pad: Rig) -> None:
    file = await pad.park(json.dumps([[], [1, 2], {"a": []}, {"a": [1]}, [[1], [2]], []]))
    assert "$ (6 items)" in await pad.read("item_schema", file=file, path="$")


async def test_arrays_of_objects_and_of_anything_are_counted_alike(pad: Rig) -> None:
    objects: list[Any] = [{"n": number, "deep": [{"x": 1}, {"x": {"y": "},\n    {"}}]} for number in range(2000)]
    for items in (objects, [*objects[:900], {}, *objects[900:]], ["first", *objects], [*objects, [1]]):
        file = await pad.park(json.dumps({"items": items}))
        assert f"array({len(items)} items)" in await pad.read("schema", file=file, max_depth=1)
        found = await pad.read("iterate_over", file=file, path="items", fields="n", where="n >= 1998", sort_by="-n")
        assert [int(number) for number in re.findall(r'"n": (\d+)', found)] == [1999, 1998]
        assert f"({len(items)} items)" in await pad.read("item_schema", file=file, path="items")
        last = await pad.read("get_in", file=file, path="items[-1]")
        assert last.startswith("     1\t" + json.dumps(items[-1], indent=2).split("\n")[0])


async def test_errors_stay_short_however_long_paths_and_keys_are(pad: Rig) -> None:
    file = await pad.park(json.dumps({"k" * 50_000: 1, **{f"{n}-{'x' * 3000}": n for n in range(99)}}))
    deep = await pad.park('{"deep": ' * 3000 + "1" + "}" * 3000)
    for asked in ({"file": file, "path": "nope"}, {"file": deep, "path": ".".join(["deep"] * 2999 + ["no"])}):
        answer = await pad.explore("get_in", **asked)
        assert json.loads(answer.text)["error"] == "key_path_not_found"
        assert len(answer.text) < 12_000
    assert len((await pad.explore("head", file="a" * 50_000)).text) < 1000
    assert len((await pad.explore("iterate_over", file=deep, path=".".join(["deep"] * 250), fields="a")).text) < 1000
    assert "\ud800" not in (await pad.explore("grep", file=file, pattern="a\ud800")).text


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("name == 'a and b'", [1]),
        ('name contains "x or y"', [2]),
        ("(id >= 1) AND (id < 3)", [1, 2]),
        ('["k.d"] == 5 && id EXISTS', [0]),
        ("'k.d' missing", [1, 2]),
        ('["q\\"\\\\"] == 7', [2]),
        ("", [0, 1, 2]),
    ],
)
async def test_conditions_are_read_as_models_write_them(pad: Rig, where: str, found: list[int]) -> None:
    items = [{"id": 0, "k.d": 5, "name": "a"}, {"id": 1, "name": "a and b"}, {"id": 2, "name": "is x or y", 'q"\\': 7}]
    file = await pad.park(json.dumps(items))
    body = json.loads(
        await pad.body("iterate_over", file=file, path="$", fields="id", where=where, sort_by="", limit="")
    )
    assert [row["id"] for row in body] == found


@pytest.mark.parametrize("where", ["a == 1 or a == 2", "==", "a ==", "== 1", "not a", "a in [1]", "and", "x" * 5000])
async def test_conditions_that_mean_something_else_are_refused(pad: Rig, where: str) -> None:
    file = await pad.park('[{"a": 1}]')
    outcome = await pad.explore("iterate_over", file=file, path="$", fields="a", where=where)
    assert not outcome.ok
    assert "`where`" in outcome.text


async def test_a_field_that_no_item_has_is_named(pad: Rig) -> None:
    file = await pad.park('[{"a": 1}, {"a": 2}]')
    text = await pad.read("iterate_over", file=file, path="$", fields="a", where="b == 1", sort_by="c")
    assert "0 matching items, no item has `b` or `c`" in text


async def test_arguments_are_taken_as_models_write_them(pad: Rig) -> None:
    file = await pad.park('[{"a": 1, "b": 2}]')
    body = json.loads(await pad.body("iterate_over", file=file, path="$", fields=["a", "b"], offset="", group_by=[]))
    assert body == [{"_index": 0, "a": 1, "b": 2}]
    outcome = await pad.explore("iterate_over", file=file, path="$", fields="a", sort_by="-")
    assert not outcome.ok
    assert "`sort_by` names no field" in outcome.text
    for arguments in ({"lines": "\ud800", "file": file}, {"file": "\ud800"}):
        outcome = await pad.explore("head", **arguments)
        assert outcome.text.encode()


async def test_sums_beyond_every_number_are_null_and_whole_numbers_stay_exact(pad: Rig) -> None:
    file = await pad.park('[{"a": 1e400, "b": 1, "c": ' + "9" * 400 + '}, {"a": 1, "b": 1.5, "c": 1}, {"b": true}]')
    body = json.loads(
        await pad.body(
            "iterate_over",
            file=file,
            path="$",
            fields="",
            aggregate="sum(a), max(a), min(a), Avg(b), sum(c), avg(c), count",
        )
    )
    assert body == [
        {"sum(a)": 1, "max(a)": 1, "min(a)": 1, "Avg(b)": 1.25, "sum(c)": 10**400, "avg(c)": None, "count": 3}
    ]


@pytest.mark.parametrize("end", ["\n```\nand words", "\n  ````  \n", "", "\n```json\nstill inside"])
async def test_a_fenced_block_ends_where_its_fence_stands_alone(pad: Rig, end: str) -> None:
    file = await pad.park('```json\n{"a": "``` no fence",\n "b": [1]}' + end)
    outcome = await pad.explore("get_in", file=file, path="$.b[0]")
    assert outcome.ok == (end != "\n```json\nstill inside")


async def test_a_line_of_spaces_is_never_cut_without_a_word(tmp_path: Path) -> None:
    with rig(tmp_path / "pad", max_extraction_tokens=2000) as pad:
        wide = "a" + " " * 300_000 + "b"
        text = await pad.park(wide)
        value = await pad.park(json.dumps({"v": [1, wide]}))
        for tool, arguments in (
            ("head", {"file": text}),
            ("get_in", {"file": value, "path": "v"}),
            ("get_in", {"file": value, "path": "v[1]"}),
        ):
            answer = await pad.explore(tool, **arguments)
            assert "b" in answer.text.split("--- scratchpad")[0] or "partial, go on with" in answer.text
