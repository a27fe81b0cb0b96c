"""Text to vectors, for knowledge."""

from aura_py.llm.embeddings.contract import EmbeddingModel, Purpose, Vector

__all__ = ["EmbeddingModel", "Purpose", "Vector"]
