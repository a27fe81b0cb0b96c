"""``get_in``: one value by its path (§6.8)."""

from __future__ import annotations

import json

from aura_py.messages import Json
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.documents import JsonView
from aura_py.scratchpad.jsontext import Node
from aura_py.scratchpad.lines import numbered, split
from aura_py.scratchpad.locate import every, json_view, one, steps_of
from aura_py.scratchpad.replies import Desk, Reply, SoftError, answer

_PIECE = 256
_LONGEST_PATH = 400


def get_in(desk: Desk, arguments: Arguments) -> str:
    file, requested = arguments.text("file"), arguments.text("path")
    view = json_view(desk, file)
    steps = steps_of(requested)
    if any(step.kind == "every" for step in steps):
        return _all_of(desk, file, view, requested)
    path, node = one(desk, file, view.text, steps, requested)
    if view.text.kind(node) == "string":
        return _string(desk, file, view, path, node, arguments)
    return _value(desk, file, view, path, node, requested)


def _value(desk: Desk, file: str, view: JsonView, path: str, node: Node, requested: str) -> str:
    lines, complete = view.text.rendered_lines(node, desk.most_characters)

    def more(shown: int) -> str:
        first, last = view.text.line_range(node)
        if view.aligned and first != last:
            start, end = view.file_line(first + shown), view.file_line(last)
            return f'slice(file="{file}", start={start}, end={end})'
        return f'get_in(file="{file}", path="…") on a deeper path'

    fields: dict[str, Json] = {"requested_path": requested}
    units = [numbered(number, line) for number, line in enumerate(lines, 1)]
    return answer(
        desk,
        Reply(
            "get_in",
            units,
            lambda _shown: _clipped(path),
            more,
            raw=lambda shown: "\n".join(lines[:shown]),
            complete=complete,
        ),
        fields,
        [
            f'get_in(file="{file}", path="…") with a deeper path than {path}',
            f'schema(file="{file}", path={json.dumps(path, ensure_ascii=False)})',
            f'grep(file="{file}", pattern="…")',
        ],
    )


def _clipped(path: str) -> str:
    return path if len(path) <= _LONGEST_PATH else "…" + path[-_LONGEST_PATH:]


def _all_of(desk: Desk, file: str, view: JsonView, requested: str) -> str:
    """A wildcard's values, each with its own path."""
    units: list[str] = []
    room = desk.most_characters
    complete = True
    total = 0
    for path, node in every(desk, file, view.text, steps_of(requested), requested):
        total += 1
        if room <= 0:
            complete = False
            continue
        if total > 1_000_000:
            break
        lines, _ = view.text.rendered_lines(node, 2000)
        units.append(f"{path}: " + "\n".join(lines))
        room -= len(units[-1])
    return answer(
        desk,
        Reply(
            "get_in",
            units,
            lambda shown: f"{requested} ({shown} of {total} values)",
            lambda _shown: f'iterate_over(file="{file}", path="…", fields="…", offset=…) or a narrower path',
            complete=complete,
        ),
        {"requested_path": requested},
        [f'get_in(file="{file}", path="…") without the wildcard', f'grep(file="{file}", pattern="…")'],
    )


def _string(desk: Desk, file: str, view: JsonView, path: str, node: Node, arguments: Arguments) -> str:
    text = view.text.text(node)
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
    line = chosen[0][from_char : from_char + desk.most_characters]
    return answer(
        desk,
        Reply(
            "get_in",
            [line[at : at + _PIECE] for at in range(0, len(line), _PIECE)],
            lambda shown: (
                f"{_clipped(path)} (string, line {offset + 1} of {total} from character {from_char}, "
                f"{min(len(line), shown * _PIECE)} of {len(chosen[0])} characters)"
            ),
            lambda shown: (
                f'get_in(file="{file}", path={quoted}, offset={offset}, limit=1, '
                f"from_char={from_char + shown * _PIECE})"
            ),
            body=lambda units: numbered(offset + 1, "".join(units)),
            raw=lambda shown: line[: shown * _PIECE],
            lines=lambda _shown: 1,
            complete=from_char + len(line) == len(chosen[0]),
        ),
        fields,
        suggestions,
    )
