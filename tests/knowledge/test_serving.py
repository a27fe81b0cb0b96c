"""Stores of a server: filled at its start, kept over reloads, seen by who looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from aura_py.config.settings import ServerSettings
from aura_py.errors import ConfigurationError
from aura_py.knowledge import KnowledgeBase
from aura_py.run.catalog import Catalog
from aura_py.run.services import Services
from aura_py.server.reload import Reloader
from tests.server.rig import Rig, agent_file, serving

RULES = """
[[agent.llm.rules]]
after_tool = "vector_search_*"
say = "{{ result }}"

[[agent.llm.rules]]
tool_calls = [{ name = "vector_search_notes", arguments = { query = "{{ user }}" } }]
"""
STORE = (
    "\n[[vector_stores]]\nname = 'notes'\ntype = 'qdrant'\npath = 'index'\nsources = ['docs']\n"
    "context_prefix = 'Zebras'\n"
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "zebra.md").write_text("# Zebras\nA zebra has stripes.\n")
    (tmp_path / "a.toml").write_text(agent_file("ops", rules=RULES) + STORE)
    return tmp_path


def base_of(rig: Rig) -> KnowledgeBase:
    pool = rig.state.services.knowledge
    assert pool is not None
    found = pool.get(rig.state.catalog.configs[0], "notes")
    assert found is not None
    return found


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110  # another task's progress; there is no event for it outside
            await anyio.sleep(0.01)


async def test_sources_are_indexed_at_the_start_and_after_every_change(place: Path) -> None:
    (place / "a.toml").write_text(agent_file("ops", rules=RULES) + STORE + "watch = true\n")
    async with serving(place / "a.toml") as rig, anyio.create_task_group() as tasks:
        base = base_of(rig)
        tasks.start_soon(base.keep_indexed, _look, 0.02)
        await until(lambda: base.state == "ready" and base.progress is not None)
        assert "A zebra has stripes." in (await rig.chat("zebra")).text
        info: Any = (await rig.ask("GET", "/aura/info")).json()
        assert info["agents"][0]["vector_stores"] == [
            {
                "name": "notes",
                "type": "qdrant",
                "description": "Zebras",
                "state": "ready",
                "documents": {"found": 1, "done": 1},
            }
        ]
        (place / "docs" / "lion.md").write_text("# Lions\nA lion has a mane.\n")
        first = base.progress
        await until(lambda: base.state == "ready" and base.progress is not first)
        assert "A lion has a mane." in (await rig.chat("lion")).text
        tasks.cancel_scope.cancel()


def _look(sources: Any) -> Any:
    from aura_py.knowledge.pool import fingerprint

    return fingerprint(sources)


async def test_results_say_that_more_will_come_while_the_store_is_being_indexed(place: Path) -> None:
    async with serving(place / "a.toml") as rig:
        base_of(rig).in_background = True
        assert "(The store is being indexed; this may not be everything.)" in (await rig.chat("zebra")).text


async def test_a_reload_keeps_the_shard_of_a_store_that_did_not_change(place: Path) -> None:
    async with serving(place / "a.toml") as rig:
        before = base_of(rig)
        assert "A zebra has stripes." in (await rig.chat("zebra")).text
        (place / "a.toml").write_text(agent_file("ops", 'description = "new"', rules=RULES) + STORE)
        old = rig.state.catalog.configs
        assert await Reloader(rig.state).reload()
        await rig.state.services.retire(old)
        assert base_of(rig) is before
        assert "A zebra has stripes." in (await rig.chat("zebra")).text


async def test_a_reload_that_changes_a_store_opens_its_folder_anew(place: Path) -> None:
    async with serving(place / "a.toml") as rig:
        before = base_of(rig)
        assert "A zebra has stripes." in (await rig.chat("zebra")).text
        (place / "a.toml").write_text(agent_file("ops", rules=RULES) + STORE.replace("Zebras", "Beasts"))
        old = rig.state.catalog.configs
        assert await Reloader(rig.state).reload()
        assert "A zebra has stripes." in (await rig.chat("zebra")).text
        await rig.state.services.retire(old)
        assert base_of(rig) is not before
        assert before.retired.is_set()
        assert "A zebra has stripes." in (await rig.chat("zebra")).text


@pytest.mark.parametrize(("required", "status", "word"), [("false", 200, "degraded"), ("true", 503, "not_ready")])
async def test_readiness_knows_of_stores_that_cannot_be_opened(
    place: Path, required: str, status: int, word: str
) -> None:
    (place / "index").write_text("in the way")
    (place / "a.toml").write_text(agent_file("ops", rules=RULES) + STORE + f"required = {required}\n")
    async with serving(place / "a.toml") as rig, anyio.create_task_group() as tasks:
        tasks.start_soon(rig.state.services.keep_indexed, rig.state.catalog.configs)
        await until(lambda: base_of(rig).state == "failed")
        reply = await rig.ask("GET", "/health/ready")
        assert (reply.status, reply.json()["status"]) == (status, word)
        assert reply.json()["vector_stores"] == {"failed": ["notes"]}
        tasks.cancel_scope.cancel()


async def test_an_embedded_folder_is_refused_to_several_processes(place: Path) -> None:
    settings = ServerSettings.resolve({"config_path": place / "a.toml", "workers": 2}, env={})
    with pytest.raises(ConfigurationError, match="the embedded vector store `notes` belongs to one process"):
        Catalog.load(place / "a.toml", Services(settings))
