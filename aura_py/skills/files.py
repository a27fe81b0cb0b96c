"""Files of a skill: what there is, and reading them without leaving the skill's directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from aura_py.config.skills import FILE_NAME, SkillCard, split

MAX_FILES = 100
MAX_BYTES = 5_000_000


class SkillError(Exception):
    """What a model is told when a skill or one of its files cannot be read."""


def read_instructions(directory: Path) -> str:
    """``SKILL.md`` without its front matter."""
    text = _text(Path(os.path.realpath(directory / FILE_NAME)), FILE_NAME)
    parts = split(text)
    return (text if parts is None else parts[1]).strip("\n")


def listing(directory: Path) -> list[str]:
    """Relative paths with their sizes, sorted; nothing that :func:`read_file` would refuse, and no dot files."""
    root = os.path.realpath(directory)
    found: list[str] = []
    more = 0
    for path in sorted(_walk(root, root)):
        if len(found) == MAX_FILES:
            more += 1
        else:
            found.append(f"{os.path.relpath(path, root).replace(os.sep, '/')} ({_size(os.path.getsize(path))})")
    return [*found, f"and {more} more"] if more else found


def _walk(directory: str, root: str) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or (directory == root and entry.name == FILE_NAME):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, root)
        elif entry.is_file() and _inside(os.path.realpath(entry.path), root):
            yield entry.path


def read_file(skill: SkillCard, path: str) -> str:
    """The text of a file of ``skill``.

    Raises:
        SkillError: It lies outside, does not exist, or is no text.
    """
    root = os.path.realpath(skill.directory)
    escapes = SkillError(
        f"`{path[:200]}` lies outside of the skill `{skill.name}`; use a path that `load_skill` lists."
    )
    parts = path.replace("\\", "/").split("/")
    if "\0" in path or path.startswith(("/", "\\")) or PureWindowsPath(path).drive or ".." in parts:
        raise escapes
    real = os.path.realpath(os.path.join(root, path))
    if not _inside(real, root):
        # said alike whether or not it exists, so that nothing is learnt of what lies outside
        raise escapes
    if not os.path.lexists(real):
        raise SkillError(f"the skill `{skill.name}` has no file `{path[:200]}`; use a path that `load_skill` lists.")
    return _text(Path(real), path)


def _text(real: Path, shown: str) -> str:
    try:
        # without waiting for a writer, should it be a pipe, and without following what took the file's place meanwhile
        descriptor = os.open(real, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SkillError(f"`{shown}` is not a file; use a path that `load_skill` lists.")
            if status.st_size > MAX_BYTES:
                raise SkillError(f"`{shown}` is too large to read ({_size(status.st_size)}).")
            data = file.read(MAX_BYTES).removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise SkillError(f"`{shown}` cannot be read: {error.strerror or type(error).__name__}.") from error
    try:
        return data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise SkillError(f"`{shown}` is a binary file ({_size(len(data))}), not text.") from None


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _size(count: int) -> str:
    return f"{count} bytes" if count < 10_000 else f"{count / 1024:.0f} KiB"
