"""Models behind one contract: a dialect per provider, retries and deadlines written once."""

from aura_py.llm.contract import ChatModel
from aura_py.llm.factory import PROVIDERS, build_model, capabilities, preload

__all__ = ["PROVIDERS", "ChatModel", "build_model", "capabilities", "preload"]
