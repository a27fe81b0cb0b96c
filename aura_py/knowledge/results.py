"""Matches as a model reads them, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aura_py.knowledge.contract import Match, ScoreKind
from aura_py.messages import Json

_RESULT_BYTES: Final = 6_000
_ALL_BYTES: Final = 32_000
"""About 1,500 and 8,000 tokens."""
_SCORES: Final[dict[ScoreKind, str]] = {
    "cosine": "cosine similarity",
    "bm25": "BM25",
    "text": "text rank",
    "fused": "reciprocal ranks",
    "relevance": "relevance",
}


def as_text(query: str, matches: Sequence[Match], note: str = "") -> str:
    """One passage after another, each with where it is from."""
    if not matches:
        return "\n\n".join(filter(None, [f"No results found for query: '{query[:500]}'", note]))
    parts: list[str] = []
    room = _ALL_BYTES
    for rank, match in enumerate(matches, 1):
        text = _cut(match.text, min(_RESULT_BYTES, room))
        if room < 200 or not text:
            parts.append(f"{len(matches) - rank + 1} more results are left out; ask for fewer or more precisely.")
            break
        room -= len(text.encode())
        parts.append(f"Result {rank} · {_about(match)}\n{text}")
    return "\n\n---\n\n".join(parts) + (f"\n\n{note}" if note else "")


def as_json(query: str, matches: Sequence[Match], note: str = "") -> dict[str, Json]:
    """The same results with all their fields."""
    results: list[Json] = []
    for rank, match in enumerate(matches, 1):
        found: dict[str, Json] = {
            "rank": rank,
            "content": match.text,
            "score": match.score,
            "score_kind": match.kind,
            "source": match.source or None,
            "heading": match.heading or None,
            "line": match.line,
            "page": match.page,
            "metadata": dict(match.metadata) or None,
        }
        results.append({"id": match.id, **{key: value for key, value in found.items() if value is not None}})
    return {"query": query, "total_found": len(matches), "results": results, **({"note": note} if note else {})}


def _about(match: Match) -> str:
    facts = [match.source or f"id {match.id}", match.heading]
    if match.page is not None:
        facts.append(f"page {match.page}")
    elif match.line is not None:
        facts.append(f"line {match.line}")
    facts += [f"{key}: {value}" for key, value in list(match.metadata.items())[:8]]
    if match.score is not None:
        facts.append(f"{_SCORES[match.kind]} {match.score:.3f}")
    return " · ".join(" ".join(fact.split())[:300] for fact in facts if fact)


def _cut(text: str, limit: int) -> str:
    data = text.encode("utf-8", "replace")
    return text if len(data) <= limit else data[:limit].decode("utf-8", "ignore").rstrip() + " […]"
