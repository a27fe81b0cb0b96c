"""The offline ``scripted`` model."""

from aura_py.llm.scripted.client import CAPABILITIES, build

__all__ = ["CAPABILITIES", "build"]
