"""``iterate_over``: chosen fields of many items, filtered, sorted or summed up."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, islice

from aura_py.messages import Json
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.columns import MISSING, Missing, Path, Value, columns
from aura_py.scratchpad.conditions import UNSORTED, Condition, aggregates, combine, conditions, is_not_finite, sort_key
from aura_py.scratchpad.errors import HardError
from aura_py.scratchpad.json_values import JsonValue
from aura_py.scratchpad.lines import split
from aura_py.scratchpad.locate import arrays_at, follow, steps_of
from aura_py.scratchpad.replies import Desk, Reply, Room, answer

_LINES = 5
_LONGEST = 500
_LARGEST = 4000
_ALL = 1 << 53


def iterate_over(desk: Desk, arguments: Arguments) -> str:
    file, requested = arguments.text("file"), arguments.text("path")
    names = [name for part in arguments.text("fields", "").split(",") if (name := part.strip())]
    offset = arguments.count("offset", 0)
    limit = arguments.count("limit", _ALL, least=1)
    arrays = arrays_at(desk, file, requested)
    if arguments.has("aggregate") or arguments.has("group_by"):
        return _summed_up(desk, arguments, file, requested, [array for _, array in arrays])
    if not names:
        raise HardError("invalid argument: `fields` names no field; give for example `id, name, metadata.score`")
    fields = [(name, _field(name)) for name in names]
    items: Iterator[tuple[int, tuple[str, JsonValue]]]
    unknown = ""
    if arguments.has("where") or arguments.has("sort_by"):
        order, unknown = _selected(arguments, [array for _, array in arrays])
        total = len(order)
        items = ((index, _item(arrays, index)) for index in order[offset:])
    else:
        total = sum(array.size for _, array in arrays)
        items = _items(arrays, offset)
    units: list[str] = []
    room = Room(desk)
    wanted = max(0, min(limit, total - offset))
    for index, (path, item) in islice(items, wanted):
        units.append(_row(file, path, index, item, fields))
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


def _field(name: str) -> Path:
    steps = steps_of(name)
    if any(step.kind == "every" for step in steps):
        raise HardError(f"invalid argument: field `{name}` holds `*`; put the wildcard into `path` instead")
    return steps


def _items(arrays: list[tuple[str, JsonValue]], offset: int) -> Iterator[tuple[int, tuple[str, JsonValue]]]:
    passed = 0
    for path, array in arrays:
        size = array.size
        if offset < passed + size:
            for position, item in array.children(max(0, offset - passed)):
                yield passed + int(position), (f"{path}[{position}]", item)
        passed += size


def _item(arrays: list[tuple[str, JsonValue]], index: int) -> tuple[str, JsonValue]:
    for path, array in arrays:
        item = array.element(index)
        if item is not None:
            return f"{path}[{index}]", item
        index -= array.size
    raise IndexError(index)


def _row(file: str, path: str, index: int, item: JsonValue, fields: list[tuple[str, Path]]) -> str:
    members = [f'    "_index": {index}']
    for name, steps in fields:
        found = follow(path, item, steps)
        written = "null" if found is None else _written(file, *found)
        members.append(f"    {json.dumps(name, ensure_ascii=False)}: {written}")
    return "  {\n" + ",\n".join(members) + "\n  }"


def _written(file: str, path: str, value: JsonValue) -> str:
    """A value as JSON, long ones cut with a note that says where the whole is."""
    size = value.end - value.start
    if (size <= _LONGEST and b"\\n" not in value.raw) or (value.kind != "string" and size <= _LARGEST):
        return value.rendered(size)[0].replace("\n", "\n    ")
    call = f"get_in(file={file}, path={path})"
    if value.kind != "string":
        return json.dumps(f"[{value.kind} of {value.size}, {size} bytes; {call} has it]", ensure_ascii=False)
    text = value.string
    lines = split(text)
    if len(lines) > _LINES:
        kept = "\n".join(line[:_LONGEST] for line in lines[:_LINES])
        text = f"{kept}\n[cut: 5 of {len(lines)} lines; {call} has all]"
    elif len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} [cut: {_LONGEST} of {len(text)} characters; {call} has all]"
    return json.dumps(text, ensure_ascii=False)


def _selected(arguments: Arguments, arrays: list[JsonValue]) -> tuple[list[int], str]:
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
        for piece in columns(array, fields):
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


def _summed_up(desk: Desk, arguments: Arguments, file: str, requested: str, arrays: list[JsonValue]) -> str:
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
        pieces: Iterable[list[list[Value]]] = columns(array, every_field) if every_field else [[[None] * array.size]]
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
