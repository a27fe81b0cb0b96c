"""From an ``embedding_model`` table to a model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from aura_py.llm.embeddings.contract import EmbeddingModel
from aura_py.llm.resilience import RetryPolicy

if TYPE_CHECKING:
    from aura_py.config.models import Embedding


def build_embeddings(config: Embedding, *, agent: str, policy: RetryPolicy | None = None) -> EmbeddingModel:
    """The model that ``config`` describes. Only its own provider's modules are imported.

    Raises:
        ConfigurationError: The provider cannot do what the table asks for.
    """
    module = import_module(f"aura_py.llm.embeddings.{config.provider}")
    return cast("EmbeddingModel", module.build(config, agent=agent, policy=policy))
