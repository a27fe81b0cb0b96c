"""The embedded engine's folder: what survives, what is refused, and how its indexes are built beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from aura_py.knowledge import embedded as module
from aura_py.knowledge.contract import KnowledgeError, Search
from tests.knowledge.conftest import embedded
from tests.knowledge.documents import DIMENSIONS, TEXTS, WordVectors, chunks

WRITER = """
import anyio, os, signal, sys
from pathlib import Path
from tests.knowledge.conftest import embedded
from tests.knowledge.documents import chunks

async def main():
    store = embedded(Path(sys.argv[1]), None)
    await store.open(None)
    await store.upsert(chunks(), None, owner="tests")
    print("written", flush=True)
    sys.stdin.read()

anyio.run(main)
"""


def names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


async def fill(path: Path) -> None:
    store = embedded(path)
    await store.open(DIMENSIONS)
    model = WordVectors()
    await store.upsert(chunks(), [model.vector(each.searched_text) for each in chunks()], owner="tests")
    await store.close()


@pytest.mark.slow
async def test_everything_written_survives_kill_9_and_a_second_process_is_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "store"
    root = Path(__file__).parents[2]
    writer = subprocess.Popen(  # noqa: ASYNC220  # it is waited for by its first line
        [sys.executable, "-c", WRITER, str(path)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "written\n"
    store = embedded(path, None)
    with pytest.raises(KnowledgeError, match="`notes` is open in another process, perhaps a running server"):
        await store.open(None)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait(20)
    writer.communicate()
    assert (await store.open(None)).chunks == 7
    assert set(await store.documents()) == set(TEXTS)
    assert [match.source for match in await store.search(Search("yeast"))] == ["docs/kitchen.md"]
    await store.close()


async def test_one_shard_serves_every_store_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "store")
    first, second = embedded(tmp_path / "store"), embedded(tmp_path / "link")
    await first.open(DIMENSIONS)
    await second.open(DIMENSIONS)
    await first.upsert(chunks(), [[1.0] * DIMENSIONS] * 7, owner="tests")
    await first.close()
    assert len(await second.search(Search("yeast"))) == 1
    await second.close()


@pytest.mark.parametrize(
    ("model", "language", "dimensions", "words"),
    [
        (
            "test/words",
            "english",
            3,
            "vectors of 16 dimensions by `test/words` and is opened with vectors of 3",
        ),
        ("test/other", "english", 16, "is opened with vectors of 16 dimensions by `test/other`"),
        (None, "english", None, "is opened with no embedding model"),
        ("test/words", "german", 16, "another `language`"),
    ],
)
async def test_a_folder_belongs_to_one_model_and_language(
    tmp_path: Path, model: str | None, language: str, dimensions: int | None, words: str
) -> None:
    await fill(tmp_path / "store")
    store = embedded(tmp_path / "store", model, language)
    with pytest.raises(KnowledgeError) as raised:
        await store.open(dimensions)
    assert words in str(raised.value)
    assert "delete the folder" in str(raised.value)


def damage_segments(path: Path) -> None:
    for file in (path / "shard" / "segments").rglob("*"):
        if file.is_file():
            file.write_bytes(b"garbage")


def damage_log(path: Path) -> None:
    for file in (path / "shard" / "wal").iterdir():
        file.write_bytes(b"garbage")


def damage_configuration(path: Path) -> None:
    (path / "shard" / "edge_config.json").write_text("{")


@pytest.mark.parametrize("damage", [damage_segments, damage_log, damage_configuration])
async def test_damaged_files_are_told_with_the_remedy(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "store"
    await fill(path)
    damage(path)
    store = embedded(path)
    with pytest.raises(KnowledgeError) as raised:
        await store.open(DIMENSIONS)
    assert f"the files of the vector store `notes` in `{path}` are damaged; delete the folder" in str(raised.value)


async def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("precious")
    with pytest.raises(KnowledgeError, match="holds other files"):
        await embedded(tmp_path).open(None)
    (tmp_path / "file").write_text("")
    with pytest.raises(KnowledgeError, match="cannot be used: "):
        await embedded(tmp_path / "file").open(None)
    assert names(tmp_path) == ["file", "thesis.doc"]


@pytest.mark.slow
async def test_indexes_are_built_on_a_copy_that_takes_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTLE_AFTER", 8)
    path = tmp_path / "store"
    await fill(path)
    store = embedded(path)
    await store.open(DIMENSIONS)
    before = os.stat(path / "shard").st_ino
    await store.settle(7)
    assert os.stat(path / "shard").st_ino == before
    await store.settle(7)
    assert os.stat(path / "shard").st_ino != before
    assert names(path) == ["aura.json", "shard"]
    assert [match.source for match in await store.search(Search("yeast"))] == ["docs/kitchen.md"]
    await store.upsert(chunks("d2"), [[1.0] * DIMENSIONS] * 7, owner="tests")
    assert {each.digest for each in (await store.documents()).values()} == {"d2"}
    await store.close()


@pytest.mark.parametrize("interrupted", ["while copying", "between the renames", "before cleaning up"])
async def test_a_process_that_ended_while_indexes_were_built_loses_nothing(tmp_path: Path, interrupted: str) -> None:
    path = tmp_path / "store"
    await fill(path)
    if interrupted == "while copying":
        (path / "shard.new").mkdir()
        (path / "shard.new" / "half").write_text("")
    elif interrupted == "between the renames":
        (path / "shard").rename(path / "shard.old")
    else:
        (path / "shard.old").mkdir()
    store = embedded(path)
    assert (await store.open(DIMENSIONS)).chunks == 7
    assert names(path) == ["aura.json", "shard"]
    await store.close()


async def test_a_temporary_store_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = embedded(None)
    await store.open(None if store._model is None else DIMENSIONS)
    assert names(tmp_path)
    await store.close()
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("language", "query", "text", "found"),
    [
        ("german", "Häusern", "Das Haus steht am See.", True),
        ("none", "houses", "A house by the lake.", False),
        ("none", "the", "A house by the lake.", True),
    ],
)
async def test_the_language_decides_on_endings_and_stop_words(
    tmp_path: Path, language: str, query: str, text: str, found: bool
) -> None:
    store = embedded(tmp_path / "store", None, language)
    await store.open(None)
    await store.upsert(chunks("d", {"/a.md": [(text, {})]}), None, owner="tests")
    assert bool(await store.search(Search(query))) is found
    await store.close()
