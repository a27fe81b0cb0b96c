"""Cutting texts meant for people and models: by code points, preferably at a line end."""

from __future__ import annotations

CUT_MARK = "… [cut]"


def head(text: str, length: int) -> str:
    """The first ``length`` characters at most; ends at a line end when one lies in the last tenth."""
    if len(text) <= length:
        return text
    cut = text[:length]
    line_end = cut.rfind("\n", length - length // 10)
    return cut[:line_end] if line_end > 0 else cut


def cut(text: str, length: int) -> str:
    """Like :func:`head`, marked when something is missing."""
    return text if len(text) <= length else f"{head(text, length)}{CUT_MARK}"


def ellipsis(text: str, length: int) -> str:
    """The first ``length`` characters, with ``...`` when something is missing."""
    return text if len(text) <= length else f"{text[:length]}..."


def indent(text: str, by: str = "    ") -> str:
    return "\n".join(f"{by}{line}" if line else "" for line in text.splitlines())
