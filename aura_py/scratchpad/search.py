"""``grep``: linear-time search over one file or many.

A match is a line, as in the program of that name; only in lines too wide to be shown whole each occurrence counts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from aura_py.globs import any_match
from aura_py.messages import Json
from aura_py.scratchpad import linear
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.errors import HardError, SoftError
from aura_py.scratchpad.lines import Lines, characters, offset_of
from aura_py.scratchpad.results import ExplorationContext, Result, answer, quoted

_LONGEST_PATTERN = 1024
_MOST_MATCHES = 10_000
_MOST_TOKENS = 32_768
_SECONDS = 2.0
_OVERLAP = 1 << 13
_STEPS = (1 << 15, 1 << 22)
_WIDE = 1600
_SHOWN = 800
_BEFORE = 100


@dataclass(slots=True)
class _Region:
    """Lines ``first`` to ``last`` around matches. ``matches`` has, for each line, where in it they begin."""

    first: int
    last: int
    matches: dict[int, list[int]] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class _Unit:
    """A line, or a part of a wide one, and the number of its matches. ``from_char`` is 0 for whole lines."""

    line: int
    from_char: int
    text: str
    matches: int


class _OutOfTime(Exception):
    pass


def grep(context: ExplorationContext, arguments: Arguments) -> str:
    name, pattern = arguments.text("file"), arguments.text("pattern")
    around = arguments.count("context", 3)
    most = min(arguments.count("max_matches", _MOST_MATCHES, least=1), _MOST_MATCHES)
    start = arguments.count("start_line", 1, least=1)
    from_char = arguments.count("from_char", 0)
    compiled, note = _compiled(pattern, arguments.flag("ignore_case"))
    files = _files(context, name)
    deadline = time.monotonic() + _SECONDS
    found: list[tuple[str, Lines, list[_Region]]] = []
    lines = matches = 0
    for file in files:
        try:
            document = context.open(file)
        except OSError as error:
            if file == name:
                raise
            note += f", without {file} ({error.strerror or type(error).__name__})"
            continue
        lines += document.lines.total
        regions: list[_Region] = []
        found.append((file, document.lines, regions))
        try:
            for number, offset in islice(_hits(document, compiled, (start, from_char), deadline), most - matches):
                _add(regions, number, offset, max(start, number - around), min(document.lines.total, number + around))
                matches += 1
        except _OutOfTime:
            if not matches:
                raise SoftError(_too_slow(pattern)) from None
            note = f", stopped after {_SECONDS:g} seconds{note}"
            break
        if matches >= most:
            note = f", stopped at {most} matches{note}"
            break
    if not matches:
        from_line = f" from line {start} on" if start > 1 else ""
        return f"No matches for `{pattern}` in {name} ({lines} lines){from_line}{note}."
    taken: list[_Unit] = []

    def facts(shown: int) -> str:
        told = sum(unit.matches for unit in taken[:shown])
        total = f" of {matches}" if told < matches else ""
        return f"{told}{total} matches in {sum(len(regions) for *_, regions in found)} regions of {name}{note}"

    def more(shown: int) -> str:
        if shown >= len(taken) or len(files) > 1:
            return "grep on one of these files" if len(files) > 1 else "a narrower pattern"
        within = f", from_char={taken[shown].from_char}" if taken[shown].from_char else ""
        place = f"start_line={taken[shown].line}{within}"
        return f'grep(file="{name}", pattern={quoted(pattern)}, context={around}, {place})'

    result = Result(
        "grep", facts, more, {"requested_pattern": pattern},
        [
            f'grep(file="{name}", pattern="…") with a narrower pattern, or a smaller context than {around}',
            f'head(file="{name}", lines=50) or slice(file="{name}", start=…, end=…)',
            f'get_in(file="{name}", path="…") for one value of a JSON file',
        ],
        raw=lambda units: "\n".join(unit.text for unit in taken[: len(units)]),
        cap=_MOST_TOKENS,
    )  # fmt: skip
    return answer(context, result, _written(found, taken, len(files) > 1))


def _compiled(pattern: str, ignore_case: bool) -> tuple[linear.Pattern, str]:
    """The pattern, and a note if it is searched as plain text."""
    size = len(pattern.encode("utf-8", "replace"))
    if size > _LONGEST_PATTERN:
        raise HardError(f"invalid argument: `pattern` has {size} bytes; at most {_LONGEST_PATTERN} are allowed")
    try:
        return linear.lines(pattern, ignore_case=ignore_case), ""
    except linear.PatternError as error:
        note = f", searched as plain text because it is no usable regular expression: {error}"
        return linear.lines(pattern, ignore_case=ignore_case, literal=True), note


def _too_slow(pattern: str) -> dict[str, Json]:
    return {
        "error": "grep_timeout",
        "message": f"the search did not end within {_SECONDS:g} seconds; use a simpler pattern",
        "requested_pattern": pattern,
        "suggestions": ["a literal text instead of repetitions", "slice to a part of the file first"],
    }


def _written(found: list[tuple[str, Lines, list[_Region]]], taken: list[_Unit], titled: bool) -> Iterator[str]:
    """The units as they are shown; each is added to ``taken``."""
    for file, lines, regions in found:
        title = f"{file}:\n" if titled else ""
        for region in regions:
            between = "\n---\n\n" if taken else ""
            for unit in _region(lines, region):
                taken.append(unit)
                yield f"{between}{title}{'>' if unit.matches else ' '}{unit.line:>5}\t{unit.text}"
                between = title = ""


def _files(context: ExplorationContext, name: str) -> list[str]:
    """One file; or all of the scratchpad for ``.`` and ``*``; or those that a pattern with ``*`` names."""
    if "*" not in name and name not in ("", "."):
        return [name]
    parts = (part for record in context.store.records() for part in (record, *record.companions))
    pattern = "*" if name in ("", ".") else re.sub(r"([?\[\]{}!\\])", r"\\\1", name)
    found = [part.file for part in parts if any_match((pattern,), part.file)]
    if not found:
        raise HardError(f"I/O error: no stored file matches `{name}`; list_files() names them all")
    return found


def _add(regions: list[_Region], number: int, offset: int, first: int, last: int) -> None:
    if regions and first <= regions[-1].last + 1:
        regions[-1].last = last
    else:
        regions.append(_Region(first, last))
    regions[-1].matches.setdefault(number, []).append(offset)


def _hits(
    document: Document, pattern: linear.Pattern, start: tuple[int, int], deadline: float
) -> Iterator[tuple[int, int]]:
    """Matches from a line and a character of it on: the line's number and the match's offset in it.

    The engine cannot be interrupted, so it searches pieces, with a look at the clock after each. A piece ends with a
    line, or within one that is longer than a piece; then the next piece overlaps it.
    """
    data = document.data
    if b"\r" in data and b"\r\n" in data:
        data = data.replace(b"\r\n", b"\n")
    number, length = start[0], len(data)
    line = (document.lines if data is document.data else Lines(data)).start(number)
    line_end = _line_end(data, line)
    at = line + offset_of(data[line:line_end], start[1])
    step = _STEPS[0]
    while at < length:
        stop = length if length - at <= step else data.rfind(b"\n", at, at + step)
        within = stop < 0
        if within:
            stop = min(at + step, _line_end(data, at))
            within = stop < length and data[stop] != 0x0A
        begun = time.monotonic()
        position = at
        while position <= stop and (match := pattern.search(data, position, stop)) is not None:
            if time.monotonic() > deadline:
                raise _OutOfTime
            begin, end = match.start(), match.end()
            if within and end == stop and not _goes_on(data, pattern, begin, stop):
                break
            if begin > line_end:
                number += data.count(b"\n", line_end, begin)
                line = data.rfind(b"\n", line_end, begin) + 1
                line_end = _line_end(data, begin)
            yield number, begin - line
            position = max(end, begin + 1) if line_end - line > _WIDE else line_end + 1
        spent = time.monotonic() - begun
        at = max(stop - _OVERLAP, position) if within else stop + 1
        step = min(step * 2, _STEPS[1]) if spent < 0.05 else max(step // 2, _STEPS[0])
        if time.monotonic() > deadline and at < length:
            raise _OutOfTime


def _goes_on(data: bytes, pattern: linear.Pattern, begin: int, stop: int) -> bool:
    """Whether a match that ends with its piece is one in the whole line, and not just for ``$`` meeting the cut."""
    match = pattern.search(data, begin, min(stop + _OVERLAP, _line_end(data, stop)))
    return match is not None and match.start() == begin


def _line_end(data: bytes, at: int) -> int:
    end = data.find(b"\n", at)
    return len(data) if end < 0 else end


def _region(lines: Lines, region: _Region) -> Iterator[_Unit]:
    for number, line in enumerate(lines.between(region.first, region.last), region.first):
        offsets = region.matches.get(number, [])
        if len(line) <= _WIDE:
            yield _Unit(number, 0, line.decode("utf-8", "replace"), len(offsets))
        else:
            yield from _parts(number, line, offsets)


def _parts(number: int, line: bytes, offsets: list[int]) -> Iterator[_Unit]:
    """The surroundings of the matches of a wide line; matches near one another share a part."""
    counted, passed = 0, 0
    waiting = list(reversed(offsets)) or [0]
    while waiting:
        first = max(0, waiting[-1] - _BEFORE)
        while first and line[first] & 0xC0 == 0x80:
            first += 1
        last = first + _SHOWN
        inside = 0
        begin = waiting[-1]
        while waiting and (waiting[-1] < last - _BEFORE or not inside):
            waiting.pop()
            inside += 1
        counted, passed = counted + characters(line[passed:first]), first
        part = line[first:last].decode("utf-8", "ignore")
        before = f"[from character {counted}] " if first else ""
        after = f" […{len(line) - last} bytes]" if last < len(line) else ""
        from_char = counted + characters(line[first:begin])
        yield _Unit(number, from_char, f"{before}{part}{after}", inside if offsets else 0)
