"""The notation of places in JSON."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_py.scratchpad import addresses
from aura_py.scratchpad.addresses import AddressError


@pytest.mark.parametrize("whole", ["", ".", "$", " $ "])
def test_nothing_a_dot_and_a_dollar_are_the_whole_value(whole: str) -> None:
    assert addresses.parse(whole) == ()


@pytest.mark.parametrize("path", ["$.a.b[0]", "a.b.0", "a.b[0]", '$["a"]["b"][0]', "$['a'].b.0"])
def test_one_place_has_many_spellings(path: str) -> None:
    assert [step.text for step in addresses.parse(path)] == ["a", "b", "0"]


@pytest.mark.parametrize("path", ["a..b", "a.", "a[0", "a.[", "a]b["])
def test_what_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(AddressError, match="path"):
        addresses.parse(path)


def test_wildcards_and_negative_indexes_are_steps() -> None:
    assert [(step.text, step.kind) for step in addresses.parse("a[*].b[-1].*")] == [
        ("a", "key"), ("*", "every"), ("b", "key"), ("-1", "index"), ("*", "every"),
    ]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=8), st.integers(0, 10**9)), max_size=5))
def test_what_is_printed_is_read_back_to_the_same_steps(steps: list[str | int]) -> None:
    path = "$"
    for step in steps:
        path = addresses.join(path, step)
    read = addresses.parse(path)
    assert [step.text for step in read] == [str(step) for step in steps]
    assert [step.kind == "index" for step in read] == [isinstance(step, int) for step in steps]
