"""Tables of an agent file as data: keys, requirements, strictness. The reader, the JSON Schema and the generated
reference all follow these descriptions, so they cannot disagree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from aura_py.config.models import Section
from aura_py.config.problems import At, shown
from aura_py.config.spelling import near_miss
from aura_py.config.templates import Unresolved
from aura_py.config.values import NOTHING, TEMPLATE_SCHEMA, JsonSchema, Kind, emptiness, wrong_type

Tree: TypeAlias = dict[str, Any]
"""What was read from a table so far: model field to value, without what was wrong."""

Check: TypeAlias = Callable[[Tree, At], None]


@dataclass(slots=True, frozen=True)
class Key:
    """One key of a table. ``example`` completes "add …" when it is missing."""

    kind: Kind
    doc: str
    required: bool = False
    example: str = ""
    missing_code: str = "CFG-S01"
    missing_message: str = ""


@dataclass(slots=True, frozen=True)
class Advice:
    """Why a key that is well known does not belong here, and what to do."""

    message: str
    fix: str
    code: str = "CFG-S09"


@dataclass(slots=True, frozen=True)
class Shape:
    """A table: its keys, and what to say about every key that is not one of them.

    ``strict`` tables refuse unknown keys. ``misplaced`` keys are errors with advice, ``retired`` ones are ignored with
    a warning. ``aliases`` are spellings that are handled by ``check``. ``check`` looks at the table as a whole.
    """

    model: type[Section] | None
    keys: Mapping[str, Key]
    doc: str = ""
    strict: bool = False
    misplaced: Mapping[str, Advice] = field(default_factory=dict)
    retired: Mapping[str, str] = field(default_factory=dict)
    legacy: Mapping[str, Key] = field(default_factory=dict)
    """Keys that are still read but not recommended."""
    check: Check | None = None

    def read(self, raw: Mapping[str, object], at: At) -> Tree:
        tree: Tree = {}
        for name, value in raw.items():
            key = self.keys.get(name) or self.legacy.get(name)
            if key is None:
                self._unknown(name, at)
                continue
            result = key.kind.read(value, at / name)
            if result is not NOTHING:
                tree[str(name)] = result
        for name, key in self.keys.items():
            if key.required and name not in raw:
                message = key.missing_message or f"missing required key `{name}` in {at.table}"
                (at / name).error(key.missing_code, message, f"add {key.example or f'`{name}`'}")
        if self.check is not None:
            self.check(tree, at)
        return tree

    def _unknown(self, name: str, at: At) -> None:
        here = at / name
        if isinstance(name, Unresolved):
            return
        advice = self.misplaced.get(name)
        if advice is not None:
            here.error(advice.code, advice.message, advice.fix)
            return
        if name in self.retired:
            here.warn("WARN-KEY02", f"`{here.key}` is retired and ignored", self.retired[name])
            return
        nearest = near_miss(name, (*self.keys, *self.legacy))
        if self.strict:
            allowed = ", ".join(f"`{key}`" for key in self.keys)
            hint = f"did you mean `{nearest}`? " if nearest else ""
            here.error(
                "CFG-S05", f"unknown key `{shown(name)}` in {at.table}", f"{hint}remove it; allowed keys are {allowed}"
            )
        elif nearest is not None:
            here.error(
                "CFG-S06",
                f"unknown key `{shown(name)}` in {at.table}, did you mean `{nearest}`?",
                f"rename it to `{nearest}`",
            )
        elif at.file.strict:
            here.error("WARN-KEY01", f"unknown key `{shown(name)}` in {at.table}", "remove it (strict mode is on)")
        else:
            here.warn("WARN-KEY01", f"unknown key `{shown(name)}` in {at.table} is ignored", "remove it")

    def default_of(self, name: str) -> object:
        """The model's default; ``NO_DEFAULT`` when there is none to show."""
        info: FieldInfo | None = self.model.model_fields.get(name) if self.model is not None else None
        if info is None or info.default is PydanticUndefined or info.default is None:
            return NO_DEFAULT
        return info.default

    def schema(self, constants: Mapping[str, JsonSchema] | None = None) -> JsonSchema:
        properties: JsonSchema = {}
        for name, key in self.keys.items():
            described = {**key.kind.schema(), "description": key.doc}
            default = self.default_of(name)
            if isinstance(default, str | int | float):
                described["default"] = default
            properties[name] = described
        for name, constant in (constants or {}).items():
            properties[name] = {**constant, "description": self.keys[name].doc}
        for name, key in self.legacy.items():
            properties.setdefault(name, {**key.kind.schema(), "description": key.doc, "deprecated": True})
        for name, replacement in self.retired.items():
            properties[name] = {"description": f"Retired and ignored; {replacement}.", "deprecated": True}
        for name, advice in self.misplaced.items():
            properties.setdefault(name, {"not": {}, "description": f"{advice.message}; {advice.fix}."})
        result: JsonSchema = {"type": "object", "properties": properties}
        required = [name for name, key in self.keys.items() if key.required]
        if required:
            result["required"] = required
        if self.strict:
            result["additionalProperties"] = False
        if self.doc:
            result["description"] = self.doc
        return result


