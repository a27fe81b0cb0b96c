"""``head``, ``slice`` and ``read``: lines as they stand."""

from __future__ import annotations

from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.errors import HardError, SoftError
from aura_py.scratchpad.results import ExplorationContext, Result, answer, answer_in_pieces


def head(context: ExplorationContext, arguments: Arguments) -> str:
    file = arguments.text("file")
    lines = arguments.count("lines", 50)
    document = context.open(file)
    total = document.lines.total
    last = min(lines, total)
    suggestions = [f'head(file="{file}", lines={max(1, lines // 2)})', *_elsewhere(file)]
    result = Result(
        "head", lambda shown: f"showing {shown}/{total} lines", lambda shown: _slice(file, 1 + shown, last),
        {"requested_lines": lines}, suggestions, first_number=1,
    )  # fmt: skip
    return _excerpt(context, result, file, document, last)


def read(context: ExplorationContext, arguments: Arguments) -> str:
    file = arguments.text("file")
    document = context.open(file)
    total = document.lines.total
    size = len(document.data)
    result = Result(
        "read",
        lambda shown: f"{file} ({total} lines)" if shown == total else f"{file} (lines 1-{shown} of {total})",
        lambda shown: _slice(file, 1 + shown, total),
        {"requested_file": file, **({"file_bytes": size} if size // 3 > context.budget.per_call else {})},
        [f'head(file="{file}", lines=50)', _slice(file, 1, 50), *_elsewhere(file)],
        first_number=1,
    )
    return _excerpt(context, result, file, document, total)


def slice_lines(context: ExplorationContext, arguments: Arguments) -> str:
    file = arguments.text("file")
    start, end = arguments.count("start"), arguments.count("end")
    from_char = arguments.count("from_char", 0)
    if start == 0:
        raise HardError("invalid argument: `start` counts from 1")
    if end < start:
        raise HardError(f"invalid argument: `end` ({end}) is before `start` ({start})")
    document = context.open(file)
    total = document.lines.total
    past = f", past the end: the file has {total} lines" if start > total else ""
    last = min(end, total)

    def facts(shown: int) -> str:
        return f"lines {start}-{end if shown >= last - start + 1 else start + shown - 1} of {total}{past}"

    result = Result(
        "slice", facts, lambda shown: _slice(file, start + shown, last), {"requested_lines": [start, end]},
        [_slice(file, start, start + max(0, (last - start) // 2)), *_elsewhere(file)], first_number=start,
    )  # fmt: skip
    if from_char:
        return _within_line(context, result, file, document, start, from_char)
    return _excerpt(context, result, file, document, last)


def _excerpt(context: ExplorationContext, result: Result, file: str, document: Document, last: int) -> str:
    """The lines from the result's first number on; a line too long for the budget is given in pieces."""
    first = result.first_number or 1
    lines = (line.decode("utf-8", "replace") for line in document.lines.between(first, last))
    try:
        return answer(context, result, lines)
    except SoftError as error:
        if first > last:
            raise
        try:
            return _within_line(context, result, file, document, first, 0)
        except SoftError:
            raise error from None


def _within_line(
    context: ExplorationContext, result: Result, file: str, document: Document, number: int, from_char: int
) -> str:
    within = Result(
        result.tool,
        lambda shown: f"line {number} from character {from_char}, {shown} characters",
        lambda at: f'slice(file="{file}", start={number}, end={number}, from_char={at})',
        result.too_large, result.suggestions,
    )  # fmt: skip
    line = next(document.lines.between(number, number), b"").decode("utf-8", "replace")
    return answer_in_pieces(context, within, number, line, from_char)


def _slice(file: str, start: int, end: int) -> str:
    return f'slice(file="{file}", start={start}, end={end})'


def _elsewhere(file: str) -> list[str]:
    return [
        f'grep(file="{file}", pattern="…") for the lines that matter',
        f'get_in(file="{file}", path="…") for one value of a JSON file',
    ]
