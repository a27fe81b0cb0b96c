"""Knowledge: vector stores that agents search, and how they are filled."""

from aura_py.knowledge.base import KnowledgeBase
from aura_py.knowledge.contract import KnowledgeError
from aura_py.knowledge.pool import KnowledgePool
from aura_py.knowledge.tool import search_tool

__all__ = ["KnowledgeBase", "KnowledgeError", "KnowledgePool", "search_tool"]
