"""Finding, reading and ordering files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aura_py.config import InvalidConfiguration, load
from tests.config.files import AGENT, LLM, MINIMAL, agent, codes, found, found_at, only, write


def named(name: str) -> str:
    return MINIMAL.replace("Helper", name)


def loaded_names(path: Path) -> list[str]:
    return [each.agent.name for each in load(path, env={}).agents]


def test_the_smallest_file_is_one_agent() -> None:
    config = agent(MINIMAL)
    assert config.id == "Helper"
    assert config.agent.llm.provider == "ollama"
    assert config.agent.model_owner == "ollama"
    assert config.path == Path("agent.toml")
    assert not config.orchestrated


def test_a_file_of_any_extension_can_be_named() -> None:
    assert loaded_names(write(MINIMAL, Path("agent.conf"))) == ["Helper"]


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    text = MINIMAL.replace("\n", "\r\n")
    assert agent(b"\xef\xbb\xbf" + text.encode()).id == "Helper"


def test_a_directory_is_read_in_order_and_only_at_its_own_level(tmp_path: Path) -> None:
    for name in ("b.toml", "a.toml", "Z.toml"):
        write(named(name), Path("agents") / name)
    for name in (".draft.toml", ".toml", "A.TOML", "c.toml.bak", "readme.md", "x.script.toml", "below/d.toml"):
        write("not [ toml", Path("agents") / name)
    (tmp_path / "agents" / ".#lock.toml").symlink_to("nowhere")
    assert loaded_names(Path("agents")) == ["Z.toml", "a.toml", "b.toml"]


def test_a_directory_that_is_called_like_a_file_is_passed_over_with_a_warning() -> None:
    write(MINIMAL, Path("agents/a.toml"))
    Path("agents/b.toml").mkdir()
    assert codes(load(Path("agents"), env={}).warnings) == ["WARN-DIR01"]


def test_links_are_followed_as_kubernetes_mounts_them(tmp_path: Path) -> None:
    write(named("one"), tmp_path / "agents" / "..2026" / "a.toml")
    (tmp_path / "agents" / "..data").symlink_to("..2026")
    (tmp_path / "agents" / "a.toml").symlink_to("..data/a.toml")
    assert loaded_names(Path("agents")) == ["one"]


def test_a_dangling_link_is_an_error_beside_the_others(tmp_path: Path) -> None:
    write(MINIMAL, Path("agents/a.toml"))
    (tmp_path / "agents" / "b.toml").symlink_to("nowhere")
    found = only(found_at(Path("agents")))
    assert found.code == "CFG-F03"
    assert found.file == Path("agents/b.toml")


def test_a_missing_path_is_shown_as_given_and_resolved(tmp_path: Path) -> None:
    found = only(found_at(Path("nowhere.toml")))
    assert found.code == "CFG-F01"
    assert "`nowhere.toml`" in found.message
    assert str(tmp_path / "nowhere.toml") in found.message
    assert "CONFIG_PATH" in found.fix
    assert "aura init" not in found.fix


def test_a_pipe_or_a_device_in_a_directory_is_an_error_and_is_not_read() -> None:
    write(MINIMAL, Path("agents/a.toml"))
    os.mkfifo("agents/b.toml")
    Path("agents/c.toml").symlink_to("/dev/zero")
    assert codes(found_at(Path("agents"))) == ["CFG-F04", "CFG-F04"]


def test_a_file_of_gigabytes_is_an_error_and_is_not_read() -> None:
    with Path("agent.toml").open("wb") as file:
        file.truncate(50 * 2**30)
    each = only(found_at(Path("agent.toml")))
    assert (each.code, "more than 16 MiB" in each.message) == ("CFG-F03", True)


def test_a_script_that_is_a_pipe_is_an_error_and_is_not_read() -> None:
    os.mkfifo("words.script.toml")
    scripted = '[agent.llm]\nprovider = "scripted"\nmodel = "m"\nscript = "words.script.toml"\n'
    assert only(found(AGENT + scripted)).code == "CFG-F03"


def test_an_empty_directory_is_an_error(tmp_path: Path) -> None:
    Path("agents").mkdir()
    found = only(found_at(Path("agents")))
    assert found.code == "CFG-F02"
    assert "No .toml configuration files found" in found.message
    assert str(tmp_path / "agents") in found.message


def test_a_directory_without_agents_names_those_below_it_that_have_some(tmp_path: Path) -> None:
    for name in ("agents", "more", "scripts", ".hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.script.toml").write_text("")
    for name in ("agents", "more", ".hidden"):
        (tmp_path / name / "a.toml").write_text("")
    with pytest.raises(InvalidConfiguration) as refused:
        load(tmp_path)
    (found,) = refused.value.diagnostics
    assert found.code == "CFG-F02"
    named = f"`{tmp_path / 'agents'}` or `{tmp_path / 'more'}`"
    assert found.fix == f"name the directory that has them: {named}, or point `--config` elsewhere"


def test_something_else_than_a_file_is_an_error() -> None:
    os.mkfifo("pipe.toml")
    assert codes(found_at(Path("pipe.toml"))) == ["CFG-F04"]


def test_a_named_dangling_link_is_an_error() -> None:
    Path("link.toml").symlink_to("nowhere")
    assert codes(found_at(Path("link.toml"))) == ["CFG-F03"]


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_an_impossible_path_is_a_documented_error(name: str) -> None:
    assert codes(found_at(Path(name)))[0].startswith("CFG-F")


def test_all_problems_of_all_files_are_reported_by_file_and_place() -> None:
    write("[agent]\nname = \n", Path("agents/b.toml"))
    write(AGENT + "turn_depth = -1\nhidden = 3\n" + LLM, Path("agents/a.toml"))
    write(named("another"), Path("agents/c.toml"))
    with pytest.raises(InvalidConfiguration) as caught:
        load(Path("agents"), env={})
    places = [(str(each.file), each.line, each.column, each.code) for each in caught.value.diagnostics]
    assert places == [
        ("agents/a.toml", 4, 1, "CFG-S03"),
        ("agents/a.toml", 5, 1, "CFG-S04"),
        ("agents/b.toml", 2, 8, "CFG-T01"),
    ]
    assert str(caught.value).endswith("3 errors in 2 files; nothing was started")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 2000, "a." * 400 + "b = 1", "a = " + "9" * 6000, "[a" + ".b" * 300 + "]", "a = " + "{b=" * 500],
)
def test_absurd_files_are_syntax_errors(text: str) -> None:
    assert codes(found(text)) == ["CFG-T01"]


def test_the_load_time_is_the_creation_time_unless_the_file_says_so() -> None:
    assert agent(AGENT + "created_at = 1767225600000\n" + LLM).agent.created_at == 1767225600000
    created = agent(MINIMAL).agent.created_at
    assert created is not None
    assert created > 1767225600000


def test_a_thousand_files_share_nothing_but_their_order() -> None:
    for number in range(1000):
        write(named(f"agent {number}"), Path(f"agents/{number:04}.toml"))
    assert loaded_names(Path("agents")) == [f"agent {number}" for number in range(1000)]


def test_a_link_that_leads_to_itself_is_an_error_beside_the_others(tmp_path: Path) -> None:
    write("nonsense", Path("agents/a.toml"))
    (tmp_path / "agents" / "b.toml").symlink_to("b.toml")
    assert codes(found_at(Path("agents"))) == ["CFG-T01", "CFG-F03"]
    assert codes(found_at(Path("agents/b.toml"))) == ["CFG-F03"]


def test_a_script_with_an_impossible_name_is_an_error() -> None:
    scripted = f'[agent.llm]\nprovider = "scripted"\nmodel = "m"\nscript = "{"x" * 300}"\n'
    assert codes(found(AGENT + scripted)) == ["CFG-F03"]
