"""Whatever is parked is found again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_py.scratchpad import addresses
from tests.scratchpad.rig import Rig, rig
from tests.scratchpad.test_json_values import containers

_LINE = re.compile(r" *(\$.*) \((object|array|string|number|bool|null)[^)]*\)+ \[L(\d+)-L(\d+)\]")


def _at(value: Any, path: str) -> Any:
    for step in addresses.parse(path):
        value = value[step.index] if step.kind == "index" else value[step.text]
    return value


@settings(max_examples=40, deadline=None)
@given(containers)
def test_every_path_that_schema_prints_leads_get_in_to_its_value(value: Any) -> None:
    async def check(pad: Rig) -> None:
        file = await pad.park(json.dumps(value))
        text = await pad.read("schema", file=file, max_depth=40)
        paths = [match for line in text.split("\n") if (match := _LINE.fullmatch(line))]
        assert paths
        stored = (pad.directory / file).read_text("utf-8").split("\n")
        for match in paths[:15]:
            expected = _at(value, match[1])
            assert match[2] in ("object", "array") or stored[int(match[3]) - 1].strip()
            lines = await pad.lines("get_in", file=file, path=match[1])
            if isinstance(expected, str):
                # Empty lines carry only their number; compare what the string is made of.
                got = (await pad.read("get_in", file=file, path=match[1])).split("\n\n--- scratchpad get_in")[0]
                want = expected.encode("utf-8", "replace").decode().split("\n")
                if want and want[-1] == "":
                    want.pop()
                joined = "\n".join(f"{n:>6}\t{line.removesuffix(chr(13))}" for n, line in enumerate(want, 1))
                assert got == joined
            else:
                assert json.loads("\n".join(lines)) == expected

    _with_pad(check)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b.c", "0", "é"]), st.integers() | st.text(max_size=5))))
def test_iterate_over_finds_every_field_of_every_item(items: list[dict[str, Any]]) -> None:
    async def check(pad: Rig) -> None:
        file = await pad.park(json.dumps({"items": items}))
        rows = json.loads(await pad.body("iterate_over", file=file, path="$.items", fields='a, ["b.c"], ["0"], é'))
        assert rows == [
            {
                "_index": index,
                "a": item.get("a"),
                '["b.c"]': item.get("b.c"),
                '["0"]': item.get("0"),
                "é": item.get("é"),
            }
            for index, item in enumerate(items)
        ]

    _with_pad(check)


_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200).map(lambda text: "# x\n" + text)


@settings(max_examples=40, deadline=None)
@given(_texts, st.integers(1, 7))
def test_head_slice_and_read_rejoin_to_the_original(text: str, step: int) -> None:
    async def check(pad: Rig) -> None:
        file = await pad.park(text)
        assert (pad.directory / file).read_bytes() == text.encode()
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        want = [line.removesuffix("\r") for line in lines]
        total = len(want)

        async def numbered(tool: str, first: int, expected: list[str], **arguments: Any) -> None:
            whole = await pad.read(tool, file=file, **arguments)
            shown = "\n".join(f"{number:>6}\t{line}" for number, line in enumerate(expected, first))
            assert whole.startswith(f"{shown}\n\n--- scratchpad {tool}: ")

        await numbered("read", 1, want)
        await numbered("head", 1, want[:step], lines=step)
        for start in range(1, total + 1, step):
            await numbered("slice", start, want[start - 1 : start - 1 + step], start=start, end=start + step - 1)

    _with_pad(check)


@settings(max_examples=10, deadline=None)
@given(st.integers(150, 600), st.integers(60, 300))
def test_partial_answers_lead_through_the_whole_file_and_never_exceed_the_limit(limit: int, lines: int) -> None:
    async def check(pad: Rig) -> None:
        text = "\n".join(f"line {number} " + "word " * (number % 13) for number in range(lines))
        file = await pad.park(text)
        got: list[str] = []
        start, end = 1, lines
        while True:
            before = pad.scratchpad.budget.extracted
            answer = await pad.read("slice", file=file, start=start, end=end)
            assert pad.scratchpad.budget.extracted - before <= limit
            got += [line.split("\t", 1)[1] for line in answer.split("\n\n--- ")[0].split("\n")]
            more = re.search(r"go on with slice\(file=\"[^\"]+\", start=(\d+), end=(\d+)\)", answer)
            if more is None:
                break
            start, end = int(more[1]), int(more[2])
        assert "\n".join(got) == text

    _with_pad(check, max_extraction_tokens=limit)


def _with_pad(check: Any, **settings: Any) -> None:
    with TemporaryDirectory() as place, rig(Path(place) / "pad", **settings) as pad:
        anyio.run(check, pad)
