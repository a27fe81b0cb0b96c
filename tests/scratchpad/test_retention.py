"""How long parked files live."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aura_py.config.models import ScratchpadSettings
from aura_py.scratchpad import run_scratchpad, sweep
from tests.scratchpad.rig import rig

NOW = datetime.now(UTC)
TEXT = "# x\n" + "word " * 2000


async def leave(memory: Path, run: str, *, session: str = "s", **settings: Any) -> Path:
    """A run that parked something and ended."""
    directory = run_scratchpad(memory / session, run)
    with rig(directory, read_root=directory, **settings) as pad:
        await pad.park(TEXT)
    return directory


def test_each_run_has_a_directory_of_its_own_whatever_the_run_is_called(tmp_path: Path) -> None:
    assert run_scratchpad(tmp_path / "chat-1", "run-1") == tmp_path / "chat-1" / "run-1" / "scratchpad"
    assert run_scratchpad(tmp_path / "chat-1", "../run-2").parent.parent == tmp_path / "chat-1"


async def test_runs_do_not_read_each_others_files(tmp_path: Path) -> None:
    one = run_scratchpad(tmp_path / "s", "one")
    two = run_scratchpad(tmp_path / "s", "two")
    with rig(one) as first, rig(two) as second:
        file = await first.park(TEXT)
        assert (await first.explore("head", file=file)).ok
        for name in (file, f"../../one/scratchpad/{file}", str(one / file)):
            assert not (await second.explore("head", file=name)).ok


async def test_files_stay_for_the_hours_configured_and_go_at_once_for_zero(tmp_path: Path) -> None:
    kept = await leave(tmp_path, "kept")
    assert kept.is_dir()
    gone = await leave(tmp_path, "gone", session="other", retention_hours=0)
    assert not gone.exists()
    assert not gone.parent.parent.exists()


async def test_a_run_that_parked_nothing_leaves_nothing(tmp_path: Path) -> None:
    directory = run_scratchpad(tmp_path / "s", "idle")
    with rig(directory):
        assert directory.is_dir()
    assert not directory.parent.parent.exists()


async def test_the_sweep_removes_what_is_old_but_never_what_is_in_use(tmp_path: Path) -> None:
    old = await leave(tmp_path, "old")
    worker = tmp_path / "session" / "run" / "iteration-1" / "scratchpad"
    with rig(worker, read_root=tmp_path / "session") as pad:
        await pad.park(TEXT)
    assert worker.is_dir()
    running = run_scratchpad(tmp_path / "s", "running")
    (tmp_path / "session" / "run" / "artifacts").mkdir()
    with rig(running) as pad:
        await pad.park(TEXT)
        sweep(tmp_path, ScratchpadSettings(), NOW)
        assert old.is_dir()
        sweep(tmp_path, ScratchpadSettings(), NOW + timedelta(hours=25))
        assert not old.exists()
        assert not worker.exists()
        assert running.is_dir()
    assert (tmp_path / "session" / "run" / "artifacts").is_dir()


async def test_over_the_size_the_oldest_go_first(tmp_path: Path) -> None:
    first, second, third = [await leave(tmp_path, run) for run in ("first", "second", "third")]
    for age, directory in ((300, first), (200, second), (100, third)):
        for path in [directory, *directory.rglob("*")]:
            os.utime(path, (NOW.timestamp() - age, NOW.timestamp() - age))
    size = sum(path.stat().st_size for path in third.rglob("*") if path.is_file())
    sweep(tmp_path, ScratchpadSettings(max_bytes=size + 10), NOW)
    assert [directory.exists() for directory in (first, second, third)] == [False, False, True]


def test_a_sweep_of_nothing_is_fine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sweep(tmp_path / "absent", ScratchpadSettings(), NOW)
    assert not caplog.records
