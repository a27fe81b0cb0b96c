"""A directory with agents, and the app over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.rig import Rig, agent_file, serving


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    directory = tmp_path / "agents"
    directory.mkdir()
    (directory / "a.toml").write_text(agent_file("ops"))
    (directory / "b.toml").write_text(agent_file("dev/helper", 'enable_client_tools = true\nalias = "team/dev helper"'))
    (directory / "c.toml").write_text(agent_file("secret", "hidden = true"))
    return directory


@pytest.fixture
async def rig(agents: Path) -> AsyncIterator[Rig]:
    """The running app. One task enters and leaves the services, as their task groups demand."""
    made: list[Rig] = []
    running, over = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        try:
            async with serving(agents, default_agent="ops") as rig:
                made.append(rig)
                running.set()
                await over.wait()
        finally:
            running.set()

    holder = asyncio.create_task(hold())
    await running.wait()
    if not made:
        await holder
    yield made[0]
    over.set()
    await holder
