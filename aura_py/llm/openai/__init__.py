"""OpenAI's Chat Completions, and every server that speaks it."""

from aura_py.llm.openai.client import CAPABILITIES, build

__all__ = ["CAPABILITIES", "build"]
