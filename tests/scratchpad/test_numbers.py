"""Numbers that come as text, as Prometheus sends them, and what is no finite number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scratchpad.rig import Rig, rig

VALUES: list[Any] = ["1", "50.5", "NaN", "+Inf", "-Inf", "9", "1e3", "Infinity", "nan", "1e400", "-0.5"]


@pytest.fixture
def pad(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path / "pad") as opened:
        yield opened


async def park(pad: Rig, values: list[Any]) -> str:
    result = [
        {"metric": {"pod": f"p{n}"}, "value": [1_700_000_000, value], "v": value} for n, value in enumerate(values)
    ]
    return await pad.park(json.dumps({"data": {"result": result}}))


@pytest.mark.parametrize("field", ["value[1]", "v"])
@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("> 50", [1, 6]),
        ("<= 1", [0, 10]),
        ('> "50"', [1, 6]),
        ("== 1000", [6]),
        ("!= 1000", [0, 1, 5, 10]),
        ('== "NaN"', [2]),
        ("== 1.0", [0]),
    ],
)
async def test_numbers_in_texts_are_compared_as_numbers(pad: Rig, field: str, where: str, found: list[int]) -> None:
    file = await park(pad, VALUES)
    text = await pad.body("iterate_over", file=file, path="data.result", fields="metric.pod", where=f"{field} {where}")
    assert [row["_index"] for row in json.loads(text)] == found


@pytest.mark.parametrize("field", ["value[1]", "v"])
async def test_numbers_in_texts_are_summed_and_what_is_not_finite_is_left_out_and_counted(pad: Rig, field: str) -> None:
    file = await park(pad, VALUES)
    asked = f"count, min({field}), max({field}), sum({field}), avg({field})"
    text = await pad.read("iterate_over", file=file, path="data.result", aggregate=asked)
    body = json.loads(text[: text.rindex("\n\n--- scratchpad ")])
    assert list(body[0].values()) == [11, -0.5, 1000.0, 1060.0, 212.0]
    assert f"sum({field}) without 6 that are no finite numbers" in text


async def test_a_comparison_tells_how_many_values_it_left_out(pad: Rig) -> None:
    file = await park(pad, VALUES)
    text = await pad.read("iterate_over", file=file, path="data.result", fields="v", where="v > 1")
    assert "(3 matching items, v without 6 that are no finite numbers" in text


async def test_numbers_in_texts_are_sorted_as_numbers_and_what_has_no_order_stays_last(pad: Rig) -> None:
    file = await park(pad, ["10", "9", "NaN", 11, None, "-1", "x"])
    for order, wanted in (
        ("v", ["-1", "9", "10", 11, "x", "NaN", None]),
        ("-v", ["x", 11, "10", "9", "-1", "NaN", None]),
    ):
        rows = json.loads(await pad.body("iterate_over", file=file, path="data.result", fields="v", sort_by=order))
        assert [row["v"] for row in rows] == wanted


async def test_numbers_beyond_every_float_are_left_out_like_infinities(pad: Rig) -> None:
    file = await pad.park('[{"a": 1e400}, {"a": 2}, {"a": -1e999}]')
    rows = json.loads(await pad.body("iterate_over", file=file, path="$", aggregate="sum(a), max(a)"))
    assert rows == [{"sum(a)": 2, "max(a)": 2}]
    assert json.loads(await pad.body("iterate_over", file=file, path="$", fields="a", where="a > 1")) == [
        {"_index": 1, "a": 2}
    ]


async def test_texts_keep_their_order_and_are_no_numbers_beside_others(pad: Rig) -> None:
    file = await pad.park(json.dumps([{"d": "2024-02-01"}, {"d": "2024-11-01"}, {"d": "soon"}, {"d": 5}]))
    rows = json.loads(await pad.body("iterate_over", file=file, path="$", fields="d", where='d >= "2024-03"'))
    assert [row["_index"] for row in rows] == [1, 2]
    rows = json.loads(await pad.body("iterate_over", file=file, path="$", fields="d", where="d > 3"))
    assert [row["_index"] for row in rows] == [3]


async def test_an_aggregate_needs_no_fields(pad: Rig) -> None:
    file = await pad.park('[{"a": 1, "k": "x"}, {"a": "2", "k": "x"}]')
    rows = json.loads(await pad.body("iterate_over", file=file, path="$", aggregate="sum(a)", group_by="k"))
    assert rows == [{"k": "x", "sum(a)": 3}]
    assert "`fields` names no field" in (await pad.explore("iterate_over", file=file, path="$")).text
    required = next(tool for tool in pad.scratchpad.tools if tool.name == "iterate_over").parameters["required"]
    assert required == ["file", "path"]
