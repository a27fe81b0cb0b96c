"""``get_in``: one value by its path."""

from __future__ import annotations

from dataclasses import replace

from aura_py.messages import Json
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.errors import SoftError
from aura_py.scratchpad.json_values import JsonValue
from aura_py.scratchpad.lines import split
from aura_py.scratchpad.locate import Lookup
from aura_py.scratchpad.results import ExplorationContext, Result, answer, answer_in_pieces, quoted

_LONGEST_PATH = 400
_MOST_VALUES = 1_000_000


def get_in(context: ExplorationContext, arguments: Arguments) -> str:
    file, requested = arguments.text("file"), arguments.text("path")
    lookup = Lookup(context, file, requested)
    if lookup.has_wildcard:
        return _all_of(context, file, lookup, requested)
    path, value = lookup.value()
    if value.kind == "string":
        return _string(context, file, path, value.string, arguments)
    return _value(context, file, path, value, requested)


def _value(context: ExplorationContext, file: str, path: str, value: JsonValue, requested: str) -> str:
    def more(shown: int) -> str:
        first, last = value.line_range
        if value.text.is_file and first != last:
            return f'slice(file="{file}", start={first + shown}, end={last})'
        return f'get_in(file="{file}", path="…") on a deeper path'

    result = Result(
        "get_in", lambda _shown: _clipped(path), more, {"requested_path": requested},
        [
            f'get_in(file="{file}", path="…") with a deeper path than {path}',
            f'schema(file="{file}", path={quoted(path)})',
            f'grep(file="{file}", pattern="…")',
        ],
        first_number=1,
    )  # fmt: skip
    rendered, complete = value.rendered(context.most_characters)
    return answer(context, result, rendered.split("\n"), complete=complete)


def _clipped(path: str) -> str:
    return path if len(path) <= _LONGEST_PATH else "…" + path[-_LONGEST_PATH:]


def _all_of(context: ExplorationContext, file: str, lookup: Lookup, requested: str) -> str:
    """A wildcard's values, each with its own path."""
    units: list[str] = []
    room = context.most_characters
    total = 0
    for path, value in lookup.values():
        total += 1
        if room > 0:
            units.append(f"{path}: {value.rendered(2000)[0]}")
            room -= len(units[-1])
        elif total > _MOST_VALUES:
            break
    result = Result(
        "get_in",
        lambda shown: f"{requested} ({shown} of {total} values)",
        lambda _shown: f'iterate_over(file="{file}", path="…", fields="…", offset=…) or a narrower path',
        {"requested_path": requested},
        [f'get_in(file="{file}", path="…") without the wildcard', f'grep(file="{file}", pattern="…")'],
    )
    return answer(context, result, units)


def _string(context: ExplorationContext, file: str, path: str, text: str, arguments: Arguments) -> str:
    lines = split(text)
    total = len(lines)
    paginated = arguments.has("offset") or arguments.has("limit")
    offset = arguments.count("offset", 0)
    limit = arguments.count("limit", 100) if paginated else total
    from_char = arguments.count("from_char", 0)
    if offset >= total > 0:
        message = f"offset {offset} is past the end of {path}, which has {total} lines"
        raise SoftError({"error": "offset_out_of_range", "message": message, "total_lines": total})
    end = min(offset + limit, total)
    call = f'get_in(file="{file}", path={quoted(path)}'
    fields: dict[str, Json] = {"requested_path": arguments.text("path"), "total_lines": total}
    if paginated:
        fields |= {"offset": offset, "limit": limit}
        suggestions = [f"{call}, offset={offset}, limit={max(1, (end - offset) // 2)}), a smaller limit"]
    else:
        fields["value_type"] = "string"
        suggestions = [f"{call}, offset=0, limit=100)", f'grep(file="{file}", pattern="…")']

    def facts(shown: int) -> str:
        if not paginated and shown == total:
            return _clipped(path)
        return f"{_clipped(path)} (string, lines {offset + 1}-{offset + shown} of {total})"

    result = Result(
        "get_in", facts,
        lambda shown: f"{call}, offset={offset + shown}, limit={max(1, end - offset - shown)})",
        fields, suggestions, first_number=offset + 1,
    )  # fmt: skip
    if not from_char or not lines:
        try:
            return answer(context, result, lines[offset:end])
        except SoftError:
            if offset >= end or not lines[offset]:
                raise
    line = lines[offset]
    within = replace(
        result,
        facts=lambda shown: (
            f"{_clipped(path)} (string, line {offset + 1} of {total} from character {from_char}, "
            f"{shown} of {len(line)} characters)"
        ),
        more=lambda at: f"{call}, offset={offset}, limit=1, from_char={at})",
    )
    return answer_in_pieces(context, within, offset + 1, line, from_char)
