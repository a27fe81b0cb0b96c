"""Writing outputs to disk, and knowing what was written."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
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
    """One stored file. ``path`` is a companion's address in the output that it was taken from."""

    file: str
    format: str
    lines: int
    bytes: int
    tokens: int
    tool: str = ""
    arguments: str = ""
    path: str = ""
    companions: tuple[Record, ...] = ()


class Store:
    """The write directory and the read root of one agent. Methods block: call them in a thread."""

    def __init__(self, directory: Path, read_root: Path) -> None:
        self.directory = directory
        self.read_root = read_root
        self.files: dict[str, int] = {}
        """What this agent has stored, with the bytes of each."""

    def save(
        self,
        text: str,
        *,
        tool: str,
        arguments: str,
        tokens: Callable[[str], int],
        initiator: str = "",
        task: int = 0,
        attempt: int = 0,
    ) -> tuple[Record, Document]:
        """Stores a tool's output with its companions. The same text from the same place is the same file.

        Raises:
            OSError: It could not be written; nothing of it is left.
        """
        text = formats.unwrapped(text)
        raw = text.encode("utf-8", "replace")
        layout = laid_out(raw)
        kind: formats.Format = "json" if layout is not None else "markdown" if formats.is_markdown(text) else "text"
        document = Document(raw if layout is None else layout, in_layout=layout is not None)
        stem = _stem(f"task_{task}-{initiator}-{tool}-{attempt}-{hashlib.sha256(raw).hexdigest()[:16]}")
        contents: dict[str, bytes] = {}
        parts: list[Record] = []
        for part in companions.extracts(document.json) if layout is not None and document.json is not None else ():
            name = f"{stem}.{part.slug}.{part.extension}"
            contents[name] = part.text.encode("utf-8", "replace")
            size = len(contents[name])
            parts.append(Record(name, part.format, part.lines, size, tokens(part.text), tool, path=part.path))
        name = f"{stem}.{formats.EXTENSIONS[kind]}"
        contents[name] = document.data
        size = len(document.data)
        record = Record(name, kind, document.lines.total, size, tokens(text), tool, arguments, companions=tuple(parts))
        self._write(contents, record)
        self.files |= {name: len(data) for name, data in contents.items()}
        return record, document

    def open(self, name: str) -> Document:
        """The text of a file under the read root. Raises ``OutsideError`` or ``OSError``."""
        path = confined(name, base=self.directory, root=self.read_root)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        if not path.is_file():
            raise OSError(errno.EINVAL, "it is no regular file", name)
        # What stands here, nobody but a store has written.
        own = path.parent == Path(os.path.realpath(self.directory))
        return DOCUMENTS.open(path, in_layout=own and path.suffix == ".json")

    def companions(self, name: str) -> tuple[Record, ...]:
        """What was taken out of a file, in order."""
        record = _read_record(self.directory / _INDEX / f"{Path(name).name}.json")
        return () if record is None else record.companions

    def records(self) -> list[Record]:
        """Every output in the write directory, oldest first."""
        index = self.directory / _INDEX
        entries = [*index.glob("*.json")] if index.is_dir() else []
        entries.sort(key=lambda entry: (entry.stat().st_mtime_ns, entry.name))
        return [record for entry in entries if (record := _read_record(entry)) is not None]

    def _write(self, contents: Mapping[str, bytes], record: Record) -> None:
        entry = self.directory / _INDEX / f"{record.file}.json"
        try:
            for name, data in contents.items():
                _write_whole(self.directory / name, data)
            entry.parent.mkdir(mode=0o700, exist_ok=True)
            if not entry.exists():
                _write_whole(entry, orjson.dumps(asdict(record)))
        except OSError:
            # What no listing names, or names only in part, would fill the disk further.
            for path in (entry, *(self.directory / name for name in contents)):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    _log.warning("`%s` could not be removed again: %s", path, error.strerror)
            raise


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
    digest = hashlib.sha256(safe.encode()).hexdigest()[:16]
    return f"{safe.encode()[:100].decode('utf-8', 'ignore')}-{digest}-{safe[-18:]}"


def summary(arguments: Mapping[str, object]) -> str:
    """A call's arguments in at most 120 characters."""
    try:
        text = orjson.dumps(arguments, default=str).decode()
    except (TypeError, orjson.JSONEncodeError, UnicodeError):
        text = str(dict(arguments))
    return text if len(text) <= 120 else text[:119] + "…"
