"""Writing outputs to disk, and knowing what was written."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import orjson

from aura_py.scratchpad import companions, formats
from aura_py.scratchpad.confinement import confined
from aura_py.scratchpad.documents import DOCUMENTS, Document
from aura_py.scratchpad.json_layout import laid_out

_log = logging.getLogger(__name__)
_INDEX = ".index"
_UNSAFE = re.compile(r"[/\\: \x00-\x1f\x7f]")
_LONGEST_STEM = 180


@dataclass(slots=True, frozen=True)
class Record:
    """One stored file. ``path`` is a companion's address in its ``parent``; both are empty for an output itself."""

    file: str
    format: str
    lines: int
    bytes: int
    tokens: int
    tool: str = ""
    arguments: str = ""
    digest: str = ""
    parent: str = ""
    path: str = ""
    laid_out: bool = False
    mtime_ns: int = 0
    companions: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Saved:
    """A stored output, its text in memory, and its companions."""

    record: Record
    document: Document
    companions: tuple[Record, ...]


class Store:
    """The write directory and the read root of one agent. Methods block: call them in a thread."""

    def __init__(self, directory: Path, read_root: Path) -> None:
        self.directory = directory
        self.read_root = read_root
        self.files: dict[str, int] = {}
        """What this agent has stored, with the bytes of each."""
        self._records: dict[str, Record] = {}

    def save(
        self,
        text: str,
        *,
        tool: str,
        arguments: str,
        tokens: Callable[[str], int],
        describe: Callable[[Saved], str],
        initiator: str = "",
        task: int = 0,
        attempt: int = 0,
    ) -> tuple[str, str]:
        """Stores a tool's output with its companions. Gives the name of the file, and what ``describe`` says of it.

        The same text from the same place is the same file.

        Raises:
            OSError: Nothing usable was written.
        """
        text = formats.unwrapped(text)
        raw = text.encode("utf-8", "replace")
        digest = hashlib.sha256(raw).hexdigest()
        data = laid_out(raw)
        kind: formats.Format = "json" if data is not None else "markdown" if formats.is_markdown(text) else "text"
        content = raw if data is None else data
        stem = _stem(f"task_{task}-{initiator}-{tool}-{attempt}-{digest[:16]}")
        name = f"{stem}.{formats.EXTENSIONS[kind]}"
        document = Document(content, in_layout=kind == "json")
        found = companions.extracts(document.json) if kind == "json" and document.json is not None else []
        names = [f"{stem}.{extract.slug}.{extract.extension}" for extract in found]
        record = Record(
            name, kind, document.lines.total, len(content), tokens(text), tool, arguments, digest,
            laid_out=kind == "json", companions=tuple(names),
        )  # fmt: skip
        parts = tuple(
            Record(
                part, extract.format, extract.lines, len(extract.text.encode("utf-8", "replace")),
                tokens(extract.text), tool, digest=digest, parent=name, path=extract.path,
                laid_out=extract.format == "json",
            )
            for part, extract in zip(names, found, strict=True)
        )  # fmt: skip
        description = describe(Saved(record, document, parts))
        try:
            written = self._put(name, content, digest)
            for part, extract in zip(parts, found, strict=True):
                self._register(part, self._put(part.file, extract.text.encode("utf-8", "replace"), digest))
            self._register(record, written)
        except OSError:
            # What no listing names, or names only in part, would fill the disk further.
            self._discard((record, *parts))
            raise
        DOCUMENTS.keep(Path(os.path.realpath(self.directory)) / name, document)
        return name, description

    def open(self, name: str) -> Document:
        """The text of a file under the read root. Raises ``OutsideError`` or ``OSError``."""
        path = self.path(name)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        if not path.is_file():
            raise OSError(errno.EINVAL, "it is no regular file", name)
        return DOCUMENTS.open(path, in_layout=self._is_laid_out(path))

    def path(self, name: str) -> Path:
        return confined(name, base=self.directory, root=self.read_root)

    def companions(self, name: str) -> list[Record]:
        """What was taken out of a file, in order."""
        record = self.record(Path(name).name)
        if record is None:
            return []
        return [part for part in map(self.record, record.companions) if part is not None]

    def record(self, name: str) -> Record | None:
        known = self._records.get(name)
        if known is None:
            known = _read_record(self.directory / _INDEX / f"{name}.json")
            if known is not None:
                self._records[name] = known
        return known

    def records(self) -> list[Record]:
        """Everything in the write directory, oldest first."""
        index = self.directory / _INDEX
        if not index.is_dir():
            return []
        found = [record for entry in sorted(index.glob("*.json")) if (record := _read_record(entry)) is not None]
        return sorted(found, key=lambda record: (record.mtime_ns, record.file))

    def _is_laid_out(self, path: Path) -> bool:
        """Whether we wrote the file in our own layout and nobody has touched it since."""
        if path.parent != Path(os.path.realpath(self.directory)):
            return False
        record = self.record(path.name)
        return record is not None and record.laid_out and record.mtime_ns == path.stat().st_mtime_ns

    def _put(self, name: str, data: bytes, digest: str) -> int:
        """Writes a file, unless it is there already. Gives its time of modification."""
        path = self.directory / name
        known = self.record(name)
        if known is not None and known.digest == digest:
            try:
                facts = os.stat(path, follow_symlinks=False)
            except FileNotFoundError:
                facts = None
            if facts is not None and (facts.st_mtime_ns, facts.st_size) == (known.mtime_ns, len(data)):
                return known.mtime_ns
        _write_whole(path, data)
        return path.stat().st_mtime_ns

    def _register(self, record: Record, mtime_ns: int) -> None:
        self.files[record.file] = record.bytes
        known = self.record(record.file)
        if known is not None and known.mtime_ns == mtime_ns:
            return
        record = replace(record, mtime_ns=mtime_ns)
        index = self.directory / _INDEX
        index.mkdir(mode=0o700, exist_ok=True)
        _write_whole(index / f"{record.file}.json", orjson.dumps(asdict(record)))
        self._records[record.file] = record

    def _discard(self, records: Iterable[Record]) -> None:
        for record in records:
            self._records.pop(record.file, None)
            self.files.pop(record.file, None)
            for path in (self.directory / _INDEX / f"{record.file}.json", self.directory / record.file):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    _log.warning("`%s` could not be removed again: %s", path, error.strerror)


def _write_whole(path: Path, data: bytes) -> None:
    """All of it or nothing: a reader never sees half a file, and a full disk leaves no debris."""
    draft = path.with_name(f".draft-{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _read_record(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return None


def _stem(text: str) -> str:
    """Keeps the end, which holds the attempt and the digest, should a name be too long."""
    safe = _UNSAFE.sub("_", text)
    if len(safe.encode()) <= _LONGEST_STEM:
        return safe
    return (
        f"{safe.encode()[:100].decode('utf-8', 'ignore')}-{hashlib.sha256(safe.encode()).hexdigest()[:16]}-{safe[-18:]}"
    )


def summary(arguments: Mapping[str, object]) -> str:
    """A call's arguments in at most 120 characters."""
    try:
        text = orjson.dumps(arguments, default=str).decode()
    except (TypeError, orjson.JSONEncodeError, UnicodeError):
        text = str(dict(arguments))
    return text if len(text) <= 120 else text[:119] + "…"
