"""Models behind one contract: a dialect per provider, retries and deadlines written once."""

from aura_py.llm.contract import ChatModel
from aura_py.llm.factory import build_embeddings, build_model, preload
from aura_py.llm.registry import PROVIDERS, capabilities

__all__ = ["PROVIDERS", "ChatModel", "build_embeddings", "build_model", "capabilities", "preload"]
