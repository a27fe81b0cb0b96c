"""What a store holds and how it is asked: :class:`Chunk`, :class:`Search`, :class:`Match` and :class:`Store`."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from aura_py.llm.embeddings import Vector
from aura_py.messages import Json

ScoreKind = Literal["cosine", "bm25", "text", "fused", "relevance"]
"""``cosine`` is a similarity up to 1; ``bm25``, ``text`` (PostgreSQL's rank) and ``fused`` (reciprocal ranks) order
results and mean nothing else; ``relevance`` is what a knowledge base of Bedrock says."""


class KnowledgeError(Exception):
    """What went wrong with a store or a document, in a sentence for users and models. ``transient``: another try may
    help."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


@dataclass(slots=True, frozen=True)
class Chunk:
    """A part of a document. ``document`` is its path, ``source`` what is shown of it, ``digest`` the whole document's
    hash; ``labels`` are what filters compare."""

    document: str
    part: int
    source: str
    text: str
    digest: str
    heading: str = ""
    line: int | None = None
    page: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same part of the same document, so that writing it again replaces it."""
        return str(uuid.UUID(bytes=hashlib.sha256(f"{self.document}\0{self.part}".encode()).digest()[:16]))

    @property
    def searched_text(self) -> str:
        """What is embedded and compared: the heading tells what a passage is about."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


@dataclass(slots=True, frozen=True)
class Search:
    """One search. ``filters`` must all match; ``min_score`` is a cosine similarity and concerns vectors only."""

    text: str
    limit: int = 5
    vector: Vector | None = None
    lexical: bool = True
    min_score: float | None = None
    filters: Sequence[tuple[str, str]] = ()


@dataclass(slots=True, frozen=True)
class Match:
    """A passage that was found, best first. ``location`` says where in the source: a heading, line or page."""

    id: str
    text: str
    score: float | None
    kind: ScoreKind
    source: str = ""
    heading: str = ""
    line: int | None = None
    page: int | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Indexed:
    """A document that a store holds. Without a ``digest`` it was not written to its end. ``owner`` indexed it."""

    digest: str
    owner: str


@dataclass(slots=True, frozen=True)
class StoreInfo:
    """``dimensions`` is ``None`` in a store without vectors, ``chunks`` where the store does not tell."""

    chunks: int | None
    dimensions: int | None = None


class Store(Protocol):
    """A place that holds chunks and finds them. Safe for concurrent use; what goes wrong is a :class:`KnowledgeError`.

    ``filters`` and ``writable`` say what it can do at all.
    """

    filters: bool
    writable: bool

    async def open(self, dimensions: int | None) -> StoreInfo:
        """Connect, and create what is missing. ``dimensions`` are those of the embedding model."""
        ...

    async def search(self, search: Search) -> list[Match]: ...

    async def upsert(self, chunks: Sequence[Chunk], vectors: Sequence[Vector] | None, *, owner: str) -> None:
        """Write chunks, in place of what has their ids."""
        ...

    async def delete(self, document: str, *, from_part: int = 0) -> None:
        """Delete a document's parts from ``from_part`` on."""
        ...

    async def documents(self) -> dict[str, Indexed]: ...

    async def settle(self, written: int) -> None:
        """Do what makes searching fast, after ``written`` chunks were written or deleted."""
        ...

    async def info(self) -> StoreInfo: ...

    async def close(self) -> None: ...
