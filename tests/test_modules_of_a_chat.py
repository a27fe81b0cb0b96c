"""How many modules a reader has to know to follow a streamed chat."""

from __future__ import annotations

import pytest

from benchmarks.modules import BOUND, modules

PRESENT = 62
"""The aim is ``BOUND``; until it is reached, this number may only fall."""


@pytest.mark.slow
def test_a_streamed_chat_passes_no_more_modules_than_before() -> None:
    found = modules()
    assert BOUND <= len(found) <= PRESENT, "\n".join(found)
