"""An MCP server over stdio that looks at the files below one folder and never outside it.

Usage: python files_server.py FOLDER
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel

LOOK_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "build", "dist"})
LARGEST_SEARCHED_FILE = 1_000_000
LONGEST_LINE_SHOWN = 200


class Entry(BaseModel):
    path: str
    kind: str
    size: int


class Listing(BaseModel):
    folder: str
    entries: list[Entry]


class SizedFile(BaseModel):
    path: str
    size: int


class Statistics(BaseModel):
    pattern: str
    folder: str
    count: int
    total_size: int
    largest: list[SizedFile]


class Match(BaseModel):
    path: str
    line: int
    text: str


class Matches(BaseModel):
    text: str
    count: int
    files: int
    matches: list[Match]


class Excerpt(BaseModel):
    path: str
    first_line: int
    last_line: int
    total_lines: int
    text: str


class Folder:
    """The files below ``root``. Hidden names (``.git``, ``.env``) and generated folders do not exist here."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve(strict=True)
        if not self.root.is_dir():
            raise NotADirectoryError(f"`{root}` is not a folder")

    def locate(self, path: str) -> Path:
        """The real path of ``path``; refuses everything that is, or leads, outside the root."""
        try:
            target = (self.root / path).resolve()
            exists = target.exists()
        except (OSError, ValueError) as error:
            raise ToolError(f"`{path}` cannot be the name of a file.") from error
        if not target.is_relative_to(self.root):
            raise ToolError(f"`{path}` is outside the folder this server may look at.")
        if any(not _visible(part) for part in target.relative_to(self.root).parts):
            raise ToolError(f"`{path}` is hidden and stays hidden.")
        if not exists:
            raise ToolError(f"`{path}` does not exist below the folder; `list_files` shows what there is.")
        return target

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() or "."

    def files(self, folder: str, pattern: str) -> Iterator[Path]:
        """Files below ``folder`` whose name, or path if the pattern has a ``/``, matches; links are not followed."""
        top = self.locate(folder)
        for current, folders, names in os.walk(top):
            folders[:] = sorted(name for name in folders if _visible(name))
            for name in sorted(names):
                path = Path(current, name)
                if _visible(name) and path.is_file() and not path.is_symlink() and self._matches(path, pattern):
                    yield path

    def _matches(self, path: Path, pattern: str) -> bool:
        return fnmatchcase(self.name(path) if "/" in pattern else path.name, pattern)


def _visible(name: str) -> bool:
    return not name.startswith(".") and name not in SKIPPED_FOLDERS and not name.endswith(".egg-info")


def _lines(path: Path, shown_as: str) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ToolError(f"`{shown_as}` is not a text file.") from error
    except OSError as error:
        raise ToolError(f"`{shown_as}` cannot be read: {error.strerror}.") from error


def build_server(root: Path) -> MCPServer:
    """A server whose tools see what is below ``root``."""
    folder = Folder(root)
    server = MCPServer("files", instructions="Looks at the files below one folder.", log_level="WARNING")

    @server.tool(annotations=LOOK_ONLY)
    def list_files(path: str = ".") -> Listing:
        """List the files and folders directly inside a folder."""
        target = folder.locate(path)
        if not target.is_dir():
            raise ToolError(f"`{path}` is a file; `show_file` shows it.")
        entries = [
            Entry(
                path=folder.name(child),
                kind="folder" if child.is_dir() else "file",
                size=0 if child.is_dir() else child.stat().st_size,
            )
            for child in sorted(target.iterdir())
            if _visible(child.name) and not child.is_symlink()
        ]
        return Listing(folder=folder.name(target), entries=entries)

    @server.tool(annotations=LOOK_ONLY)
    def count_files(pattern: str = "*", path: str = ".", largest: int = 3) -> Statistics:
        """Count the files below a folder whose name matches a pattern such as `*.py`, and name the largest."""
        sized = [(file.stat().st_size, folder.name(file)) for file in folder.files(path, pattern)]
        top = sorted(sized, key=lambda item: (-item[0], item[1]))[: max(0, largest)]
        return Statistics(
            pattern=pattern,
            folder=path,
            count=len(sized),
            total_size=sum(size for size, _ in sized),
            largest=[SizedFile(path=name, size=size) for size, name in top],
        )

    @server.tool(annotations=LOOK_ONLY)
    def search_files(text: str, pattern: str = "*", path: str = ".", limit: int = 20) -> Matches:
        """Find lines that contain a text, ignoring case; `count` and `files` cover all matches, `matches` the first."""
        if not text.strip():
            raise ToolError("`text` is empty; give the words to look for.")
        wanted, count, seen, matches = text.casefold(), 0, set[Path](), list[Match]()
        for file in folder.files(path, pattern):
            if file.stat().st_size > LARGEST_SEARCHED_FILE:
                continue
            try:
                lines = _lines(file, folder.name(file))
            except ToolError:
                continue  # a binary or unreadable file holds no lines to find
            for number, line in enumerate(lines, start=1):
                if wanted in line.casefold():
                    count += 1
                    seen.add(file)
                    if len(matches) < limit:
                        shown = line.strip()[:LONGEST_LINE_SHOWN]
                        matches.append(Match(path=folder.name(file), line=number, text=shown))
        return Matches(text=text, count=count, files=len(seen), matches=matches)

    @server.tool(annotations=LOOK_ONLY)
    def show_file(path: str, around: str = "", first_line: int = 1, lines: int = 40) -> Excerpt:
        """Show lines of a text file: from `first_line`, or two lines before the first that contains `around`."""
        target = folder.locate(path)
        if target.is_dir():
            raise ToolError(f"`{path}` is a folder; `list_files` shows what is inside.")
        every = _lines(target, PurePosixPath(path).as_posix())
        start = max(1, first_line)
        if around:
            wanted = around.casefold()
            hits = (number for number, line in enumerate(every, start=1) if wanted in line.casefold())
            if (hit := next(hits, None)) is None:
                raise ToolError(f"No line of `{path}` contains `{around}`.")
            start = max(1, hit - 2)
        chosen = every[start - 1 : start - 1 + max(1, lines)]
        return Excerpt(
            path=folder.name(target),
            first_line=start,
            last_line=start + len(chosen) - 1,
            total_lines=len(every),
            text="\n".join(chosen),
        )

    return server


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: files_server.py FOLDER")
    build_server(Path(sys.argv[1])).run("stdio")
