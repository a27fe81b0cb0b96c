"""``iterate_over``: chosen fields of many items, filtered, sorted or summed up (§6.9, S-11)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, islice

from aura_py.messages import Json
from aura_py.scratchpad import addresses
from aura_py.scratchpad.addresses import Step
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.conditions import UNSORTED, Condition, aggregates, combine, conditions, is_not_finite, sort_key
from aura_py.scratchpad.jsontext import JsonText, Node
from aura_py.scratchpad.lines import split
from aura_py.scratchpad.locate import every, json_view, steps_of
from aura_py.scratchpad.replies import Desk, HardError, Reply, Room, answer
from aura_py.scratchpad.rows import MISSING, Missing, Value, columns

_LINES = 5
_LONGEST = 500
_LARGEST = 4000
_ALL = 1 << 53


def iterate_over(desk: Desk, arguments: Arguments) -> str:
    file, requested = arguments.text("file"), arguments.text("path")
    names = [name for part in arguments.text("fields", "").split(",") if (name := part.strip())]
    offset = arguments.count("offset", 0)
    limit = arguments.count("limit", _ALL, least=1)
    text = json_view(desk, file).text
    arrays = list(every(desk, file, text, steps_of(requested), requested))
    for path, node in arrays:
        if text.kind(node) != "array":
            raise HardError(f"invalid argument: {path} is no array but a value of kind {text.kind(node)}; use get_in")
    if arguments.has("aggregate") or arguments.has("group_by"):
        return _summed_up(desk, arguments, file, requested, text, [node for _, node in arrays])
    if not names:
        raise HardError("invalid argument: `fields` names no field; give for example `id, name, metadata.score`")
    fields = [(name, _field(name)) for name in names]
    items: Iterator[tuple[int, tuple[str, Node]]]
    unknown = ""
    if arguments.has("where") or arguments.has("sort_by"):
        order, unknown = _selected(arguments, text, [node for _, node in arrays])
        total = len(order)
        items = ((index, _item(text, arrays, index)) for index in order[offset:])
    else:
        total = sum(text.size(node) for _, node in arrays)
        items = _items(text, arrays, offset)
    units: list[str] = []
    room = Room(desk)
    wanted = max(0, min(limit, total - offset))
    for index, (path, node) in islice(items, wanted):
        units.append(_row(text, file, path, index, node, fields))
        if not room.takes(units[-1]):
            break
    listed = ", ".join(names)
    extra = "".join(
        f", {name}={json.dumps(arguments.text(name), ensure_ascii=False)}"
        for name in ("where", "sort_by")
        if arguments.has(name)
    )
    path = arrays[0][0] if len(arrays) == 1 else requested
    call = f'iterate_over(file="{file}", path={json.dumps(path, ensure_ascii=False)}, fields="{listed}"{extra}'

    def facts(shown: int) -> str:
        part = f" {offset}-{offset + shown - 1}," if shown < total and shown else ""
        kind = "matching items" if arguments.has("where") else "items"
        return f"{path} ({total} {kind}{unknown},{part} fields: [{listed}])"

    def more(shown: int) -> str:
        rest = "" if limit >= _ALL else f", limit={wanted - shown}"
        return f"{call}, offset={offset + shown}{rest})"

    item_count: dict[str, Json] = {"item_count": total, "requested_fields": names}
    return answer(
        desk,
        Reply(
            "iterate_over",
            units,
            facts,
            more,
            body=lambda parts: "[\n" + ",\n".join(parts) + "\n]" if parts else "[]",
            raw=lambda shown: "\n".join(units[:shown]),
            lines=lambda shown: sum(unit.count("\n") + 1 for unit in units[:shown]) + 2 if shown else 1,
            complete=len(units) == wanted,
        ),
        item_count,
        [
            "fewer fields, or a limit",
            f'get_in(file="{file}", path="{path}[0]") for one item by its index',
            f'grep(file="{file}", pattern="…")',
        ],
    )


def _field(name: str) -> tuple[Step, ...]:
    steps = steps_of(name)
    if any(step.kind == "every" for step in steps):
        raise HardError(f"invalid argument: field `{name}` holds `*`; put the wildcard into `path` instead")
    return steps


def _items(text: JsonText, arrays: list[tuple[str, Node]], offset: int) -> Iterator[tuple[int, tuple[str, Node]]]:
    passed = 0
    for path, array in arrays:
        size = text.size(array)
        if offset < passed + size:
            for position, node in text.children(array, max(0, offset - passed)):
                if isinstance(position, int):
                    yield passed + position, (f"{path}[{position}]", node)
        passed += size


def _item(text: JsonText, arrays: list[tuple[str, Node]], index: int) -> tuple[str, Node]:
    for path, array in arrays:
        size = text.size(array)
        if index < size:
            node = text.element(array, index)
            assert node is not None  # the index was counted in this array
            return f"{path}[{index}]", node
        index -= size
    raise IndexError(index)


def _row(
    text: JsonText, file: str, path: str, index: int, node: Node, fields: list[tuple[str, tuple[Step, ...]]]
) -> str:
    members = [f'    "_index": {index}']
    for name, steps in fields:
        place, found = path, node
        missing = False
        for step in steps:
            following: Node | None = None
            kind = text.kind(found)
            if kind == "object":
                following = text.member(found, step.text)
            elif kind == "array" and step.kind in ("index", "either"):
                following = text.element(found, step.index)
            if following is None:
                missing = True
                break
            place = addresses.join(place, step.index if kind == "array" else step.text)
            found = following
        value = "null" if missing else _written(text, file, place, found)
        members.append(f"    {json.dumps(name, ensure_ascii=False)}: {value}")
    return "  {\n" + ",\n".join(members) + "\n  }"


def _written(text: JsonText, file: str, path: str, node: Node) -> str:
    """A value as JSON, long ones cut with a note that says where the whole is."""
    if text.kind(node) == "string":
        if text.end(node) - node.start <= _LONGEST and b"\\n" not in (raw := text.raw(node)):
            return raw.decode("utf-8", "replace")
        value = text.text(node)
        lines = split(value)
        call = f"get_in(file={file}, path={path})"
        if len(lines) > _LINES:
            kept = "\n".join(line[:_LONGEST] for line in lines[:_LINES])
            value = f"{kept}\n[cut: 5 of {len(lines)} lines; {call} has all]"
        elif len(value) > _LONGEST:
            value = f"{value[:_LONGEST]} [cut: {_LONGEST} of {len(value)} characters; {call} has all]"
        return json.dumps(value, ensure_ascii=False)
    if text.is_container(node):
        size = text.end(node) - node.start
        if size > _LARGEST:
            kind = text.kind(node)
            return json.dumps(
                f"[{kind} of {text.size(node)}, {size} bytes; get_in(file={file}, path={path}) has it]",
                ensure_ascii=False,
            )
        return text.rendered(node).replace("\n", "\n    ")
    return text.raw(node).decode("utf-8", "replace")


def _selected(arguments: Arguments, text: JsonText, arrays: list[Node]) -> tuple[list[int], str]:
    """Indexes of the items that ``where`` keeps, in the order of ``sort_by``; and a word on fields that none has."""
    wanted = conditions(arguments.text("where")) if arguments.has("where") else []
    sorting = arguments.text("sort_by", "")
    descending = sorting.startswith("-") or sorting.lower().endswith(" desc")
    sort_field = sorting.removeprefix("-").strip()
    for word in (" desc", " asc", " DESC", " ASC"):
        sort_field = sort_field.removesuffix(word).strip()
    names = [condition.field for condition in wanted]
    if arguments.has("sort_by"):
        if not sort_field:
            raise HardError("invalid argument: `sort_by` names no field; give for example `-metadata.score`")
        names.append(sort_field)
    fields = [_field(name) for name in names]
    known = [False] * len(fields)
    found: list[int] = []
    values: list[Value] = []
    passed = 0
    left_out: Counter[str] = Counter()
    for array in arrays:
        for piece in columns(text, array, fields):
            if not all(known):
                known = [seen or column.count(MISSING) < len(column) for seen, column in zip(known, piece, strict=True)]
            kept = _kept(piece, wanted, left_out)
            found.extend(map(passed.__add__, kept))
            if sort_field:
                values.extend(map(piece[-1].__getitem__, kept))
            passed += len(piece[-1])
    absent = [f"`{name}`" for name, seen in zip(names, known, strict=True) if not seen]
    unknown = f", no item has {' or '.join(absent)}" if absent else ""
    unknown += _note(left_out)
    if not sort_field:
        return found, unknown
    keys = list(map(sort_key, values))
    order = sorted(
        (place for place, key in enumerate(keys) if key != UNSORTED), key=keys.__getitem__, reverse=descending
    )
    order += [place for place, key in enumerate(keys) if key == UNSORTED]
    return list(map(found.__getitem__, order)), unknown


def _summed_up(desk: Desk, arguments: Arguments, file: str, requested: str, text: JsonText, arrays: list[Node]) -> str:
    wanted = conditions(arguments.text("where")) if arguments.has("where") else []
    asked = aggregates(arguments.text("aggregate", "count"))
    grouping = arguments.text("group_by", "").strip()
    fields = [_field(condition.field) for condition in wanted]
    summed = [_field(one.field) for one in asked if one.field]
    groups: dict[str, list[list[Value]]] = {}
    sizes: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    every_field = [*fields, *summed, *([_field(grouping)] if grouping else [])]
    for array in arrays:
        pieces: Iterable[list[list[Value]]] = (
            columns(text, array, every_field) if every_field else [[[None] * text.size(array)]]
        )
        for piece in pieces:
            kept = _kept(piece, wanted, left_out)
            chosen = piece[len(fields) : len(fields) + len(summed)]
            for key, indexes in _grouped(piece[-1], kept, bool(grouping)):
                group = groups.setdefault(key, [[] for _ in summed])
                sizes[key] += len(indexes)
                for column, source in zip(group, chosen, strict=True):
                    column.extend(map(source.__getitem__, indexes))
    total = sizes.total()
    if not grouping and not groups:
        groups[""] = [[] for _ in summed]
    units: list[str] = []
    for key, group in sorted(groups.items(), key=lambda item: (-sizes[item[0]], item[0])):
        result: dict[str, Json] = {grouping: json.loads(key)} if grouping else {}
        remaining = iter(group)
        for one in asked:
            if one.field:
                combined = combine(one.function, next(remaining))
                result[one.name] = combined.value
                left_out[one.name] += combined.left_out
            else:
                result[one.name] = sizes[key]
        units.append("  " + json.dumps(result, indent=2, ensure_ascii=False, default=str).replace("\n", "\n  "))
    kind = "matching items" if wanted else "items"
    by = f" by {grouping}" if grouping else ""
    return answer(
        desk,
        Reply(
            "iterate_over",
            units,
            lambda _shown: f"{requested} ({total} {kind}, {', '.join(one.name for one in asked)}{by}{_note(left_out)})",
            lambda _shown: f'iterate_over(file="{file}", path="{requested}", where="…", …) on fewer items',
            body=lambda parts: "[\n" + ",\n".join(parts) + "\n]" if parts else "[]",
        ),
        {"item_count": total, "requested_fields": [one.name for one in asked]},
        ["a `where` that keeps fewer items", "group_by a field with fewer values", f'grep(file="{file}", pattern="…")'],
    )


def _note(left_out: Counter[str]) -> str:
    return "".join(f", {name} without {times} that are no finite numbers" for name, times in left_out.items() if times)


def _kept(piece: list[list[Value]], wanted: list[Condition], left_out: Counter[str]) -> Sequence[int]:
    """Indexes of the items that pass; column *n* belongs to condition *n*. ``left_out`` counts by field."""
    kept: Sequence[int] = range(len(piece[-1]))
    for condition, column in zip(wanted, piece, strict=False):
        values = column if len(kept) == len(column) else [column[index] for index in kept]
        if condition.is_numeric:
            left_out[condition.field] += sum(map(is_not_finite, values))
        kept = list(compress(kept, condition.passing(values)))
    return kept


def _grouped(column: list[Value], kept: Sequence[int], grouping: bool) -> Iterable[tuple[str, Sequence[int]]]:
    if not grouping:
        return [("", kept)]
    values = list(map(column.__getitem__, kept))
    if set(map(type, values)) == {str}:
        texts: defaultdict[Value, list[int]] = defaultdict(list)
        for value, index in zip(values, kept, strict=True):
            texts[value].append(index)
        return [(_group(value), indexes) for value, indexes in texts.items()]
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for value, index in zip(values, kept, strict=True):
        groups[_group(value)].append(index)
    return groups.items()


def _group(value: Value) -> str:
    return "null" if isinstance(value, Missing) else json.dumps(value, ensure_ascii=False, default=str)
