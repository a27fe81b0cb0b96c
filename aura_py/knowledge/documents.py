"""Files to chunks: one reader for each kind of file. Runs in a process of its own."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import orjson

from aura_py.knowledge.contract import Chunk, KnowledgeError
from aura_py.knowledge.sections import Section, markdown_sections, pieces, rst_sections

MAX_BYTES: Final = 50_000_000
_MAX_UNPACKED: Final = 200_000_000
_VERSION: Final = b"1"
"""Part of every digest: a change of readers or splitting indexes all documents again."""
_SHOWN_LABELS: Final = 30
_ROWS: Final = 20


@dataclass(slots=True, frozen=True)
class FileToRead:
    path: str
    source: str
    known_digest: str = ""


@dataclass(slots=True, frozen=True)
class ReadFile:
    """What became of a file: ``chunks``, ``None`` if it is as it was; or the ``problem`` with it."""

    path: str
    digest: str = ""
    chunks: tuple[Chunk, ...] | None = None
    problem: str = ""


def read_files(files: Sequence[FileToRead]) -> list[ReadFile]:
    """Read files into chunks; a file that cannot be read is an entry with a problem."""
    return [_read(each) for each in files]


def _read(file: FileToRead) -> ReadFile:
    try:
        size = os.path.getsize(file.path)
        if size > MAX_BYTES:
            raise KnowledgeError(f"it has {size / 1e6:.0f} MB, more than the {MAX_BYTES / 1e6:.0f} MB of one file")
        with open(file.path, "rb") as stream:
            data = stream.read()
        digest = hashlib.sha256(_VERSION + data).hexdigest()[:32]
        if digest == file.known_digest:
            return ReadFile(file.path, digest)
        reader = READERS[os.path.splitext(file.path)[1].lower()]
        return ReadFile(file.path, digest, tuple(_chunks(file, digest, reader(data))))
    except KnowledgeError as error:
        return ReadFile(file.path, problem=f"`{file.source}` is left out: {error}")
    except OSError as error:
        return ReadFile(file.path, problem=f"`{file.source}` cannot be read: {error.strerror or type(error).__name__}")
    except Exception as error:
        # A parser's own exceptions are many and tell authors nothing; the file is theirs to mend or remove.
        return ReadFile(file.path, problem=f"`{file.source}` is left out: it is damaged ({type(error).__name__})")


def _chunks(file: FileToRead, digest: str, sections: Iterator[Section]) -> Iterator[Chunk]:
    number = 0
    for section in sections:
        for text, line in pieces(section):
            yield Chunk(
                document=file.path,
                part=number,
                source=file.source,
                text=text,
                digest=digest,
                heading=section.heading,
                line=line,
                page=section.page,
                labels=section.labels,
            )
            number += 1


# --- texts ---------------------------------------------------------------------------------------------------------


def _text(data: bytes) -> str:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise KnowledgeError("it is no text in UTF-8") from None
    if "\0" in text:
        raise KnowledgeError("it is binary, not text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _plain(data: bytes) -> Iterator[Section]:
    yield Section(_text(data), line=1)


def _markdown(data: bytes) -> Iterator[Section]:
    text, first_line, labels = _text(data), 1, dict[str, str]()
    if text.startswith("---\n"):
        front, closing, rest = text[4:].partition("\n---\n")
        if closing:
            labels, text, first_line = _front_matter(front), rest, 3 + front.count("\n") + 1
    return (_labelled(section, labels) for section in markdown_sections(text, first_line))


def _front_matter(text: str) -> dict[str, str]:
    import yaml

    try:
        fields = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 2})" if mark is not None else ""
        raise KnowledgeError(f"its front matter is not YAML{where}") from None
    return _scalars(fields) if isinstance(fields, dict) else {}


def _labelled(section: Section, labels: Mapping[str, str]) -> Section:
    return Section(section.text, section.heading, section.line, section.page, labels, section.markdown)


def _scalars(fields: Mapping[Any, Any], prefix: str = "") -> dict[str, str]:
    """Labels of scalar fields, nested ones by dotted name."""
    found: dict[str, str] = {}
    for key, value in fields.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found |= _scalars(value, f"{name}.")
        elif isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif value is not None and not isinstance(value, list) and len(str(value)) <= 200:
            found[name] = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    return dict(list(found.items())[:_SHOWN_LABELS])


def _rst(data: bytes) -> Iterator[Section]:
    return rst_sections(_text(data))


# --- data ----------------------------------------------------------------------------------------------------------


def _csv(data: bytes) -> Iterator[Section]:
    text = _text(data)
    try:
        dialect: Any = csv.Sniffer().sniff(text[:8_192], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = csv.reader(io.StringIO(text), dialect)
    header = next(rows, [])
    some: list[str] = []
    line = 2
    for row in chain(rows, [None]):
        if row is not None and any(row):
            cells = (f"{name}: {cell}" for name, cell in zip(header, row, strict=False) if cell.strip())
            some.append("; ".join(cells))
        if some and (row is None or len(some) == _ROWS):
            yield Section("\n".join(some), line=line)
            some, line = [], rows.line_num + 1


def _json(data: bytes) -> Iterator[Section]:
    text = _text(data)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise KnowledgeError(f"it is not JSON (line {error.lineno}, column {error.colno})") from None
    return _records(value if isinstance(value, list) else [value])


def _json_lines(data: bytes) -> Iterator[Section]:
    values = []
    for number, line in enumerate(_text(data).split("\n"), 1):
        if line.strip():
            try:
                values.append(orjson.loads(line))
            except orjson.JSONDecodeError:
                raise KnowledgeError(f"its line {number} is not JSON") from None
    return _records(values)


def _records(values: Sequence[Any]) -> Iterator[Section]:
    """Objects with ``content`` (or ``text``) are texts with labels; anything else is shown as JSON."""
    for value in values:
        content = (
            next((value[key] for key in ("content", "text") if key in value), None) if isinstance(value, dict) else None
        )
        if isinstance(content, str):
            others = {key: each for key, each in value.items() if each is not content}
            yield Section(content, labels=_scalars(others), markdown=True)
        else:
            yield Section(value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


# --- formats of the extra ------------------------------------------------------------------------------------------


def _html(data: bytes) -> Iterator[Section]:
    parser = _extra("selectolax.lexbor", "HTML")
    tree = parser.LexborHTMLParser(data)
    tree.strip_tags(["script", "style", "noscript", "template", "nav", "svg", "head"])
    for level in range(1, 7):
        for node in tree.css(f"h{level}"):
            node.replace_with(f"\n{'#' * level} {' '.join(node.text().split())}\n")
    body = tree.body
    text = body.text(separator="\n", strip=True) if body is not None else ""
    return markdown_sections(text, None)


def _pdf(data: bytes) -> Iterator[Section]:
    pdfium = _extra("pypdfium2", "PDF")
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise KnowledgeError("it is encrypted; save a copy without a password") from None
        raise KnowledgeError("it is no PDF, or damaged") from None
    try:
        for number in range(len(document)):
            page = document[number]
            yield Section(page.get_textpage().get_text_range().replace("\r\n", "\n").replace("\0", ""), page=number + 1)
            page.close()
    finally:
        document.close()


def _docx(data: bytes) -> Iterator[Section]:
    docx = _extra("docx", "DOCX")
    try:
        unpacked = sum(entry.file_size for entry in zipfile.ZipFile(io.BytesIO(data)).infolist())
    except zipfile.BadZipFile:
        raise KnowledgeError("it is no DOCX, or damaged") from None
    if unpacked > _MAX_UNPACKED:
        raise KnowledgeError(f"it unpacks to {unpacked / 1e6:.0f} MB, more than {_MAX_UNPACKED / 1e6:.0f} MB")
    lines: list[str] = []
    for block in docx.Document(io.BytesIO(data)).iter_inner_content():
        if hasattr(block, "rows"):
            lines += ["\t".join(cell.text.strip() for cell in row.cells) for row in block.rows]
            continue
        style = block.style.name if block.style is not None else ""
        level = 1 if style == "Title" else 1 + int(style[-1]) if style[:-1] == "Heading " and style[-1].isdigit() else 0
        lines.append(f"{'#' * min(level, 6)} {block.text}" if level and block.text.strip() else block.text)
    return markdown_sections("\n\n".join(lines), None)


def _extra(module: str, kind: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise KnowledgeError(
            f"reading {kind} needs the extra `documents`, which is not installed: `pip install 'aura_py[documents]'`"
        ) from None


READERS: Mapping[str, Callable[[bytes], Iterator[Section]]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".txt": _plain,
    ".text": _plain,
    ".rst": _rst,
    ".csv": _csv,
    ".tsv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
}
