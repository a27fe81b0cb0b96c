"""``item_schema``: which keys the items of an array have."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from types import NoneType

from aura_py.messages import Json
from aura_py.scratchpad import addresses
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.columns import batches
from aura_py.scratchpad.errors import HardError
from aura_py.scratchpad.json_values import JsonValue
from aura_py.scratchpad.locate import Lookup
from aura_py.scratchpad.results import ExplorationContext, Result, answer

_TRUNCATED = "<...truncated>"
_DEEPEST = 32
_KINDS: dict[type, str] = {
    str: "string", int: "number", float: "number", bool: "bool", NoneType: "null", list: "array", dict: "object",
}  # fmt: skip


class Tally:
    """How often each dotted key has a value of each kind."""

    def __init__(self) -> None:
        self.items = 0
        self.seen: Counter[tuple[str, str]] = Counter()

    def add(self, array: JsonValue, first: int = 0, last: int | None = None) -> None:
        """Counts items ``first`` up to ``last`` (excluded) of an array."""
        for items in batches(array, first, last):
            self.items += len(items)
            self._add(items, "", 0)
            for item in items:
                if isinstance(item, JsonValue):
                    self._walk(item, "", 0)

    def rows(self) -> list[tuple[str, str, int]]:
        """Key, kinds and how many have it, in the order of keys."""
        kinds: dict[str, list[str]] = {}
        present: Counter[str] = Counter()
        for (key, kind), times in self.seen.items():
            kinds.setdefault(key, []).append(kind)
            present[key] += times
        return [(key, "|".join(sorted(kinds[key])), times) for key, times in sorted(present.items())]

    def _add(self, values: Iterable[object], prefix: str, level: int) -> None:
        """Counts objects with the same keys together, a column of values a key: so few steps are the interpreter's."""
        if level >= _DEEPEST:
            self._truncated(sum(1 for each in values if isinstance(each, dict) and each))
            return
        alike: defaultdict[tuple[str, ...], list[dict[str, Json]]] = defaultdict(list)
        for each in values:
            if isinstance(each, dict):
                alike[tuple(each)].append(each)
        for keys, group in alike.items():
            for key, column in zip(keys, zip(*map(dict.values, group), strict=True), strict=True):
                dotted = _dotted(prefix, key)
                kinds = set(map(type, column))
                if len(kinds) == 1:
                    self.seen[dotted, _KINDS[type(column[0])]] += len(column)
                else:
                    self.seen.update((dotted, _KINDS[type(value)]) for value in column)
                if dict in kinds:
                    self._add(column, f"{dotted}.", level + 1)

    def _walk(self, item: JsonValue, prefix: str, level: int) -> None:
        if item.kind != "object":
            return
        if level >= _DEEPEST:
            self._truncated(int(item.size > 0))
            return
        for key, child in item.children():
            dotted = _dotted(prefix, str(key))
            self.seen[dotted, child.kind] += 1
            self._walk(child, f"{dotted}.", level + 1)

    def _truncated(self, times: int) -> None:
        if times:
            self.seen[_TRUNCATED, "object"] += times


@lru_cache(4096)
def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}{addresses.join('$', name)[1:].removeprefix('.')}"


def item_schema(context: ExplorationContext, arguments: Arguments) -> str:
    file, requested = arguments.text("file"), arguments.text("path")
    windowed = arguments.has("offset") or arguments.has("limit")
    offset = arguments.count("offset", 0)
    limit = arguments.count("limit", 1 << 53, least=1)
    arrays = Lookup(context, file, requested).arrays()
    path = arrays[0][0] if len(arrays) == 1 else requested
    if windowed and len(arrays) != 1:
        raise HardError("invalid argument: `offset` and `limit` need a path to one array, without `*`")
    tally = Tally()
    total = sum(array.size for _, array in arrays) if windowed else 0
    first, last = (min(offset, total), min(offset + limit, total)) if windowed else (0, None)
    for _, array in arrays:
        tally.add(array, first, last)
    size = tally.items
    total = total if windowed else size
    scanned = f"(window: items [{first}..{first + size}) of {total} total)" if windowed else f"({total} items)"
    suffix = "items in window" if windowed else "items"
    rows = [f"{key:<40}{kinds:<20}{times}/{size or 1} {suffix}" for key, kinds, times in tally.rows()]
    title = f"{path} {scanned}\n\n{'KEY':<40}{'TYPE(S)':<20}PRESENT IN\n{'-' * 72}"
    call = f'item_schema(file="{file}", path="{path}", offset={offset}, limit={max(10, (size or total) // 2)})'
    result = Result(
        "item_schema",
        lambda _shown: file,
        lambda _shown: call,
        {"requested_file": file, "array_length": total, "window_size": size},
        [
            call,
            f'get_in(file="{file}", path="{path}[0]"), [{max(0, total // 2)}] or [{max(0, total - 1)}]',
            f'iterate_over(file="{file}", path="{path}", fields="…")',
        ],
        join=lambda units: "\n".join((title, *units)),
    )
    return answer(context, result, rows)
