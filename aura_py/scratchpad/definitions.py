"""The exploration tools as the model is told of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aura_py.messages import Json, JsonObject
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.excerpts import head, read, slice_lines
from aura_py.scratchpad.get_in import get_in
from aura_py.scratchpad.item_schema import item_schema
from aura_py.scratchpad.iteration import iterate_over
from aura_py.scratchpad.listing import list_files
from aura_py.scratchpad.outline import schema
from aura_py.scratchpad.results import ExplorationContext
from aura_py.scratchpad.search import grep

Explore = Callable[[ExplorationContext, Arguments], str]


@dataclass(slots=True, frozen=True)
class Definition:
    name: str
    description: str
    parameters: JsonObject
    explore: Explore

    @property
    def known(self) -> frozenset[str]:
        properties = self.parameters["properties"]
        return frozenset(properties) if isinstance(properties, dict) else frozenset()


def _text(description: str) -> Json:
    return {"type": "string", "description": description}


def _whole(description: str, minimum: int = 0) -> Json:
    return {"type": "integer", "minimum": minimum, "description": description}


def _define(name: str, description: str, explore: Explore, required: list[str], **properties: Json) -> Definition:
    parameters: JsonObject = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return Definition(name, description, parameters, explore)


_FILE = _text("Name of the stored file, as the scratchpad message gives it.")
_PATH = _text("Path such as $.items[0].name, as schema prints it; $ is the whole file.")

DEFINITIONS: tuple[Definition, ...] = (
    _define(
        "head", "Shows the first lines of a stored file.", head, ["file"],
        file=_FILE, lines=_whole("How many lines (50)."),
    ),
    _define(
        "slice", "Shows a range of lines of a stored file, both ends included.", slice_lines, ["file", "start", "end"],
        file=_FILE, start=_whole("First line, from 1."), end=_whole("Last line."),
        from_char=_whole("For one very long line: the character of line `start` to begin at."),
    ),
    _define(
        "grep",
        "Finds the lines of a stored file that match a regular expression (RE2 syntax), with lines around them.",
        grep, ["file", "pattern"],
        file=_text("Name of the stored file; a pattern such as *.json, or . for all files."),
        pattern=_text("Regular expression, at most 1024 bytes; text that is none is searched literally."),
        context=_whole("Lines to show before and after each match (3)."),
        ignore_case={"type": "boolean", "description": "Ignore upper and lower case."},
        max_matches=_whole("Stop after so many matches.", 1),
        start_line=_whole("Begin at this line.", 1),
        from_char=_whole("For one very long line: the character of line `start_line` to begin at."),
    ),
    _define(
        "schema",
        "Shows the structure of a stored file with paths and line numbers, without its contents. Use it first.",
        schema, ["file"],
        file=_FILE, max_depth=_whole("Levels to show (4)."), path=_text("JSON only: show this part of the file."),
        offset=_whole("Lines of the result to leave out, to go on with a partial one."),
    ),
    _define(
        "item_schema",
        "Shows which keys the items of a JSON array have, their types, and how many items have them.",
        item_schema, ["file", "path"],
        file=_FILE, path=_PATH, offset=_whole("First item to look at (0)."), limit=_whole("Items to look at (all).", 1),
    ),
    _define(
        "get_in", "Shows one value of a stored JSON file by its path.", get_in, ["file", "path"],
        file=_FILE, path=_PATH,
        offset=_whole("For long strings: lines to skip (0)."), limit=_whole("For long strings: lines to show (100)."),
        from_char=_whole("For one very long line: the character to begin at."),
    ),
    _define(
        "iterate_over",
        "Shows chosen fields of the items of a JSON array; can filter, sort and aggregate over all items.",
        iterate_over, ["file", "path"],
        file=_FILE, path=_PATH,
        fields=_text("Fields separated by commas; each may be a path such as metadata.score. Not with aggregate."),
        offset=_whole("Items to skip (0)."), limit=_whole("Items to show (all that fit).", 1),
        where=_text('Conditions joined by "and": status == "error" and metadata.score > 3; also !=, contains, exists.'),
        sort_by=_text("Field to sort by; with a leading - from high to low."),
        group_by=_text("Field whose values form groups for aggregate."),
        aggregate=_text("Instead of items: count, min(field), max(field), sum(field), avg(field); by commas."),
    ),
    _define("read", "Shows a whole stored file. Only for small files.", read, ["file"], file=_FILE),
    _define(
        "list_files", "Lists the stored files: name, size, format, and the call each came from.", list_files, [],
        offset=_whole("Outputs to skip (0)."),
    ),
)  # fmt: skip