NO_DEFAULT: Final = object()


def _constant(word: str, *, fold: bool) -> JsonSchema:
    """A tag's word; folded, also with spaces around it and in any letter case."""
    choices: list[JsonSchema] = [{"const": word}, TEMPLATE_SCHEMA]
    if fold:
        letters = "".join(f"[{char}{char.upper()}]" if char.isalpha() else char for char in word)
        choices.append({"type": "string", "pattern": rf"^\s*{letters}\s*$"})
    return {"anyOf": choices}


@dataclass(slots=True, frozen=True)
class Table(Kind):
    """A table of one shape."""

    shape: Shape

    def _read(self, value: object, at: At) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table", value, f"write `[{at.header}]`")
        return self.shape.read(value, at)

    def schema(self) -> JsonSchema:
        return self.shape.schema()

    def describe(self) -> str:
        return "table"


@dataclass(slots=True, frozen=True)
class TableMap(Kind):
    """A table of named entries, in file order."""

    entry: Kind
    check: Check | None = None

    def _read(self, value: object, at: At) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table of tables", value, f"write `[{at.header}.<name>]`")
        result: Tree = {}
        for name, item in value.items():
            entry = self.entry.read(item, at / name)
            if entry is not NOTHING and not isinstance(name, Unresolved):
                result[name] = entry
        if self.check is not None:
            self.check(value, at)
        return result

    def schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": self.entry.schema()}

    def describe(self) -> str:
        return "table of tables"


@dataclass(slots=True, frozen=True)
class TableList(Kind):
    """An array of tables."""

    entry: Kind

    def _read(self, value: object, at: At) -> object:
        if not isinstance(value, list):
            return wrong_type(at, "an array of tables", value, f"write `[[{at.header}]]`")
        result: list[object] = []
        for index, item in enumerate(value):
            here = at / index
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                at.file.names[here.path] = str(shown(item["name"]))
            entry = self.entry.read(item, here)
            if entry is not NOTHING:
                result.append(entry)
        return result

    def schema(self) -> JsonSchema:
        return {"type": "array", "items": self.entry.schema()}

    def describe(self) -> str:
        return "array of tables"


@dataclass(slots=True, frozen=True)
class Variant(Kind):
    """A table whose ``tag`` decides which keys it has.

    ``foreign_code`` is the error for a key that another variant has; ``on_missing`` reports a missing tag.
    """

    tag: str
    shapes: Mapping[str, Shape]
    on_missing: Callable[[At], None]
    unknown_code: str = "CFG-S10"
    foreign_code: str = "CFG-S05"
    fold: bool = False
    suggestions: Mapping[str, str] = field(default_factory=dict)

    def _read(self, value: object, at: At) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table", value, f"write `[{at.header}]`")
        word = value.get(self.tag)
        here = at / self.tag
        if word is None:
            self.on_missing(at)
            return NOTHING
        if isinstance(word, Unresolved):
            return NOTHING
        if not isinstance(word, str):
            return wrong_type(here, "a string", word, self._choices())
        chosen = word.strip().lower() if self.fold else str(word)
        shape = self.shapes.get(chosen)
        if shape is None:
            self._unknown_word(word, here)
            return NOTHING
        own: dict[str, object] = {}
        for name, item in value.items():
            owners = [] if name in shape.keys or name in shape.misplaced else self.owners(name)
            if owners:
                self._foreign(name, chosen, owners, at)
            else:
                own[name] = item
        own[self.tag] = chosen
        return shape.read(own, at)

    def owners(self, name: str) -> list[str]:
        return [word for word, shape in self.shapes.items() if name in shape.keys]

    def _unknown_word(self, word: str, here: At) -> None:
        hint = self.suggestions.get(word.strip().lower())
        start = f"write `{hint}`; " if hint else ""
        message = f"`{shown(word)}` is not a value of `{here.key}`{emptiness(word)}"
        here.error(self.unknown_code, message, start + self._choices())

    def _foreign(self, name: str, chosen: str, owners: list[str], at: At) -> None:
        words = ", ".join(f"`{word}`" for word in owners)
        extra = " (elsewhere use `additional_params`)" if name == "reasoning_effort" else ""
        (at / name).error(
            self.foreign_code,
            f"unknown key `{shown(name)}` for {self.tag} `{chosen}` in {at.table}: it is only for {words}",
            f"remove it or change `{self.tag}`{extra}",
        )

    def _choices(self) -> str:
        return "allowed values are " + ", ".join(f"`{word}`" for word in self.shapes)

    def schema(self) -> JsonSchema:
        return {
            "anyOf": [shape.schema({self.tag: _constant(word, fold=self.fold)}) for word, shape in self.shapes.items()]
        }

    def describe(self) -> str:
        return "table"


def missing_tag(tag: str, words: str, code: str = "CFG-S01") -> Callable[[At], None]:
    """The report of a missing tag in the usual form."""

    def report(at: At) -> None:
        (at / tag).error(code, f"missing required key `{tag}` in {at.table}", f"add `{tag}`: one of {words}")

    return report
