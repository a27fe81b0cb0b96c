"""``grep``: what it finds, and that nothing makes it hang."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aura_py.scratchpad.documents import Documents
from tests.scratchpad.rig import Rig, rig
from tests.servers.outputs import log_lines

TEXT = "alpha\nbeta\ngamma\ndelta\nepsilon\nzeta\neta\ntheta\niota\nkappa\n"


@pytest.fixture
def pad(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path / "pad") as opened:
        yield opened


async def test_matches_are_marked_and_near_ones_share_a_region(pad: Rig) -> None:
    file = await pad.park(TEXT)
    text = await pad.read("grep", file=file, pattern="^[bd]|kap", context=1)
    assert text.startswith(
        "     1\talpha\n>    2\tbeta\n     3\tgamma\n>    4\tdelta\n     5\tepsilon\n"
        "\n---\n\n     9\tiota\n>   10\tkappa\n\n--- scratchpad grep: "
    )
    assert f"3 matches in 2 regions of {file} | " in text


async def test_case_limits_and_start_are_options(pad: Rig) -> None:
    file = await pad.park(TEXT)
    assert "1 matches" in await pad.read("grep", file=file, pattern="ALPHA", ignore_case=True)
    assert "stopped at 2 matches" in await pad.read("grep", file=file, pattern="a", max_matches=2, context=0)
    assert (await pad.read("grep", file=file, pattern="eta", start_line=5, context=0)).startswith(">    6\tzeta")
    huge = await pad.read("grep", file=file, pattern="gamma", context=10**30)
    assert huge.count("\n") > 9


async def test_nothing_found_is_said_plainly_and_costs_nothing(pad: Rig) -> None:
    file = await pad.park(TEXT)
    assert await pad.read("grep", file=file, pattern="omega") == f"No matches for `omega` in {file} (10 lines)."
    assert pad.scratchpad.usage()[1] == 0


async def test_a_fragment_that_is_no_expression_is_searched_literally(pad: Rig) -> None:
    file = await pad.park('x\n"metric": {\n(?<=y)z\n')
    for fragment in ('"metric": {', "(?<=y)z", "(unclosed"):
        text = await pad.read("grep", file=file, pattern=fragment)
        assert ("1 matches" in text) == (fragment != "(unclosed")
    too_long = await pad.explore("grep", file=file, pattern="x" * 1025)
    assert "1024" in too_long.text


async def test_no_match_spans_lines_and_line_ends_are_line_ends(pad: Rig) -> None:
    file = await pad.park("a\r\nb\r\nab\r\n")
    assert "No matches" in await pad.read("grep", file=file, pattern=r"a\sb|a[^x]b")
    assert "2 matches" in await pad.read("grep", file=file, pattern="b$", context=0)


async def test_several_files_are_searched_at_once(pad: Rig) -> None:
    first = await pad.park("# a\nneedle one")
    second = await pad.park("# b\nneedle two")
    await pad.park("# c\nhay")
    text = await pad.read("grep", file=".", pattern="needle", context=0)
    assert f"{first}:\n" in text
    assert f"{second}:\n" in text
    assert "2 matches in 2 regions of ." in text
    assert "no stored file matches" in (await pad.explore("grep", file="x*.json", pattern="a")).text


async def test_a_match_in_an_enormous_line_is_shown_with_its_surroundings_only(pad: Rig) -> None:
    file = await pad.park("x" * 3_000_000 + "needle" + "y" * 3_000_000 + "\nneedle")
    text = await pad.read("grep", file=file, pattern="needle", context=0)
    assert len(text) < 2500
    assert "needle" in text
    assert "2 matches" in text


CATASTROPHES = [
    "(x+x+)+y",
    "(a|aa)+$",
    "(.*)*(.*)*!",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(?i)(w|W|wo)*z",
    "(.{1,60}){1,16}!",
]


@pytest.fixture
def huge_log() -> str:
    return "\n".join(log_lines(700_000))


@pytest.mark.slow
async def test_catastrophic_patterns_end_on_fifty_megabytes(pad: Rig, huge_log: str) -> None:
    log = await pad.park(huge_log)
    line = await pad.park("x" * 40_000_000)
    for pattern in CATASTROPHES:
        for file in (log, line):
            # The two seconds are grep's own guard; a search that ignores it would meet the suite's time limit.
            outcome = await pad.explore("grep", file=file, pattern=pattern)
            assert outcome.ok, outcome.text


def test_the_cache_holds_no_more_than_it_may(tmp_path: Path) -> None:
    cache = Documents(limit=1000)
    for number in range(10):
        path = tmp_path / f"{number}.txt"
        path.write_text("x" * 300)
        first = cache.open(path)
        assert cache.open(path) is first
        assert cache.held <= 1000
    path.write_text("changed")
    assert cache.open(path).data == b"changed"
    cache.forget(tmp_path)
    assert cache.held == 0


async def test_a_second_look_does_not_parse_again(pad: Rig, tmp_path: Path) -> None:
    file = await pad.park('{"a": [' + ",".join('{"n": 1}' for _ in range(5000)) + "]}")
    store = pad.scratchpad._exploration.store
    before = store.open(file)
    await pad.read("schema", file=file)
    view = before.json
    await pad.read("get_in", file=file, path="a[4999].n")
    after = store.open(file)
    assert after is before
    assert after.json is view


async def test_a_file_that_has_gone_does_not_keep_the_others_from_being_searched(pad: Rig) -> None:
    gone, kept = await pad.park("needle one"), await pad.park("needle two")
    (pad.directory / gone).unlink()
    text = await pad.read("grep", file=".", pattern="needle")
    assert "needle two" in text
    assert f"without {gone} (No such file or directory)" in text
    assert f"without {gone}" in await pad.read("grep", file="*", pattern="nothing like it")
    assert not (await pad.explore("grep", file=gone, pattern="needle")).ok
    assert kept in {path.name for path in pad.directory.iterdir()}


async def test_every_match_of_a_very_long_line_counts_and_can_be_paged_through(tmp_path: Path) -> None:
    line = "".join(f"<{number}>" + "äx" * (number % 130) for number in range(600))
    with rig(tmp_path / "pad", max_extraction_tokens=2000) as pad:
        file = await pad.park(f"<0> first\n{line}\n<9999> last")
        asked: dict[str, Any] = {"file": file, "pattern": "<[0-9]+>", "context": 0}
        found: list[int] = []
        counted = 0
        while True:
            text = await pad.read("grep", **asked)
            told = re.search(r"scratchpad grep: (\d+)", text)
            assert told is not None
            counted += int(told[1])
            found += [int(number) for number in re.findall(r"<(\d+)>", text)]
            more = re.search(r"start_line=(\d+)(?:, from_char=(\d+))?\) \|", text)
            if more is None:
                break
            asked |= {"start_line": int(more[1]), "from_char": int(more[2] or 0)}
        assert set(found) == {*range(600), 9999}
        assert counted == 602
        first = await pad.read("grep", file=file, pattern="<[0-9]+>", context=0)
        assert " of 602 matches in 1 regions" in first


async def test_a_place_that_grep_tells_is_where_slice_goes_on(pad: Rig) -> None:
    file = await pad.park("ü" * 5000 + "needle" + "y" * 5000)
    text = await pad.read("grep", file=file, pattern="needle")
    place = re.search(r"\[from character (\d+)\]", text)
    assert place is not None
    assert "ü" * 40 + "needle" in await pad.read("slice", file=file, start=1, end=1, from_char=int(place[1]))


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("x$", 1), ("^x", 1), ("needle", 3), ("x{100}needle", 3), ("zz", 0), ("(?i)NEEDLEx?$", 1)],
)
async def test_ends_of_pieces_are_no_ends_of_lines(pad: Rig, pattern: str, matches: int) -> None:
    file = await pad.park("needle".join(["x" * 9_000_000] * 3) + "x" * 7 + "needlex")
    text = await pad.read("grep", file=file, pattern=pattern)
    assert (f"scratchpad grep: {matches} matches" in text) if matches else text.startswith("No matches")
