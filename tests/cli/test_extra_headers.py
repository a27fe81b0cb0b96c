"""`AURA_EXTRA_HEADERS` as `aura run` reads it."""

from __future__ import annotations

import pytest

from aura_py.cli.extra_headers import extra_headers
from aura_py.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("A: b", {"A": "b"}),
        ("A: b, C:d:e ,: nameless, F", {"A": "b", "C": "d:e", "F": ""}),
        ('{"A": "b, c"}', {"A": "b, c"}),
    ],
)
def test_pairs_are_split_at_commas_and_first_colons_or_come_as_json(text: str, expected: dict[str, str]) -> None:
    assert extra_headers({"AURA_EXTRA_HEADERS": text}) == expected
    assert extra_headers({}) == {}


@pytest.mark.parametrize("text", ['{"A": 3}', "{A: b", "{" * 5000])
def test_json_that_is_no_object_of_texts_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a JSON object of texts"):
        extra_headers({"AURA_EXTRA_HEADERS": text})
