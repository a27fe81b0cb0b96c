"""An agent's or a worker's vector stores: their tools, and what its prompt says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aura_py.errors import ServerUnavailable
from aura_py.tools.contract import Tool

if TYPE_CHECKING:
    from aura_py.knowledge import KnowledgeBase


async def search_tools(stores: Sequence[KnowledgeBase]) -> tuple[Tool, ...]:
    """One tool for each store, whether or not the store answers: a search that fails is told to the model.

    Raises:
        ServerUnavailable: A store that is declared as ``required`` cannot be opened.
    """
    if not stores:
        return ()
    from aura_py.knowledge import KnowledgeError, search_tool  # only agents with a store pay for its import

    for store in stores:
        if store.config.required:
            try:
                await store.open()
            except KnowledgeError as error:
                raise ServerUnavailable(f"A required vector store is not available: {error}.") from error
    return tuple(search_tool(store) for store in stores)


def knowledge_section(stores: Sequence[KnowledgeBase]) -> str | None:
    """The section of a worker's or coordinator's prompt, ``None`` without stores."""
    if not stores:
        return None
    lines = [
        f"- {store.name}: {store.config.context_prefix or 'no description given'} (search it with `{store.tool_name}`)"
        for store in stores
    ]
    return "## Knowledge bases\n\n" + "\n".join(lines)
