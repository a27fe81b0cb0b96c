"""``grep``: linear-time search, line by line, over one file or many (§6.5, S-16)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from aura_py.messages import Json
from aura_py.scratchpad import linear
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.lines import Lines
from aura_py.scratchpad.replies import Desk, HardError, Reply, SoftError, answer

_LONGEST_PATTERN = 1024
_MOST_MATCHES = 10_000
_MOST_TOKENS = 32_768
_SECONDS = 2.0
_WINDOW = 1 << 20
_OVERLAP = 1 << 13
_SHOWN = 400


@dataclass(slots=True)
class _Region:
    """Lines ``first`` to ``last`` around matches: line number to the offset of the match within the line."""

    first: int
    last: int
    matches: dict[int, int] = field(default_factory=dict)


class _OutOfTime(Exception):
    pass


def grep(desk: Desk, arguments: Arguments) -> str:
    name = arguments.text("file")
    pattern = arguments.text("pattern")
    context = arguments.count("context", 3)
    most = min(arguments.count("max_matches", _MOST_MATCHES, least=1), _MOST_MATCHES)
    start = arguments.count("start_line", 1, least=1)
    ignore_case = arguments.flag("ignore_case")
    size = len(pattern.encode("utf-8", "replace"))
    if size > _LONGEST_PATTERN:
        raise HardError(f"invalid argument: `pattern` has {size} bytes; at most {_LONGEST_PATTERN} are allowed")
    note = ""
    try:
        compiled = linear.lines(pattern, ignore_case=ignore_case)
    except linear.PatternError as error:
        compiled = linear.lines(pattern, ignore_case=ignore_case, literal=True)
        note = f", searched as plain text because it is no usable regular expression: {error}"
    files = _files(desk, name)
    deadline = time.monotonic() + _SECONDS
    units: list[str] = []
    raw: list[str] = []
    starts: list[int] = []
    matches = lines = 0
    capped = ""
    counted: list[int] = []
    found = shown_regions = 0
    failed: _OutOfTime | None = None
    room = desk.most_characters
    try:
        for file in files:
            try:
                document = desk.open(file)
            except OSError as error:
                if file == name:
                    raise
                note += f", without {file} ({error.strerror or type(error).__name__})"
                continue
            lines += document.lines.total
            regions = _regions(document, compiled, context, most - matches, start, deadline)
            for position, region in enumerate(regions):
                matches += len(region.matches)
                found += 1
                if room <= 0:
                    continue
                title = f"{file}:\n" if len(files) > 1 and position == 0 else ""
                for number, text, hit in _region(document.lines, region):
                    first = number == region.first
                    between = "\n---\n\n" if first and units else ""
                    mark = ">" if hit else " "
                    units.append(f"{between}{title if first else ''}{mark}{number:>5}\t{text}\n")
                    raw.append(text)
                    starts.append(number)
                    counted.append(int(hit))
                    room -= len(units[-1])
                    if room <= 0:
                        break
                else:
                    shown_regions += 1
            if matches >= most:
                capped = f", stopped at {most} matches"
                break
    except _OutOfTime as error:
        failed = error
        if not units:
            raise SoftError(
                {
                    "error": "grep_timeout",
                    "message": f"the search did not end within {_SECONDS:g} seconds; use a simpler pattern",
                    "requested_pattern": pattern,
                    "suggestions": ["a literal text instead of repetitions", "slice to a part of the file first"],
                }
            ) from None
        capped = f", stopped after {_SECONDS:g} seconds"
    if not units:
        from_line = f" from line {start} on" if start > 1 else ""
        return f"No matches for `{pattern}` in {name} ({lines} lines){from_line}{note}."

    def facts(shown: int) -> str:
        told = sum(counted[:shown])
        total = f" of {matches}" if told < matches else ""
        return f"{told}{total} matches in {found} regions of {name}{capped}{note}"

    def more(shown: int) -> str:
        if shown >= len(starts):
            return "a narrower pattern"
        if len(files) > 1:
            return "grep on one of these files"
        return f'grep(file="{name}", pattern={_quoted(pattern)}, context={context}, start_line={starts[shown]})'

    reply = Reply(
        "grep", units, facts, more,
        body=lambda parts: "".join(parts),
        raw=lambda shown: "\n".join(raw[:shown]),
        complete=shown_regions == found and failed is None,
        gap="\n",
        cap=_MOST_TOKENS,
    )  # fmt: skip
    fields: dict[str, Json] = {"requested_pattern": pattern}
    return answer(
        desk,
        reply,
        fields,
        [
            f'grep(file="{name}", pattern="…") with a narrower pattern, or a smaller context than {context}',
            f'head(file="{name}", lines=50) or slice(file="{name}", start=…, end=…)',
            f'get_in(file="{name}", path="…") for one value of a JSON file',
        ],
    )


def _files(desk: Desk, name: str) -> list[str]:
    """One file; or all of the scratchpad for ``.`` and ``*``; or those that a glob names."""
    if name in ("", ".", "*"):
        found = [record.file for record in desk.store.records()]
    elif "*" in name and "/" not in name:
        found = sorted(record.file for record in desk.store.records() if _matches(name, record.file))
    else:
        return [name]
    if not found:
        raise HardError(f"I/O error: no stored file matches `{name}`; list_files() names them all")
    return found


def _matches(pattern: str, name: str) -> bool:
    head, *middle = pattern.split("*")
    if not name.startswith(head):
        return False
    at = len(head)
    for part in middle[:-1]:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return name.endswith(middle[-1]) and len(name) - len(middle[-1]) >= at


def _regions(
    document: Document, pattern: linear.Pattern, context: int, most: int, start: int, deadline: float
) -> list[_Region]:
    found: list[_Region] = []
    total = document.lines.total
    for number, offset in _hits(document, pattern, start, deadline):
        first, last = max(start, number - context), min(total, number + context)
        if found and first <= found[-1].last + 1:
            found[-1].last = last
        else:
            found.append(_Region(first, last))
        found[-1].matches[number] = offset
        most -= 1
        if most <= 0:
            break
    return found


def _hits(document: Document, pattern: linear.Pattern, start: int, deadline: float) -> Iterator[tuple[int, int]]:
    """Line numbers that match, each with the place in the line; checks the clock between bounded steps."""
    data = document.data
    if b"\r" in data and b"\r\n" in data:
        data = data.replace(b"\r\n", b"\n")
    lines = document.lines if data is document.data else Lines(data)
    at, number = lines.start(start), start
    counted_to = at
    step = 1 << 14
    while at < len(data):
        end = _cut(data, at, step)
        begun = time.monotonic()
        long_line = end - at > _WINDOW and data.find(b"\n", at, end - 1) < 0
        if long_line:
            place = _in_long_line(data, at, end, pattern, deadline)
            if place is not None:
                number += data.count(b"\n", counted_to, at)
                counted_to = at
                yield number, place - at
        else:
            stop = end - 1 if data[end - 1] == 0x0A else end
            position = at
            while position <= stop:
                match = pattern.search(data, position, stop)
                if match is None:
                    break
                line = data.rfind(b"\n", at, match.start()) + 1 or at
                number += data.count(b"\n", counted_to, line)
                counted_to = line
                yield number, match.start() - line
                position = data.find(b"\n", match.end(), stop) + 1
                if position == 0:
                    break
                if time.monotonic() > deadline:
                    raise _OutOfTime
        at = end
        spent = time.monotonic() - begun
        step = min(step * 2, 1 << 22) if spent < 0.05 else max(step // 2, 1 << 12)
        if time.monotonic() > deadline and at < len(data):
            raise _OutOfTime


def _cut(data: bytes, at: int, step: int) -> int:
    """The end of a piece of whole lines: about ``step`` bytes, more only when one line is longer."""
    if at + step >= len(data):
        return len(data)
    end = data.rfind(b"\n", at, at + step)
    if end < 0:
        end = data.find(b"\n", at + step)
    return len(data) if end < 0 else end + 1


def _in_long_line(data: bytes, at: int, end: int, pattern: linear.Pattern, deadline: float) -> int | None:
    """Searches one enormous line in overlapping windows, so that no single step is long."""
    step = 1 << 16
    while at < end:
        begun = time.monotonic()
        match = pattern.search(data[at : min(end, at + step + _OVERLAP)].rstrip(b"\n"))
        if match is not None:
            return at + match.start()
        at += step
        if time.monotonic() > deadline:
            raise _OutOfTime
        if time.monotonic() - begun < 0.05:
            step = min(step * 2, _WINDOW)
    return None


def _region(lines: Lines, region: _Region) -> Iterator[tuple[int, str, bool]]:
    for number, line in enumerate(lines.between(region.first, region.last), region.first):
        offset = region.matches.get(number)
        yield number, _clipped(line, offset or 0), offset is not None


def _clipped(line: bytes, offset: int) -> str:
    """A long line is shown around its match only."""
    if len(line) <= 4 * _SHOWN:
        return line.decode("utf-8", "replace")
    first = max(0, offset - _SHOWN // 4)
    part = line[first : first + 2 * _SHOWN].decode("utf-8", "ignore")
    before = f"[…{first} bytes] " if first else ""
    after = len(line) - first - 2 * _SHOWN
    return f"{before}{part}" + (f" […{after} bytes]" if after > 0 else "")


def _quoted(pattern: str) -> str:
    return '"' + pattern.replace("\\", "\\\\").replace('"', '\\"') + '"'
