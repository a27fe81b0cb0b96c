"""The recipes name files that are there, and not too many."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
TEXT = (PROJECT / "CONTRIBUTING.md").read_text()
RECIPES = dict(re.findall(r"^## (Add [^\n]*)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def test_there_is_a_recipe_for_what_people_add() -> None:
    assert list(RECIPES) == [
        f"Add {each}" for each in ("a provider", "a middleware", "an event", "a configuration key", "a prompt")
    ]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_needs_at_most_six_files_and_names_those_that_exist(recipe: str) -> None:
    steps = re.findall(r"^\d+\. (.*?)(?=^\d+\. |^\n|\Z)", RECIPES[recipe].split("Tests:")[0], re.MULTILINE | re.DOTALL)
    assert 1 <= len([step for step in steps if not step.startswith("`make docs`")]) <= 6
    named = re.findall(r"`((?:aura_py|docs|examples|tests)/[^`]*)`", RECIPES[recipe])
    assert named
    for name in named:
        assert "<" in name or (PROJECT / name).exists(), name
