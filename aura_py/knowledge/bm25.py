"""BM25 sparse vectors, alike for the embedded engine and for servers."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import qdrant_edge

_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])"
)
"""Letters of scripts that put no spaces between words: each one counts as a word."""


class WordModel:
    """Text to weighted words, of one language."""

    def __init__(self, model: qdrant_edge.Bm25) -> None:
        self._model = model

    def document(self, text: str) -> qdrant_edge.SparseVector:
        return self._model.embed_document(words(text))

    def query(self, text: str) -> qdrant_edge.SparseVector:
        return self._model.embed_query(words(text))


def words(text: str) -> str:
    """``text`` with spaces between all words."""
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


@cache
def word_model(language: str) -> WordModel:
    """Imports the engine. ``none`` neither stems nor leaves words out."""
    import qdrant_edge as edge

    if language == "none":
        config = edge.Bm25Config(ascii_folding=True, stemmer=edge.DisabledStemmer(), stopwords=edge.StopwordsSet())
    else:
        config = edge.Bm25Config(ascii_folding=True, language=language)
    return WordModel(edge.Bm25(config))
