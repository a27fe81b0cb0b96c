"""The pages that are generated from the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.references.configuration import key_reference, renewed, settings_reference

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text("utf-8")
    assert renewed(text) == text, "run: python -m docs.references.configuration docs/configuration.md"


def test_every_table_and_setting_is_listed_once() -> None:
    titles = [line for line in key_reference().splitlines() if line.startswith("###")]
    assert len(titles) == len(set(titles))
    assert "### `[agent]`" in titles
    assert "### `[orchestration.worker.<name>]`" in titles
    assert "`STREAMING_TIMEOUT_SECS`" in settings_reference()


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="has no part `keys`"):
        renewed("# Configuration\n")
