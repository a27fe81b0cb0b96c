"""OpenRouter: Chat Completions with reasoning that is kept across turns."""

from aura_py.llm.openrouter.client import CAPABILITIES, build

__all__ = ["CAPABILITIES", "build"]
