"""``docs/providers.md`` says what the dialects declare."""

from __future__ import annotations

from pathlib import Path

from aura_py.llm import PROVIDERS
from docs.references.providers import capability_table, renewed

_PAGE = Path(__file__).parents[2] / "docs" / "providers.md"


def test_the_page_is_current() -> None:
    """Run `python -m docs.references.providers docs/providers.md` when this fails."""
    page = _PAGE.read_text(encoding="utf-8")
    assert page == renewed(page)


def test_every_provider_has_a_column() -> None:
    head = capability_table().splitlines()[0]
    assert all(f" {provider} " in head for provider in PROVIDERS)
