"""Anthropic's Messages API."""

from aura_py.llm.anthropic.client import CAPABILITIES, build

__all__ = ["CAPABILITIES", "build"]
