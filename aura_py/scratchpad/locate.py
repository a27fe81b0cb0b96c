"""From a path to the values it names, or to an error that teaches the right path."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from itertools import islice

from aura_py.messages import Json
from aura_py.scratchpad import addresses
from aura_py.scratchpad.addresses import AddressError, Step
from aura_py.scratchpad.errors import HardError, SoftError
from aura_py.scratchpad.json_values import JsonValue
from aura_py.scratchpad.results import ExplorationContext

_MOST_KEYS = 100
_MOST_BRANCHED = 100


class Lookup:
    """A path asked for in a JSON file, and what it leads to."""

    def __init__(self, context: ExplorationContext, file: str, requested: str) -> None:
        """Raises ``HardError`` for a file that holds no JSON, and for a path that cannot be read."""
        text = context.open(file).json
        if text is None:
            raise HardError(f"not JSON: `{file}` holds another kind of text; use read, head, grep or slice instead")
        self._store = context.store
        self._file = file
        self._requested = requested
        self._root = text.root
        self._steps = steps_of(requested)
        self._branch = next((at for at, step in enumerate(self._steps) if step.kind == "every"), len(self._steps))

    @property
    def has_wildcard(self) -> bool:
        return self._branch < len(self._steps)

    def value(self) -> tuple[str, JsonValue]:
        """The printed path and the value of the path up to its first wildcard."""
        path, value = "$", self._root
        steps = self._steps[: self._branch]
        for position, step in enumerate(steps):
            found = _down(path, value, step)
            if found is None:
                # A key may hold dots: try the rest of the path as one key before giving up.
                rest = ".".join(step.text for step in steps[position:])
                found = None if self.has_wildcard or rest == step.text else _down(path, value, Step(rest, "key"))
                if found is None:
                    raise self._missing(path, value, step)
                return found
            path, value = found
        return path, value

    def values(self) -> Iterator[tuple[str, JsonValue]]:
        """All values, in document order. Branches of a wildcard without the rest of the path are left out."""
        path, value = self.value()
        steps = self._steps[self._branch :]
        if steps and not value.is_container:
            raise self._missing(path, value, steps[0])
        if len(steps) > _MOST_BRANCHED:
            raise HardError(f"invalid argument: at most {_MOST_BRANCHED} steps may follow the first `*` of a path")
        found: Iterable[tuple[str, JsonValue]] = [(path, value)]
        for step in steps:
            found = _step(found, step)
        yield from found

    def arrays(self) -> list[tuple[str, JsonValue]]:
        """The values, which must be arrays."""
        found = list(self.values())
        for path, value in found:
            if value.kind != "array":
                raise HardError(f"invalid argument: {path} is no array but a value of kind {value.kind}; use get_in")
        return found

    def _missing(self, path: str, value: JsonValue, step: Step) -> SoftError:
        kind = value.kind
        where = "the root" if path == "$" else f"`{path}`"
        fields: dict[str, Json] = {
            "error": "key_path_not_found",
            "message": f"`{step.text}` was not found at {where} of `{self._file}`, which is of kind {kind}",
            "requested_path": self._requested,
            "failed_segment": step.text,
            "valid_prefix": "" if path == "$" else path,
        }
        suggestions = [f'schema(file="{self._file}") shows the real structure; do not guess paths']
        if kind == "object":
            keys = [str(name) for name, _ in islice(value.children(), _MOST_KEYS + 1)]
            near = difflib.get_close_matches(step.text, keys, 3, 0.5)
            fields["available_keys"] = keys[:_MOST_KEYS]
            if value.is_folded:
                suggestions.append(f"what {where} holds is nested too deep for paths; use grep and slice")
            elif not keys:
                suggestions.append(f"the object at {where} is empty")
            elif near:
                suggestions.append("did you mean " + " or ".join(f"`{key}`" for key in near) + "?")
            else:
                suggestions.append(f"the keys at {where} are: " + ", ".join(f"`{key}`" for key in keys[:20]))
        elif kind == "array":
            size = value.size
            fields["array_length"] = size
            suggestions.append(
                f"the array at {where} is empty" if size == 0 else f"valid indexes at {where} are 0 to {size - 1}"
            )
        else:
            fields["value_type"] = kind
            suggestions.append(f"cannot descend into the {kind} at {where}")
        companions = self._store.companions(self._file)
        if companions:
            fields["companion_files"] = [part.file for part in companions]
            for part in companions:
                how = (
                    "schema, get_in, item_schema, iterate_over"
                    if part.format == "json"
                    else "schema, head, grep, slice"
                )
                suggestions.append(f"`{part.file}` holds the content of {part.path}: use {how} on it")
        fields["suggestions"] = suggestions
        return SoftError(fields)


def steps_of(path: str) -> tuple[Step, ...]:
    try:
        return addresses.parse(path)
    except AddressError as error:
        raise HardError(f"invalid argument: {error}; write it as `$.a.b[0]`") from error


def follow(path: str, value: JsonValue, steps: tuple[Step, ...]) -> tuple[str, JsonValue] | None:
    """The printed path and the value of steps without wildcards from a value on, if it is there."""
    for step in steps:
        found = _down(path, value, step)
        if found is None:
            return None
        path, value = found
    return path, value


def _step(values: Iterable[tuple[str, JsonValue]], step: Step) -> Iterator[tuple[str, JsonValue]]:
    for path, value in values:
        if step.kind == "every":
            for name, child in value.children():
                yield addresses.join(path, name), child
        elif (found := _down(path, value, step)) is not None:
            yield found


def _down(path: str, value: JsonValue, step: Step) -> tuple[str, JsonValue] | None:
    if value.kind == "array" and step.is_index:
        child = value.element(step.index)
        name: str | int = step.index + (value.size if step.index < 0 else 0)
    else:
        child, name = value.member(step.text) if step.kind != "every" else None, step.text
    return None if child is None else (addresses.join(path, name), child)
