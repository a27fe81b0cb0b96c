"""Tool calls that models write as text."""

from aura_py.llm.text_calls.model import TextCallModel

__all__ = ["TextCallModel"]
