"""``grep``: linear-time search over one file or many.

A match is a line, as in the program of that name; only in lines too wide to be shown whole each occurrence counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from aura_py.messages import Json
from aura_py.scratchpad import linear
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.errors import HardError, SoftError
from aura_py.scratchpad.lines import Lines, characters, offset_of
from aura_py.scratchpad.replies import Desk, Reply, answer

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


def grep(desk: Desk, arguments: Arguments) -> str:
    name = arguments.text("file")
    pattern = arguments.text("pattern")
    context = arguments.count("context", 3)
    most = min(arguments.count("max_matches", _MOST_MATCHES, least=1), _MOST_MATCHES)
    start = arguments.count("start_line", 1, least=1)
    from_char = arguments.count("from_char", 0)
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
    shown_units: list[_Unit] = []
    matches = lines = 0
    capped = ""
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
            regions = _regions(document, compiled, context, most - matches, (start, from_char), deadline)
            for position, region in enumerate(regions):
                matches += sum(map(len, region.matches.values()))
                found += 1
                if room <= 0:
                    continue
                title = f"{file}:\n" if len(files) > 1 and position == 0 else ""
                between = "\n---\n\n" if units else ""
                for unit in _region(document.lines, region):
                    units.append(f"{between}{title}{'>' if unit.matches else ' '}{unit.line:>5}\t{unit.text}\n")
                    shown_units.append(unit)
                    room -= len(units[-1])
                    between = title = ""
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
        told = sum(unit.matches for unit in shown_units[:shown])
        total = f" of {matches}" if told < matches else ""
        return f"{told}{total} matches in {found} regions of {name}{capped}{note}"

    def more(shown: int) -> str:
        if shown >= len(shown_units):
            return "a narrower pattern"
        if len(files) > 1:
            return "grep on one of these files"
        following = shown_units[shown]
        within = f", from_char={following.from_char}" if following.from_char else ""
        return (
            f'grep(file="{name}", pattern={_quoted(pattern)}, context={context}, start_line={following.line}{within})'
        )

    reply = Reply(
        "grep", units, facts, more,
        body=lambda parts: "".join(parts),
        raw=lambda shown: "\n".join(unit.text for unit in shown_units[:shown]),
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
    document: Document, pattern: linear.Pattern, context: int, most: int, start: tuple[int, int], deadline: float
) -> list[_Region]:
    found: list[_Region] = []
    total = document.lines.total
    for number, offset in _hits(document, pattern, start, deadline):
        first, last = max(start[0], number - context), min(total, number + context)
        if found and first <= found[-1].last + 1:
            found[-1].last = last
        else:
            found.append(_Region(first, last))
        found[-1].matches.setdefault(number, []).append(offset)
        most -= 1
        if most <= 0:
            break
    return found


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


def _quoted(pattern: str) -> str:
    return '"' + pattern.replace("\\", "\\\\").replace('"', '\\"') + '"'
