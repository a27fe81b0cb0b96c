"""From a path to the values it names, or to an error that teaches the right path (§6.8, S-10)."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from aura_py.messages import Json
from aura_py.scratchpad import addresses
from aura_py.scratchpad.addresses import AddressError, Step
from aura_py.scratchpad.documents import DOCUMENTS, JsonView
from aura_py.scratchpad.jsontext import JsonText, Node
from aura_py.scratchpad.replies import Desk, HardError, SoftError

_MOST_KEYS = 100


def json_view(desk: Desk, file: str) -> JsonView:
    """The JSON of a file. Raises ``HardError`` for any other text."""
    view = desk.open(file).json
    DOCUMENTS.settle()
    if view is None:
        raise HardError(f"not JSON: `{file}` holds another kind of text; use read, head, grep or slice instead")
    return view


def steps_of(path: str) -> tuple[Step, ...]:
    try:
        return addresses.parse(path)
    except AddressError as error:
        raise HardError(f"invalid argument: {error}; write it as `$.a.b[0]`") from error


def one(desk: Desk, file: str, text: JsonText, steps: tuple[Step, ...], requested: str) -> tuple[str, Node]:
    """The printed path and the value of a path without wildcards."""
    path, node = "$", text.root
    for position, step in enumerate(steps):
        found = _down(text, node, step)
        if found is None:
            # A key may hold dots: try the rest of the path as one key before giving up.
            joined = _joined(steps[position:])
            found = _down(text, node, Step(joined, "key")) if joined and text.kind(node) == "object" else None
            if found is None:
                raise _missing(desk, file, text, path, node, step, requested)
            return addresses.join(path, found[0]), found[1]
        path, node = addresses.join(path, found[0]), found[1]
    return path, node


def every(desk: Desk, file: str, text: JsonText, steps: tuple[Step, ...], requested: str) -> Iterator[tuple[str, Node]]:
    """All values of a path with wildcards, in document order. Branches without the rest of the path are left out."""
    position = next((index for index, step in enumerate(steps) if step.kind == "every"), None)
    if position is None:
        yield one(desk, file, text, steps, requested)
        return
    path, node = one(desk, file, text, steps[:position], requested)
    if not text.is_container(node):
        raise _missing(desk, file, text, path, node, steps[position], requested)
    pending: list[Iterator[tuple[str, Node, int]]] = [iter([(path, node, position)])]
    while pending:
        following = next(pending[-1], None)
        if following is None:
            pending.pop()
            continue
        path, node, position = following
        if position == len(steps):
            yield path, node
        else:
            pending.append(_branches(text, path, node, steps, position))


def _branches(
    text: JsonText, path: str, node: Node, steps: tuple[Step, ...], position: int
) -> Iterator[tuple[str, Node, int]]:
    step = steps[position]
    if step.kind == "every":
        if text.is_container(node):
            for name, child in text.children(node):
                yield addresses.join(path, name), child, position + 1
        return
    found = _down(text, node, step)
    if found is not None:
        yield addresses.join(path, found[0]), found[1], position + 1


def _joined(steps: tuple[Step, ...]) -> str:
    return "" if len(steps) < 2 or any(step.kind == "every" for step in steps) else ".".join(s.text for s in steps)


def _down(text: JsonText, node: Node, step: Step) -> tuple[str | int, Node] | None:
    kind = text.kind(node)
    if kind == "array" and step.kind in ("index", "either"):
        child = text.element(node, step.index)
        if child is None:
            return None
        return step.index + (text.size(node) if step.index < 0 else 0), child
    if kind == "object" and step.kind != "every":
        child = text.member(node, step.text)
        return None if child is None else (step.text, child)
    return None


def _missing(desk: Desk, file: str, text: JsonText, path: str, node: Node, step: Step, requested: str) -> SoftError:
    kind = text.kind(node)
    where = "the root" if path == "$" else f"`{path}`"
    fields: dict[str, Json] = {
        "error": "key_path_not_found",
        "message": f"`{step.text}` was not found at {where} of `{file}`, which is of kind {kind}",
        "requested_path": requested,
        "failed_segment": step.text,
        "valid_prefix": "" if path == "$" else path,
    }
    suggestions = [f'schema(file="{file}") shows the real structure; do not guess paths']
    if kind == "object":
        keys: list[str] = []
        for name, _ in text.children(node):
            keys.append(str(name))
            if len(keys) > _MOST_KEYS:
                break
        near = difflib.get_close_matches(step.text, keys, 3, 0.5)
        fields["available_keys"] = keys[:_MOST_KEYS]
        if not keys:
            suggestions.append(f"the object at {where} is empty")
        elif near:
            suggestions.append("did you mean " + " or ".join(f"`{key}`" for key in near) + "?")
        else:
            suggestions.append(f"the keys at {where} are: " + ", ".join(f"`{key}`" for key in keys[:20]))
    elif kind == "array":
        size = text.size(node)
        fields["array_length"] = size
        suggestions.append(
            f"the array at {where} is empty" if size == 0 else f"valid indexes at {where} are 0 to {size - 1}"
        )
    else:
        fields["value_type"] = kind
        suggestions.append(f"cannot descend into the {kind} at {where}")
    companions = desk.store.companions(file)
    if companions:
        fields["companion_files"] = [part.file for part in companions]
        for part in companions:
            how = "schema, get_in, item_schema, iterate_over" if part.laid_out else "schema, head, grep, slice"
            suggestions.append(f"`{part.file}` holds the content of {part.path}: use {how} on it")
    fields["suggestions"] = suggestions
    return SoftError(fields)
