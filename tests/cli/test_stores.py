"""`aura index` and `aura search`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aura_py.cli import main

STORE = "[[vector_stores]]\nname = '{}'\ntype = 'qdrant'\npath = 'index-{}'\nsources = ['docs']\n"
AGENT = (
    "[agent]\nname = '{}'\nsystem_prompt = 's'\n"
    "[agent.llm]\nprovider = 'scripted'\nmodel = 'm'\nrules = [{{ say = 'x' }}]\n"
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "zebra.md").write_text("---\nteam: zoo\n---\n# Zebras\nA zebra has stripes.\n")
    (tmp_path / "docs" / "bad.json").write_text("{")
    (tmp_path / "config.toml").write_text(AGENT.format("a") + STORE.format("notes", "notes"))
    return tmp_path


def test_a_store_is_filled_and_searched_as_an_agent_would(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "notes"]) == 0
    out, err = capsys.readouterr()
    assert out == "indexed 1 documents (1 chunks), 0 unchanged, 0 deleted\n"
    assert err == "warning: `docs/bad.json` is left out: it is not JSON (line 1, column 2)\n"
    assert main(["search", "a/notes", "stripes"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Result 1 · docs/zebra.md · Zebras · line 5 · team: zoo · BM25 ")
    assert out.endswith("\nA zebra has stripes.\n")
    assert main(["search", "notes", "stripes", "--json", "--filter", "team=zoo", "--limit", "3"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert (result["source"], result["line"], result["metadata"]) == ("docs/zebra.md", 5, {"team": "zoo"})
    assert main(["search", "notes", "stripes", "--filter", "team=none"]) == 0
    assert capsys.readouterr().out == "No results found for query: 'stripes'\n"


def test_a_dry_run_and_other_paths(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "notes", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("would index 1 documents (1 chunks)")
    (place / "lion.txt").write_text("A lion has a mane.")
    assert main(["index", "notes", "lion.txt", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["store"], told["written"], told["documents"], told["problems"]) == ("notes", 1, 1, [])
    assert main(["search", "notes", "mane"]) == 0
    assert "lion.txt" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["search", "nope", "x"], 2, "There is no vector store `nope`; there are: `a/notes`, `b/notes`."),
        (["index", "notes"], 2, "`notes` names several vector stores; choose one of `a/notes`, `b/notes`."),
        (["search", "a/notes", "x", "--filter", "team"], 2, "A --filter is written KEY=VALUE."),
        (["search", "a/notes", " "], 1, "error: `query` must be a text to look for."),
        (["index", "b/notes"], 1, "error: "),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    agents = place / "agents"
    agents.mkdir()
    (agents / "a.toml").write_text(AGENT.format("a") + STORE.format("notes", "a"))
    (agents / "b.toml").write_text(AGENT.format("b") + STORE.format("notes", "b"))
    (agents / "index-b").write_text("in the way")
    assert main([*arguments, "--config", "agents"]) == status
    assert words in capsys.readouterr().err
