"""Sections of Markdown texts, short and very long."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.outline import sections


@given(st.lists(st.integers(1, 6), max_size=30))
def test_a_section_ends_before_the_next_header_that_is_no_deeper(levels: list[int]) -> None:
    text = "".join(f"{'#' * level} title\ntext\n" for level in levels)
    found = list(sections(Document(text.encode()), 10))
    for position, (line, level) in enumerate(zip(found, levels, strict=True)):
        following = (2 * later for later in range(position + 1, len(levels)) if levels[later] <= level)
        assert line.strip().startswith(f"{'#' * level} title [L{2 * position + 1}-L{next(following, 2 * len(levels))}]")


def test_the_first_sections_of_very_many_are_had_without_a_look_at_each_pair() -> None:
    text = "# all\n" + "## part\n- key: value\n" * 300_000
    found = list(islice(sections(Document(text.encode()), 4), 3))
    assert found == ["# all [L1-L600001]", *(f"  ## part [L{n}-L{n + 1}] (keys: key)" for n in (2, 4))]
