"""Where files of runs lie."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from aura_py.storage import agent_directories, make_private, path_component, session_directory


@pytest.mark.parametrize("text", ["cs_77", "key.ann", "a-b.c_d", "0" * 128])
def test_a_safe_text_is_its_own_component(text: str) -> None:
    assert path_component(text) == text


@pytest.mark.parametrize(
    "text",
    ["../../etc", "a/b", "", ".", "..", "a..b", "x" * 129, "a\0b", ".hidden", "a.", "Upper", "größe", "\ud800", "a b"],
)
def test_every_other_text_becomes_a_digest_that_nothing_else_is_called(text: str) -> None:
    digest = path_component(text)
    assert path_component(digest) != digest
    assert (digest[:2], len(digest), Path(digest).name) == ("h-", 42, digest)


def test_owner_agent_and_session_are_each_a_level_of_their_own(tmp_path: Path) -> None:
    found = session_directory(tmp_path, owner="key.ann", agent="team/dev", session="s")
    assert found.relative_to(tmp_path).parts == ("key.ann", path_component("team/dev"), "s")


def test_directories_of_an_agent_are_found_for_every_owner_and_through_no_link(tmp_path: Path) -> None:
    for owner in ("key.ann", "key.bob"):
        (tmp_path / owner / "team").mkdir(parents=True)
    (tmp_path / "key.bob" / "other").mkdir()
    (tmp_path / "key.eve").mkdir()
    (tmp_path / "key.eve" / "team").symlink_to(tmp_path / "key.ann" / "team")
    found = agent_directories(tmp_path, "team")
    assert sorted(found) == [tmp_path / owner / "team" for owner in ("key.ann", "key.bob")]
    assert agent_directories(tmp_path / "absent", "team") == []


def test_what_is_missing_above_a_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "b")
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    make_private(tmp_path / "a" / "b")
