"""The two filesystem tools stay inside their root."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aura_py.messages import ToolCall
from aura_py.tools.contract import ToolOutcome
from aura_py.tools.filesystem import MAX_FILE_BYTES, filesystem_tools
from aura_py.tools.runner import ToolRunner
from aura_py.tools.toolset import Toolset
from tests.agent.scenario import call_context


@pytest.fixture
def root(tmp_path: Path) -> Path:
    base = tmp_path / "root"
    (base / "sub").mkdir(parents=True)
    (base / "a.txt").write_text("hällo")
    (base / "sub" / "b.txt").write_text("b")
    (tmp_path / "outside.txt").write_text("outside")
    return base


async def call(root: Path, name: str, **arguments: object) -> ToolOutcome:
    runner = ToolRunner(Toolset(filesystem_tools(root)))
    return await runner.run(ToolCall("1", name, json.dumps(arguments)), call_context())


async def test_a_file_below_the_root_is_read(root: Path) -> None:
    assert (await call(root, "read_file", path="a.txt")).text == "hällo"


async def test_a_directory_is_listed_in_order_without_descending(root: Path) -> None:
    listing = json.loads((await call(root, "list_directory", path=".")).text)
    assert [entry["name"] for entry in listing["entries"]] == ["a.txt", "sub"]
    assert listing["total_count"] == 2
    assert listing["entries"][1]["is_dir"]


@pytest.mark.parametrize("path", ["../outside.txt", "/etc/passwd", "sub/../../outside.txt", "a\x00b"])
async def test_paths_outside_the_root_are_refused(root: Path, path: str) -> None:
    outcome = await call(root, "read_file", path=path)
    assert not outcome.ok
    assert "outside" in outcome.text or "NUL" in outcome.text
    assert "root:" not in outcome.text


async def test_a_symlink_that_leads_out_is_refused(root: Path) -> None:
    os.symlink(root.parent / "outside.txt", root / "link.txt")
    assert not (await call(root, "read_file", path="link.txt")).ok


async def test_a_file_of_secrets_is_refused(root: Path) -> None:
    (root / ".env").write_text("KEY=1")
    assert "never read" in (await call(root, "read_file", path=".env")).text


async def test_the_size_limit_cannot_be_lifted_by_an_argument(root: Path) -> None:
    (root / "big").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    assert "larger than" in (await call(root, "read_file", path="big")).text
    assert not (await call(root, "read_file", path="a.txt", max_size=9)).ok


async def test_a_fifo_does_not_hang_the_run(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert "not a regular file" in (await call(root, "read_file", path="pipe")).text
