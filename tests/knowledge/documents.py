"""What every store is filled with, and how."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from aura_py.knowledge.contract import Chunk
from aura_py.llm.embeddings import Purpose, Vector

DIMENSIONS = 16

TEXTS: dict[str, list[tuple[str, dict[str, str]]]] = {
    "/docs/postgres.md": [
        ("A replica is promoted when the primary database is lost.", {"team": "db", "year": "2024"}),
        ("Restart the connection pooler after every failover.", {"team": "db", "year": "2025"}),
    ],
    "/docs/network.md": [("Routers drop packets when their buffers overflow.", {"team": "net", "year": "2025"})],
    "/docs/kitchen.md": [("Bread rises because yeast makes carbon dioxide.", {"team": "food", "vegan": "true"})],
    "/docs/unicode.md": [
        ("Die Straße führt über Köln nach Düsseldorf. 🚲", {"team": "straße"}),
        ("東京タワーは高いです。", {"lang": "ja"}),
        ("Émile naïvely ordered crème brûlée.", {"lang": "fr"}),
    ],
}


def chunks(digest: str = "d1", texts: dict[str, list[tuple[str, dict[str, str]]]] | None = None) -> list[Chunk]:
    return [
        Chunk(document, part, document.lstrip("/"), text, digest, heading="Notes", line=part + 1, labels=labels)
        for document, parts in (TEXTS if texts is None else texts).items()
        for part, (text, labels) in enumerate(parts)
    ]


class WordVectors:
    """An embedding model whose vectors are nearer the more words two texts share."""

    provider = "test"
    model = "words"

    def __init__(self, dimensions: int = DIMENSIONS) -> None:
        self.dimensions = dimensions
        self.asked: list[tuple[list[str], Purpose]] = []

    async def embed(self, texts: Sequence[str], *, purpose: Purpose) -> list[Vector]:
        self.asked.append((list(texts), purpose))
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> Vector:
        found = [0.01] * self.dimensions
        for word in text.lower().split():
            found[int(hashlib.sha256(word.strip(".").encode()).hexdigest(), 16) % self.dimensions] += 1.0
        return found

    async def aclose(self) -> None:
        pass
