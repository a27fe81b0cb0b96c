"""The vector store that a command line names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import click

from aura_py.cli.setup import prepare, print_warnings
from aura_py.config import load
from aura_py.config.models import AgentConfig, VectorStore
from aura_py.knowledge import KnowledgeBase, KnowledgePool


def choose_store(agents: Sequence[AgentConfig], wanted: str) -> tuple[AgentConfig, VectorStore]:
    """The store called ``STORE`` or ``AGENT/STORE``.

    Raises:
        click.UsageError: There is no such store, or several.
    """
    stores = [(agent, store) for agent in agents for store in agent.vector_stores]
    found = [(agent, store) for agent, store in stores if wanted in (store.name, f"{agent.id}/{store.name}")]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"`{agent.id}/{store.name}`" for agent, store in found or stores) or "none"
    if found:
        raise click.UsageError(f"`{wanted}` names several vector stores; choose one of {names}.")
    raise click.UsageError(f"There is no vector store `{wanted}`; there are: {names}.")


@asynccontextmanager
async def opened(config: Path | None, wanted: str) -> AsyncIterator[KnowledgeBase]:
    """The store, for as long as the context lasts."""
    settings = prepare({"config_path": config})
    loaded = load(settings.config_path, settings=settings, create_directories=False, skip_broken_skills=True)
    print_warnings(each for each in loaded.warnings if each.code.startswith("WARN-VS"))
    agent, store = choose_store(loaded.agents, wanted)
    pool = KnowledgePool()
    try:
        yield pool.stores(agent)[store.name]
    finally:
        await pool.close()
