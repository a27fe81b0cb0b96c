"""``get_in``: one value by its path."""

from __future__ import annotations

import json

from aura_py.messages import Json
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.errors import SoftError
from aura_py.scratchpad.json_values import JsonText, JsonValue
from aura_py.scratchpad.lines import numbered, split
from aura_py.scratchpad.locate import every, json_of, one, steps_of
from aura_py.scratchpad.replies import Desk, Reply, answer, answer_in_pieces

_LONGEST_PATH = 400
_MOST_VALUES = 1_000_000


def get_in(desk: Desk, arguments: Arguments) -> str:
    file, requested = arguments.text("file"), arguments.text("path")
    text = json_of(desk, file)
    steps = steps_of(requested)
    if any(step.kind == "every" for step in steps):
        return _all_of(desk, file, text, requested)
    path, value = one(desk, file, text, steps, requested)
    if value.kind == "string":
        return _string(desk, file, path, value.string, arguments)
    return _value(desk, file, path, value, requested)


def _value(desk: Desk, file: str, path: str, value: JsonValue, requested: str) -> str:
    rendered, complete = value.rendered(desk.most_characters)
    lines = rendered.split("\n")
    if not complete and len(lines) > 1:
        lines.pop()

    def more(shown: int) -> str:
        first, last = value.line_range
        if value.text.is_file and first != last:
            return f'slice(file="{file}", start={first + shown}, end={last})'
        return f'get_in(file="{file}", path="…") on a deeper path'

    return answer(
        desk,
        Reply(
            "get_in",
            [numbered(number, line) for number, line in enumerate(lines, 1)],
            lambda _shown: _clipped(path),
            more,
            raw=lambda shown: "\n".join(lines[:shown]),
            complete=complete,
        ),
        {"requested_path": requested},
        [
            f'get_in(file="{file}", path="…") with a deeper path than {path}',
            f'schema(file="{file}", path={json.dumps(path, ensure_ascii=False)})',
            f'grep(file="{file}", pattern="…")',
        ],
    )


def _clipped(path: str) -> str:
    return path if len(path) <= _LONGEST_PATH else "…" + path[-_LONGEST_PATH:]


def _all_of(desk: Desk, file: str, text: JsonText, requested: str) -> str:
    """A wildcard's values, each with its own path."""
    units: list[str] = []
    room = desk.most_characters
    total = 0
    for path, value in every(desk, file, text, steps_of(requested), requested):
        total += 1
        if room > 0:
            units.append(f"{path}: {value.rendered(2000)[0]}")
            room -= len(units[-1])
        elif total > _MOST_VALUES:
            break
    return answer(
        desk,
        Reply(
            "get_in",
            units,
            lambda shown: f"{requested} ({shown} of {total} values)",
            lambda _shown: f'iterate_over(file="{file}", path="…", fields="…", offset=…) or a narrower path',
            complete=len(units) == total,
        ),
        {"requested_path": requested},
        [f'get_in(file="{file}", path="…") without the wildcard', f'grep(file="{file}", pattern="…")'],
    )


def _string(desk: Desk, file: str, path: str, text: str, arguments: Arguments) -> str:
    lines = split(text)
    total = len(lines)
    quoted = json.dumps(path, ensure_ascii=False)
    paginated = arguments.has("offset") or arguments.has("limit")
    offset = arguments.count("offset", 0)
    limit = arguments.count("limit", 100) if paginated else total
    from_char = arguments.count("from_char", 0)
    if offset >= total and paginated and not (offset == 0 and total == 0):
        raise SoftError(
            {
                "error": "offset_out_of_range",
                "message": f"offset {offset} is past the end of {path}, which has {total} lines",
                "total_lines": total,
            }
        )
    end = min(offset + limit, total)
    fields: dict[str, Json] = {"requested_path": arguments.text("path"), "total_lines": total}
    if paginated:
        fields.update({"offset": offset, "limit": limit})
        suggestions = [
            f'get_in(file="{file}", path={quoted}, offset={offset}, limit={max(1, (end - offset) // 2)}), '
            "a smaller limit"
        ]
    else:
        fields["value_type"] = "string"
        suggestions = [
            f'get_in(file="{file}", path={quoted}, offset=0, limit=100)',
            f'grep(file="{file}", pattern="…")',
        ]
    chosen = lines[offset:end]

    def facts(shown: int) -> str:
        if not paginated and shown == total:
            return _clipped(path)
        return f"{_clipped(path)} (string, lines {offset + 1}-{offset + shown} of {total})"

    reply = Reply(
        "get_in",
        [numbered(offset + number, line) for number, line in enumerate(chosen, 1)],
        facts,
        lambda shown: (
            f'get_in(file="{file}", path={quoted}, offset={offset + shown}, limit={max(1, end - offset - shown)})'
        ),
        raw=lambda shown: "\n".join(chosen[:shown]),
    )
    if not from_char:
        try:
            return answer(desk, reply, fields, suggestions)
        except SoftError:
            if not chosen or not chosen[0]:
                raise
    line = chosen[0]
    return answer_in_pieces(
        desk, "get_in", offset + 1, line, from_char,
        lambda shown: (
            f"{_clipped(path)} (string, line {offset + 1} of {total} from character {from_char}, "
            f"{shown} of {len(line)} characters)"
        ),
        lambda at: f'get_in(file="{file}", path={quoted}, offset={offset}, limit=1, from_char={at})',
        fields, suggestions,
    )  # fmt: skip
