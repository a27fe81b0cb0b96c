"""Ids across files."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura_py.config import load
from aura_py.config.settings import ServerSettings
from tests.config.files import LLM, codes, found_at, only, write


def agents(*named: tuple[str, str | None]) -> Path:
    for number, (name, alias) in enumerate(named):
        lines = f"[agent]\nname = '{name}'\nsystem_prompt = 'Help.'\n" + (f"alias = '{alias}'\n" if alias else "")
        write(lines + LLM, Path(f"agents/{number}.toml"))
    return Path("agents")


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ([("A", "x"), ("B", "x")], ["CFG-I01"]),
        ([("A", None), ("A", None)], ["CFG-I02"]),
        ([("A", "B"), ("B", None)], ["CFG-I02"]),
        ([("A", "x"), ("A", "y")], []),
        ([("A", "B"), ("B", "y")], []),
        ([("A", "x"), ("B", "X")], ["WARN-ID01"]),
        ([("A", None), ("A", "y")], []),
        ([("A", "x"), ("B", "x"), ("C", "x")], ["CFG-I01", "CFG-I01"]),
    ],
)
def test_ids_are_unique(named: list[tuple[str, str | None]], expected: list[str]) -> None:
    assert codes(found_at(agents(*named))) == expected


def test_an_alias_is_the_id_and_a_blank_one_is_none() -> None:
    assert [each.id for each in load(agents(("A", "team/a b"), ("B", " ")), env={}).agents] == ["team/a b", "B"]


def test_the_default_agent_must_be_an_id() -> None:
    path = agents(("A", "x"), ("B", None))
    assert codes(found_at(path, default_agent="x")) == []
    assert codes(found_at(path, default_agent="B")) == []
    assert codes(found_at(path, default_agent=" ")) == []
    error = only(found_at(path, default_agent="A"))
    assert error.code == "CFG-I03"
    assert "`x`, `B`" in error.fix
    assert codes(found_at(path, settings=ServerSettings(default_agent="b"))) == ["CFG-I03"]


def test_the_default_agent_may_be_hidden_and_is_checked_for_a_single_file_too() -> None:
    path = write(f"[agent]\nname = 'A'\nsystem_prompt = 'p'\nhidden = true\n{LLM}")
    assert codes(found_at(path, default_agent="A")) == ["WARN-ID02"]
    assert "CFG-I03" in codes(found_at(path, default_agent="B"))


@pytest.mark.parametrize(
    ("alias", "warned"),
    [("o1-mini", True), ("gpt-5", True), ("gpt-12", True), ("gpt-4o", False), ("ops", False), ("go1", False)],
)
def test_an_alias_that_clients_take_for_a_reasoning_model_is_a_warning(alias: str, warned: bool) -> None:
    assert codes(found_at(agents(("A", alias)))) == ["WARN-ID03"] * warned
