"""Google's Gemini API."""

from aura_py.llm.gemini.client import CAPABILITIES, build

__all__ = ["CAPABILITIES", "build"]
