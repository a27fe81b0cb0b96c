"""Filling a store from files: what is written, what is left out and why, and what a second run costs."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aura_py.errors import ProviderOverloaded
from aura_py.knowledge.contract import KnowledgeError, Search, Store
from aura_py.knowledge.documents import FileToRead, read_files
from aura_py.knowledge.embedder import Embedder
from aura_py.knowledge.ingest import Progress, index
from aura_py.llm.embeddings import Purpose, Vector
from tests.knowledge.conftest import embedded
from tests.knowledge.documents import DIMENSIONS, WordVectors


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text(
        "---\nteam: db\ndraft: true\n---\n# Failover\n\nPromote the replica.\n\n## After\n\nTell everyone.\n"
    )
    (folder / "b.txt").write_text("Plain words about yeast.")
    return folder


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = embedded(tmp_path / "store")
    await store.open(DIMENSIONS)
    yield store
    await store.close()


async def fill(store: Store, *sources: Path, **options: Any) -> Progress:
    options.setdefault("owner", "tests")
    return await index(store, Embedder(WordVectors()), [str(source) for source in sources], **options)


async def sources_of(store: Store, text: str) -> list[str]:
    return [match.source for match in await store.search(Search(text))]


def read(path: Path) -> Any:
    (found,) = read_files([FileToRead(str(path), path.name)])
    return found


async def test_documents_are_found_with_heading_line_and_labels(docs: Path, store: Store) -> None:
    progress = await fill(store, docs)
    assert (progress.documents, progress.written, progress.chunks, progress.problems) == (2, 2, 3, [])
    (found,) = await store.search(Search("everyone"))
    assert (found.source, found.heading, found.line) == ("docs/a.md", "Failover > After", 11)
    assert dict(found.metadata) == {"team": "db", "draft": "true"}
    assert await store.search(Search("everyone", filters=[("draft", "true")])) == [found]


async def test_a_second_run_writes_nothing_and_embeds_nothing(docs: Path, store: Store) -> None:
    await fill(store, docs)
    model = WordVectors()
    progress = await index(store, Embedder(model), [str(docs)], owner="tests")
    assert (progress.unchanged, progress.written, model.asked) == (2, 0, [])


async def test_changes_are_written_and_what_vanished_is_deleted(docs: Path, store: Store) -> None:
    (docs / "c.md").write_text("# One\nfirst walrus\n# Two\nsecond walrus\n# Three\nthird walrus\n")
    await fill(store, docs)
    (docs / "c.md").write_text("# One\nonly badger\n")
    (docs / "b.txt").unlink()
    progress = await fill(store, docs)
    assert (progress.written, progress.unchanged, progress.deleted) == (1, 1, 1)
    assert await sources_of(store, "walrus") == []
    assert await sources_of(store, "badger") == ["docs/c.md"]
    assert await sources_of(store, "yeast") == []


async def test_only_its_own_documents_vanish(docs: Path, tmp_path: Path, store: Store) -> None:
    other = tmp_path / "other.md"
    other.write_text("A lone narwhal.")
    await fill(store, other, owner="command line")
    await fill(store, docs)
    assert await sources_of(store, "narwhal") == ["other.md"]


async def test_a_dry_run_writes_nothing(docs: Path, store: Store) -> None:
    progress = await fill(store, docs, dry_run=True)
    assert (progress.written, progress.chunks) == (2, 3)
    assert await store.documents() == {}


async def test_an_interrupted_run_goes_on_where_it_stopped(docs: Path, store: Store) -> None:
    for number in range(30):
        (docs / f"long-{number:02}.md").write_text(f"# Chapter {number}\n" + f"elephant {number} walks home. " * 1_200)

    class Failing(WordVectors):
        async def embed(self, texts: Any, *, purpose: Purpose) -> list[Vector]:
            if len(self.asked) == 1:
                raise ProviderOverloaded("Too many requests.")
            return await super().embed(texts, purpose=purpose)

    with pytest.raises(KnowledgeError, match="embedding model `test/words` failed: Too many requests"):
        await index(store, Embedder(Failing()), [str(docs)], owner="tests")
    kept = len([each for each in (await store.documents()).values() if each.digest])
    assert 0 < kept < 32
    progress = await fill(store, docs)
    assert (progress.unchanged, progress.written) == (kept, 32 - kept)


async def test_a_document_larger_than_a_batch_is_finished_or_unfinished_never_half(docs: Path, store: Store) -> None:
    (docs / "book.txt").write_text("\n\n".join(f"Paragraph {number} about whales. " * 40 for number in range(900)))

    class Failing(WordVectors):
        async def embed(self, texts: Any, *, purpose: Purpose) -> list[Vector]:
            if self.asked:
                raise ProviderOverloaded("Too many requests.")
            return await super().embed(texts, purpose=purpose)

    book = str(docs / "book.txt")
    with pytest.raises(KnowledgeError):
        await index(store, Embedder(Failing()), [book], owner="tests")
    assert (await store.documents())[book].digest == ""
    progress = await fill(store, Path(book))
    assert progress.written == 1
    assert (await store.info()).chunks == progress.chunks > 512


async def test_a_zero_vector_is_never_stored(docs: Path, store: Store) -> None:
    class Zero(WordVectors):
        def vector(self, text: str) -> Vector:
            return [0.0] * self.dimensions

    with pytest.raises(KnowledgeError, match="no direction"):
        await index(store, Embedder(Zero()), [str(docs)], owner="tests")
    assert await store.documents() == {}


async def test_what_cannot_be_read_is_named_and_the_rest_is_indexed(docs: Path, tmp_path: Path, store: Store) -> None:
    (docs / "binary.md").write_bytes(b"\x7fELF\x00\x01\xff\xfe")
    (docs / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (docs / "front.md").write_text("---\nteam: [\n---\ntext")
    (docs / "empty.md").write_text("\n \n")
    (docs / "bad.json").write_text('{"a": ')
    (docs / "no.pdf").write_bytes(b"%PDF-1.7 nothing")
    (docs / "no.docx").write_bytes(b"PK nothing")
    (docs / "picture.png").write_bytes(b"\x89PNG")
    (docs / ".hidden.md").write_text("hidden")
    (tmp_path / "secret.md").write_text("secret walrus")
    (docs / "link.md").symlink_to(tmp_path / "secret.md")
    (docs / "huge.pdf").touch()
    os.truncate(docs / "huge.pdf", 200_000_000)
    progress = await fill(store, docs, tmp_path / "nowhere")
    assert sorted(progress.problems) == sorted(
        [
            f"the source `{tmp_path / 'nowhere'}` does not exist",
            "`docs/bad.json` is left out: it is not JSON (line 1, column 7)",
            "`docs/binary.md` is left out: it is no text in UTF-8",
            "`docs/front.md` is left out: its front matter is not YAML (line 2)",
            "`docs/huge.pdf` is left out: it has 200 MB, more than the 50 MB of one file",
            "`docs/latin.txt` is left out: it is no text in UTF-8",
            "`docs/link.md` is left out: it is a link that leads out of its source",
            "`docs/no.docx` is left out: it is no DOCX, or damaged",
            "`docs/no.pdf` is left out: it is no PDF, or damaged",
            "`empty.md` holds no text",
        ]
    )
    assert (progress.written, progress.passed_over) == (2, 1)
    assert await sources_of(store, "replica") == ["docs/a.md"]
    assert await sources_of(store, "walrus") == []


def pdf(text: str, encrypted: bool = False) -> bytes:
    """A PDF of two pages, written by hand."""
    body = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET"
    page = (
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents {} 0 R"
        " /Resources << /Font << /F1 5 0 R >> >> >>"
    )
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R 6 0 R] /Count 2 >>",
        page.format(7),
        f"<< /Length {len(body)} >>\nstream\n{body}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        page.format(4),
        "<< /Length 0 >>\nstream\n\nendstream",
    ]
    if encrypted:
        key = "00" * 32
        objects.append(f"<< /Filter /Standard /V 1 /R 2 /O <{key}> /U <{key}> /P -4 >>")
    out, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{each}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    trailer = f"/Size {len(objects) + 1} /Root 1 0 R" + (" /Encrypt 8 0 R /ID [<00> <00>]" if encrypted else "")
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n<< {trailer} >>\n".encode()
    return out + f"startxref\n{out.rindex(b'xref')}\n%%EOF".encode()


def docx() -> bytes:
    import docx as library

    document = library.Document()
    document.add_heading("Handbook", 0)
    document.add_heading("Leave", 1)
    document.add_paragraph("Thirty days a year.")
    table = document.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Sick", "Call in"
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"\0" * 201_000_000)
    return out.getvalue()


HTML = (
    b"<html><head><title>t</title></head><body><nav>menu</nav><h1>Guide</h1><p>Hello</p>"
    b"<h2>Setup</h2><p>Run <b>it</b></p></body>"
)
KINDS: dict[str, tuple[bytes, list[tuple[str, str, int | None, int | None]]]] = {
    "a.md": (
        b"# A\n```\n# no heading\n```\n## B\ntext",
        [("```\n# no heading\n```", "A", 2, None), ("text", "A > B", 6, None)],
    ),
    "a.txt": (b"\xef\xbb\xbfone\r\n\r\ntwo", [("one\n\ntwo", "", 1, None)]),
    "a.rst": (
        b"Title\n=====\n\nIntro.\n\nPart\n----\n\nBody.\n",
        [("Intro.", "Title", 4, None), ("Body.", "Title > Part", 9, None)],
    ),
    "a.csv": (b"name;price\nbolt;3\nnut;2\n", [("name: bolt; price: 3\nname: nut; price: 2", "", 2, None)]),
    "a.json": (
        b'[{"content": "hello", "k": 1.0}, {"x": 2}]',
        [("hello", "", None, None), ('{\n  "x": 2\n}', "", None, None)],
    ),
    "a.jsonl": (b'{"text": "one"}\n\n{"text": "two"}\n', [("one", "", None, None), ("two", "", None, None)]),
    "a.html": (HTML, [("Hello", "Guide", None, None), ("Run\nit", "Guide > Setup", None, None)]),
    "a.pdf": (pdf("Page words"), [("Page words", "", None, 2)]),
    "a.docx": (
        docx(),
        [("Thirty days a year.\n\nSick\tCall in", "Handbook > Leave", None, None)],
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_is_read_with_its_places(tmp_path: Path, name: str) -> None:
    data, expected = KINDS[name]
    (tmp_path / name).write_bytes(data)
    found = read(tmp_path / name)
    assert found.problem == ""
    assert [(each.text, each.heading, each.line, each.page) for each in found.chunks] == expected


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("locked.pdf", pdf("secret", encrypted=True), "encrypted"),
        ("bomb.docx", bomb(), "unpacks to 201 MB"),
    ],
)
def test_locked_and_swollen_files_are_left_out(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert words in read(tmp_path / name).problem


def test_long_texts_are_cut_into_chunks_that_keep_their_lines(tmp_path: Path) -> None:
    lines = [f"Line number {number} of the text." for number in range(1, 501)]
    (tmp_path / "long.txt").write_text("\n".join(lines))
    found = read(tmp_path / "long.txt").chunks
    assert len(found) > 5
    assert all(len(each.text) <= 1_600 for each in found)
    assert all(each.text.splitlines()[0] == lines[each.line - 1] for each in found)
    (tmp_path / "ja.txt").write_text("東京タワーは高いです。" * 300)
    assert all(len(each.text.encode()) <= 1_700 for each in read(tmp_path / "ja.txt").chunks)


@pytest.mark.parametrize("program", ["/bin/true", "/nowhere/python"])
async def test_a_reader_that_does_not_start_leaves_files_out_and_breaks_nothing(
    docs: Path, store: Store, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr("sys.executable", program)
    progress = await fill(store, docs)
    assert progress.written == 0
    assert [problem.partition(" is left out: ")[2] for problem in progress.problems] == ["its reader broke down"] * 2
