"""``head``, ``slice`` and ``read``: lines as they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aura_py.messages import Json
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.errors import HardError, SoftError
from aura_py.scratchpad.lines import numbered
from aura_py.scratchpad.replies import Desk, Reply, answer, answer_in_pieces


def head(desk: Desk, arguments: Arguments) -> str:
    file = arguments.text("file")
    lines = arguments.count("lines", 50)
    document = desk.open(file)
    total = document.lines.total
    return excerpt(
        desk, "head", file, document, 1, min(lines, total),
        lambda shown: f"showing {shown}/{total} lines",
        {"requested_lines": lines},
        [
            f'head(file="{file}", lines={max(1, lines // 2)})',
            f'grep(file="{file}", pattern="…") for the lines that matter',
            f'get_in(file="{file}", path="…") for one value of a JSON file',
        ],
    )  # fmt: skip


def slice_lines(desk: Desk, arguments: Arguments) -> str:
    file = arguments.text("file")
    start, end = arguments.count("start"), arguments.count("end")
    from_char = arguments.count("from_char", 0)
    if start == 0:
        raise HardError("invalid argument: `start` counts from 1")
    if end < start:
        raise HardError(f"invalid argument: `end` ({end}) is before `start` ({start})")
    document = desk.open(file)
    total = document.lines.total
    past = f", past the end: the file has {total} lines" if start > total else ""
    last = min(end, total)

    def facts(shown: int) -> str:
        return f"lines {start}-{end if shown >= last - start + 1 else start + shown - 1} of {total}{past}"

    half = start + max(0, (last - start) // 2)
    suggestions = [
        f'slice(file="{file}", start={start}, end={half})',
        f'grep(file="{file}", pattern="…") for the lines that matter',
        f'get_in(file="{file}", path="…") for one value of a JSON file',
    ]
    fields: dict[str, Json] = {"requested_lines": [start, end]}
    if from_char:
        return _within_line(desk, "slice", file, document, start, from_char, fields, suggestions)
    return excerpt(desk, "slice", file, document, start, last, facts, fields, suggestions)


def read(desk: Desk, arguments: Arguments) -> str:
    file = arguments.text("file")
    document = desk.open(file)
    total = document.lines.total
    size = len(document.data)
    fields: dict[str, Json] = {"requested_file": file}
    if size // 3 > desk.budget.per_call:
        fields["file_bytes"] = size
    return excerpt(
        desk, "read", file, document, 1, total,
        lambda shown: f"{file} ({total} lines)" if shown == total else f"{file} (lines 1-{shown} of {total})",
        fields,
        [
            f'head(file="{file}", lines=50)',
            f'slice(file="{file}", start=1, end=50)',
            f'grep(file="{file}", pattern="…")',
            f'get_in(file="{file}", path="…") for one value of a JSON file',
        ],
    )  # fmt: skip


def excerpt(
    desk: Desk,
    tool: str,
    file: str,
    document: Document,
    first: int,
    last: int,
    facts: Callable[[int], str],
    fields: Mapping[str, Json],
    suggestions: Sequence[str],
) -> str:
    """Lines ``first`` to ``last`` with their numbers; a line too long for the budget is given in pieces."""
    raw: list[str] = []
    room = desk.most_characters
    for line in document.lines.between(first, last):
        if room <= 0:
            break
        raw.append(line[: room + 1].decode("utf-8", "replace"))
        room -= len(line)
    complete = room > 0 or len(raw) == last - first + 1
    units = [numbered(first + index, line) for index, line in enumerate(raw)]
    reply = Reply(
        tool, units, facts,
        lambda shown: f'slice(file="{file}", start={first + shown}, end={last})',
        raw=lambda shown: "\n".join(raw[:shown]),
        complete=complete,
    )  # fmt: skip
    try:
        return answer(desk, reply, fields, suggestions)
    except SoftError as error:
        if not raw:
            raise
        try:
            return _within_line(desk, tool, file, document, first, 0, fields, suggestions)
        except SoftError:
            raise error from None


def _within_line(
    desk: Desk,
    tool: str,
    file: str,
    document: Document,
    number: int,
    from_char: int,
    fields: Mapping[str, Json],
    suggestions: Sequence[str],
) -> str:
    line = next(document.lines.between(number, number), b"").decode("utf-8", "replace")
    return answer_in_pieces(
        desk, tool, number, line, from_char,
        lambda shown: f"line {number} from character {from_char}, {shown} characters",
        lambda at: f'slice(file="{file}", start={number}, end={number}, from_char={at})',
        fields, suggestions,
    )  # fmt: skip
