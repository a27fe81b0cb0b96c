"""Chunks as payloads of Qdrant points, embedded and on servers, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from aura_py.knowledge.contract import Chunk, Match, ScoreKind

WORDS: Final = "words"
DENSE: Final = "dense"
"""Names of the two vectors of a point."""

DOCUMENT, PART, DIGEST, OWNER, LABELS = "document", "part", "digest", "owner", "labels"
KEYWORDS: Final = (DOCUMENT, LABELS)
FUSION_K: Final = 60


def candidates(limit: int) -> int:
    """How many results of each branch a hybrid search joins."""
    return max(20, 4 * limit)


def payload(chunk: Chunk, owner: str) -> dict[str, Any]:
    return {
        "content": chunk.text,
        "source": chunk.source,
        DOCUMENT: chunk.document,
        PART: chunk.part,
        DIGEST: chunk.digest,
        OWNER: owner,
        "heading": chunk.heading,
        "line": chunk.line,
        "page": chunk.page,
        LABELS: [label(key, value) for key, value in {**chunk.labels, "source": chunk.source}.items()],
    }


def label(key: str, value: str) -> str:
    """A label as it is indexed: numbers, truth values and strings compare alike."""
    return f"{key}={value}"


def labels(found: object) -> dict[str, Any]:
    pairs = [text.partition("=") for text in found if isinstance(text, str)] if isinstance(found, Sequence) else []
    return {key: value for key, _, value in pairs if key != "source"}


def match(point_id: object, score: float, kind: ScoreKind, found: Mapping[str, Any]) -> Match:
    """A point that Aura wrote."""
    return Match(
        id=str(point_id),
        text=str(found.get("content") or ""),
        score=score,
        kind=kind,
        source=str(found.get("source") or ""),
        heading=str(found.get("heading") or ""),
        line=found.get("line"),
        page=found.get("page"),
        metadata=labels(found.get(LABELS)),
    )


def foreign_match(
    point_id: object, score: float, kind: ScoreKind, found: Mapping[str, Any], content: str | None, shown: Sequence[str]
) -> Match:
    """A point that others wrote: its content field as it is, or the whole payload as JSON."""
    value = found.get(content) if content is not None else None
    text = value if isinstance(value, str) else orjson.dumps(found if value is None else value).decode()
    return Match(str(point_id), text, score, kind, metadata={key: found[key] for key in shown if key in found})
