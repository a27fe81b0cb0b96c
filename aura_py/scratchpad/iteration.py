"""``iterate_over``: chosen fields of many items, filtered, sorted or summed up."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from aura_py.messages import Json
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.columns import MISSING, Missing, Path, Value, columns
from aura_py.scratchpad.conditions import aggregates, combine, conditions, is_not_finite, sort_key, sort_order
from aura_py.scratchpad.errors import HardError
from aura_py.scratchpad.json_values import JsonValue
from aura_py.scratchpad.lines import split
from aura_py.scratchpad.locate import Lookup, follow, steps_of
from aura_py.scratchpad.results import ExplorationContext, Result, answer, quoted

_LINES = 5
_LONGEST = 500
_LARGEST = 4000
_ALL = 1 << 53
_Array = tuple[str, JsonValue]


def iterate_over(context: ExplorationContext, arguments: Arguments) -> str:
    file, requested = arguments.text("file"), arguments.text("path")
    arrays = Lookup(context, file, requested).arrays()
    selection = _Selection(arguments, arrays)
    if arguments.has("aggregate") or arguments.has("group_by"):
        return _summed_up(context, arguments, selection)
    names = [name for part in arguments.text("fields", "").split(",") if (name := part.strip())]
    if not names:
        raise HardError("invalid argument: `fields` names no field; give for example `id, name, metadata.score`")
    fields = [(name, _field(name)) for name in names]
    offset = arguments.count("offset", 0)
    limit = arguments.count("limit", _ALL, least=1)
    if arguments.has("where") or arguments.has("sort_by"):
        order = selection.in_order(arguments.text("sort_by", ""), arguments.has("sort_by"))
        total = len(order)
        items: Iterator[tuple[int, str, JsonValue]] = ((index, *_item(arrays, index)) for index in order[offset:])
    else:
        total = sum(array.size for _, array in arrays)
        items = _items(arrays, offset)
    wanted = max(0, min(limit, total - offset))
    listed = ", ".join(names)
    path = arrays[0][0] if len(arrays) == 1 else requested
    chosen = "".join(f", {name}={quoted(arguments.text(name))}" for name in ("where", "sort_by") if arguments.has(name))

    def facts(shown: int) -> str:
        part = f" {offset}-{offset + shown - 1}," if shown < total and shown else ""
        return f"{path} ({total} {selection.kind}{selection.note},{part} fields: [{listed}])"

    def more(shown: int) -> str:
        rest = "" if limit >= _ALL else f", limit={wanted - shown}"
        call = f'iterate_over(file="{file}", path={quoted(path)}, fields="{listed}"{chosen}'
        return f"{call}, offset={offset + shown}{rest})"

    result = Result(
        "iterate_over", facts, more, {"item_count": total, "requested_fields": names},
        [
            "fewer fields, or a limit",
            f'get_in(file="{file}", path="{path}[0]") for one item by its index',
            f'grep(file="{file}", pattern="…")',
        ],
        join=_listed,
        lines=lambda units: _listed(units).count("\n") + 1,
    )  # fmt: skip
    return answer(context, result, (_row(file, *item, fields) for item in islice(items, wanted)))


class _Selection:
    """The items that ``where`` keeps. What there is to tell of the fields it looked at is known after a pass."""

    def __init__(self, arguments: Arguments, arrays: list[_Array]) -> None:
        self._wanted = conditions(arguments.text("where")) if arguments.has("where") else []
        self._arrays = arrays
        self._absent: set[str] = set()
        self.left_out: Counter[str] = Counter()
        self.kind = "matching items" if self._wanted else "items"

    def passing(self, extra: Sequence[str]) -> Iterator[tuple[list[int], list[list[Value]]]]:
        """Batches of indexes, over all arrays, with the values of further fields, a column each."""
        names = [*(condition.field for condition in self._wanted), *extra]
        paths = [_field(name) for name in names]
        self._absent = set(names)
        passed = 0
        for _, array in self._arrays:
            for batch in columns(array, paths) if paths else ():
                kept: Sequence[int] = range(len(batch[0]))
                for condition, column in zip(self._wanted, batch, strict=False):
                    if condition.is_numeric:
                        self.left_out[condition.field] += sum(is_not_finite(column[at]) for at in kept)
                    test = condition.test()
                    kept = [at for at in kept if test(column[at])]
                for name, column in zip(names, batch, strict=True):
                    if name in self._absent and column.count(MISSING) < len(column):
                        self._absent.discard(name)
                yield (
                    [passed + at for at in kept],
                    [[column[at] for at in kept] for column in batch[len(self._wanted) :]],
                )
                passed += len(batch[0])
            if not paths:
                yield list(range(passed, passed + array.size)), []
                passed += array.size

    def in_order(self, sort_by: str, is_sorted: bool) -> list[int]:
        """Indexes of the items, in the order that ``sort_by`` asks for."""
        field, descending = sort_order(sort_by) if is_sorted else ("", False)
        found: list[int] = []
        keys: list[tuple[int, float | str]] = []
        for indexes, extra in self.passing([field] if field else []):
            found += indexes
            if field:
                keys += map(sort_key, extra[0])
        if not field:
            return found
        places = range(len(found))
        ranked = sorted((at for at in places if keys[at][0] < 3), key=keys.__getitem__, reverse=descending)
        return [found[at] for at in (*ranked, *(at for at in places if keys[at][0] == 3))]

    @property
    def note(self) -> str:
        absent = f", no item has {' or '.join(f'`{name}`' for name in sorted(self._absent))}" if self._absent else ""
        return absent + "".join(
            f", {name} without {times} that are no finite numbers" for name, times in self.left_out.items() if times
        )


def _summed_up(context: ExplorationContext, arguments: Arguments, selection: _Selection) -> str:
    file, requested = arguments.text("file"), arguments.text("path")
    asked = aggregates(arguments.text("aggregate", "count"))
    grouping = arguments.text("group_by", "").strip()
    fields = [one.field for one in asked if one.field]
    groups: dict[str, list[list[Value]]] = {} if grouping else {"": [[] for _ in fields]}
    sizes: Counter[str] = Counter()
    for indexes, values in selection.passing([*fields, grouping] if grouping else fields):
        for key, places in _grouped(values[-1] if grouping else None, len(indexes)):
            sizes[key] += len(places)
            for into, column in zip(groups.setdefault(key, [[] for _ in fields]), values, strict=False):
                into.extend(column[at] for at in places)
    units: list[str] = []
    for key, group in sorted(groups.items(), key=lambda item: (-sizes[item[0]], item[0])):
        row: dict[str, Json] = {grouping: json.loads(key)} if grouping else {}
        remaining = iter(group)
        for one in asked:
            row[one.name] = sizes[key]
            if one.field:
                row[one.name], left_out = combine(one.function, next(remaining))
                selection.left_out[one.name] += left_out
        units.append("  " + json.dumps(row, indent=2, ensure_ascii=False, default=str).replace("\n", "\n  "))
    names: list[Json] = [one.name for one in asked]
    by = f" by {grouping}" if grouping else ""
    told = f"{requested} ({sizes.total()} {selection.kind}, {', '.join(map(str, names))}{by}{selection.note})"
    result = Result(
        "iterate_over",
        lambda _shown: told,
        lambda _shown: f'iterate_over(file="{file}", path="{requested}", where="…", …) on fewer items',
        {"item_count": sizes.total(), "requested_fields": names},
        ["a `where` that keeps fewer items", "group_by a field with fewer values", f'grep(file="{file}", pattern="…")'],
        join=_listed,
    )
    return answer(context, result, units)


def _field(name: str) -> Path:
    steps = steps_of(name)
    if any(step.kind == "every" for step in steps):
        raise HardError(f"invalid argument: field `{name}` holds `*`; put the wildcard into `path` instead")
    return steps


def _listed(units: Sequence[str]) -> str:
    return "[\n" + ",\n".join(units) + "\n]" if units else "[]"


def _grouped(column: list[Value] | None, size: int) -> Iterator[tuple[str, Sequence[int]]]:
    """The groups of a batch by their JSON, which is written once for each of the texts that most groups have."""
    if column is None:
        yield "", range(size)
        return
    members: defaultdict[tuple[bool, str], list[int]] = defaultdict(list)
    for at, value in enumerate(column):
        members[(True, value) if isinstance(value, str) else (False, _written_group(value))].append(at)
    for (is_text, key), places in members.items():
        yield quoted(key) if is_text else key, places


def _written_group(value: Value) -> str:
    return "null" if isinstance(value, Missing) else json.dumps(value, ensure_ascii=False, default=str)


def _items(arrays: list[_Array], offset: int) -> Iterator[tuple[int, str, JsonValue]]:
    passed = 0
    for path, array in arrays:
        size = array.size
        if offset < passed + size:
            for position, item in array.children(max(0, offset - passed)):
                yield passed + int(position), f"{path}[{position}]", item
        passed += size


def _item(arrays: list[_Array], index: int) -> _Array:
    for path, array in arrays:
        if index < array.size and (item := array.element(index)) is not None:
            return f"{path}[{index}]", item
        index -= array.size
    raise IndexError(index)


def _row(file: str, index: int, path: str, item: JsonValue, fields: list[tuple[str, Path]]) -> str:
    members = [f'    "_index": {index}']
    for name, steps in fields:
        found = follow(path, item, steps)
        written = "null" if found is None else _written(file, *found)
        members.append(f"    {quoted(name)}: {written}")
    return "  {\n" + ",\n".join(members) + "\n  }"


def _written(file: str, path: str, value: JsonValue) -> str:
    """A value as JSON, long ones cut with a note that says where the whole is."""
    size = value.end - value.start
    if (size <= _LONGEST and b"\\n" not in value.raw) or (value.kind != "string" and size <= _LARGEST):
        return value.rendered(size)[0].replace("\n", "\n    ")
    call = f"get_in(file={file}, path={path})"
    if value.kind != "string":
        return quoted(f"[{value.kind} of {value.size}, {size} bytes; {call} has it]")
    text = value.string
    lines = split(text)
    if len(lines) > _LINES:
        kept = "\n".join(line[:_LONGEST] for line in lines[:_LINES])
        text = f"{kept}\n[cut: 5 of {len(lines)} lines; {call} has all]"
    elif len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} [cut: {_LONGEST} of {len(text)} characters; {call} has all]"
    return quoted(text)
