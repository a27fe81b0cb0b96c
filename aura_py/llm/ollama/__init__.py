"""Ollama's native chat API."""

from aura_py.llm.ollama.client import CAPABILITIES, build

__all__ = ["CAPABILITIES", "build"]
