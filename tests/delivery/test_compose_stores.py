"""The agents of the set-ups with a vector store, beside the store that each of them names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.knowledge.conftest import postgres
from tests.knowledge.qdrant_server import API_KEY, qdrant_server
from tests.server.rig import serving

__all__ = ["postgres"]  # a fixture
COMPOSE = Path(__file__).parents[2] / "compose"


@pytest.fixture
def qdrant() -> Iterator[str]:
    with qdrant_server(API_KEY) as running:
        yield running.rest


async def test_the_set_up_with_qdrant_finds_documentation(qdrant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", qdrant)
    monkeypatch.setenv("QDRANT_API_KEY", API_KEY)
    await finds_documentation(COMPOSE / "qdrant.toml")


@pytest.mark.slow
async def test_the_set_up_with_postgres_finds_documentation(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES_URL", request.getfixturevalue("postgres"))
    await finds_documentation(COMPOSE / "postgres.toml")


async def finds_documentation(agent: Path) -> None:
    async with serving(agent) as rig:
        reply = await rig.chat("How do I reload agents?")
        text = reply.json()["choices"][0]["message"]["content"]
        assert text.startswith("Result 1 · ")
        assert "docs/" in text
