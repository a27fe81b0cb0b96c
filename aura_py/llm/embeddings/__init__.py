"""Text to vectors, for knowledge."""

from aura_py.llm.embeddings.contract import EmbeddingModel, Purpose, Vector
from aura_py.llm.embeddings.factory import build_embeddings

__all__ = ["EmbeddingModel", "Purpose", "Vector", "build_embeddings"]
