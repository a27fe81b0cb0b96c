from __future__ import annotations

from pathlib import Path

import pytest

from aura_py.config import relations


@pytest.fixture(autouse=True)
def everything_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """The room is tested as a whole; what is refused for not being built yet changes from week to week."""
    monkeypatch.setattr(relations, "UNBUILT", {})


@pytest.fixture(autouse=True)
def in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
