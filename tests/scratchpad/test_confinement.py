"""No name leads out of the read root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aura_py.scratchpad.confinement import OutsideError, confined
from tests.scratchpad.rig import rig


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "pad").mkdir(parents=True)
    (tmp_path / "root" / "artifacts").mkdir()
    (tmp_path / "root" / "artifacts" / "result.txt").write_text("hello")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "root"


@pytest.mark.parametrize("name", ["../artifacts/result.txt", "./../pad/../artifacts/result.txt"])
def test_names_inside_the_root_are_followed(root: Path, name: str) -> None:
    assert confined(name, base=root / "pad", root=root).read_text() == "hello"
    assert confined(str(root / "artifacts" / "result.txt"), base=root / "pad", root=root).read_text() == "hello"


@pytest.mark.parametrize("name", ["../../secret.txt", "../../etc/passwd", "/etc/passwd", "a\0b", "../../root2/x"])
def test_names_outside_are_refused(root: Path, name: str) -> None:
    with pytest.raises(OutsideError):
        confined(name, base=root / "pad", root=root)


def test_symlinks_are_judged_by_where_they_lead(root: Path) -> None:
    pad = root / "pad"
    (pad / "escape").symlink_to(root.parent / "secret.txt")
    (pad / "dangling").symlink_to(root.parent / "nowhere")
    (pad / "loop").symlink_to(pad / "loop")
    (pad / "folder").symlink_to(root.parent / "elsewhere")
    (pad / "inside").symlink_to(root / "artifacts")
    for name in ("escape", "dangling", "loop", "folder/new.txt"):
        with pytest.raises(OutsideError):
            confined(name, base=pad, root=root)
    assert confined("inside/result.txt", base=pad, root=root).read_text() == "hello"
    with pytest.raises(FileNotFoundError):
        confined("inside/other.txt", base=pad, root=root)


async def test_the_model_reads_why(root: Path) -> None:
    with rig(root / "pad", read_root=root) as pad:
        refused = await pad.explore("head", file="../../secret.txt")
        assert (refused.ok, refused.outcome) == (False, "tool_error")
        assert "outside the scratchpad" in refused.text
        absent = await pad.explore("head", file="nothing.txt")
        assert "No such file" in absent.text
        assert "Is a directory" in (await pad.explore("head", file="..")).text
        assert await pad.lines("head", file="../artifacts/result.txt") == ["hello"]
        os.mkfifo(root / "pad" / "pipe")
        assert "no regular file" in (await pad.explore("head", file="pipe")).text


async def test_a_root_that_does_not_hold_the_directory_is_not_used(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with rig(root / "pad", read_root=root / "artifacts") as pad:
        assert "does not hold" in caplog.text
        assert "outside" in (await pad.explore("head", file="../artifacts/result.txt")).text


async def test_an_artifact_is_inline_when_it_fits_and_explored_in_place_when_not(root: Path) -> None:
    large = root / "artifacts" / "large.txt"
    large.write_text("word " * 30_000)
    with rig(root / "pad", read_root=root) as pad:
        offer = pad.scratchpad.offer_artifact
        assert await offer("result.txt", root / "artifacts" / "result.txt", "hello") == "hello"
        assert pad.scratchpad.usage()[1] == 1
        pointer = await offer("large.txt", large, large.read_text())
        assert pointer.startswith("[artifact 'large.txt' is too large")
        assert "(file='../artifacts/large.txt'" in pointer
        assert "word word" in await pad.read("head", file="../artifacts/large.txt")
        assert "outside" in await offer("secret", root.parent / "secret.txt", large.read_text())
        assert "storage error" in await offer("gone", root / "artifacts" / "gone.txt", large.read_text())
