"""The system prompt of an agent: stable text first, so that provider caches hit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def system_prompt(base: str, context: Sequence[str] = (), sections: Iterable[str | None] = ()) -> str:
    """``base``, then each context block, then each section that is there, separated by blank lines."""
    parts = [base, *context, *sections]
    return "\n\n".join(part.strip() for part in parts if part and part.strip())
