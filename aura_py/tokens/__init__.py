"""Token counting with the vocabulary shipped in the package."""

from aura_py.tokens.counter import TokenCounter, counter_for

__all__ = ["TokenCounter", "counter_for"]
