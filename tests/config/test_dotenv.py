"""`.env` files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.config.dotenv import load_dotenv, parse
from tests.config.files import MINIMAL, write


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A = b ", "b"),
        ("A=", ""),
        ("A=b # comment", "b"),
        ("A=b#c", "b#c"),
        ("A=# comment", ""),
        ("A='b # c ${X} $X \\n'", "b # c ${X} $X \\n"),
        ('A="b\\n\\t\\"\\\\\\$ # ${X}" # comment', 'b\n\t"\\$ # x'),
        ("A=pa$$word$X", "pa$$word$X"),
        ("A=${X}/${NOPE}y", "x/y"),
        ('A="one\ntwo"', "one\ntwo"),
        ("A='one\ntwo'", "one\ntwo"),
        ("A=b=c", "b=c"),
    ],
)
def test_an_assignment_is_read(line: str, value: str) -> None:
    assert parse(line, {"X": "x"}) == ({"A": value}, [])


@pytest.mark.parametrize("text", ["A=b" + " " * 2_000_000 + "x", "A='x\n" * 300_000, "A=" + "${" * 1_000_000])
def test_any_text_is_read_in_linear_time(text: str) -> None:
    """In quadratic time it takes longer than pytest allows."""
    parse(text, {})


def test_later_lines_see_earlier_ones() -> None:
    assert parse("A=1\nB=${A}2\nA=3", {}) == ({"A": "1", "B": "12"}, [])


def test_a_bad_line_is_a_warning_and_the_others_load() -> None:
    write("A=1\nnonsense\nB='open\nC=3\n", Path(".env"))
    env: dict[str, str] = {}
    warnings = load_dotenv(env=env)
    assert env == {"A": "1", "C": "3"}
    assert [(each.code, each.line) for each in warnings] == [("WARN-ENV01", 2), ("WARN-ENV01", 3)]


def test_an_export_beats_the_working_directory_and_that_the_configuration(tmp_path: Path) -> None:
    write("A=cwd\nB=cwd\n", Path(".env"))
    write("A=dir\nB=dir\nC=dir\nD=dir\n", Path("agents/.env"))
    write(MINIMAL, Path("agents/a.toml"))
    below = tmp_path / "deep" / "er"
    below.mkdir(parents=True)
    env = {"A": "shell"}
    assert load_dotenv(tmp_path / "agents", env=env, directory=below) == ()
    assert env == {"A": "shell", "B": "cwd", "C": "dir", "D": "dir"}


def test_a_directory_has_its_own_file_before_its_parents(tmp_path: Path) -> None:
    write("A=parent\nB=parent\n", Path("config/.env"))
    write("A=own\n", Path("config/agents/.env"))
    (tmp_path / "else").mkdir()
    env: dict[str, str] = {}
    load_dotenv(tmp_path / "config" / "agents", env=env, directory=tmp_path / "else")
    assert env == {"A": "own", "B": "parent"}


def test_a_file_of_agents_has_the_one_beside_it(tmp_path: Path) -> None:
    write("A=beside\n", Path("agents/.env"))
    write(MINIMAL, Path("agents/a.toml"))
    env: dict[str, str] = {}
    load_dotenv(Path("agents/a.toml"), env=env)
    assert env == {"A": "beside"}


def test_it_can_be_switched_off_and_its_absence_is_silent() -> None:
    assert load_dotenv(env={}) == ()
    write("A=1\n", Path(".env"))
    env = {"AURA_DISABLE_DOTENV": "Yes"}
    assert load_dotenv(env=env) == ()
    assert "A" not in env


def test_a_file_that_is_no_text_is_a_warning() -> None:
    write(b"A=\xff\n", Path(".env"))
    (warning,) = load_dotenv(env={})
    assert warning.code == "WARN-ENV01"


@given(st.text(max_size=80))
def test_no_text_makes_it_fail(text: str) -> None:
    parse(text, {})


def test_places_that_cannot_be_looked_at_have_no_file(tmp_path: Path) -> None:
    write("A=1\n", Path(".env"))
    env: dict[str, str] = {}
    assert load_dotenv(Path("x" * 300, "agent.toml"), env=env) == ()
    assert load_dotenv(env=env, directory=tmp_path / ("y" * 300)) == ()
    assert env == {"A": "1"}
