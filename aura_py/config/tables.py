"""Tables of an agent file. A model states its keys once: type, default, documentation, what to say when one is missing.

The reader, the JSON Schema and the generated reference all follow the models, so they cannot disagree. To add a key,
add a field to a model in ``models/``::

    turn_depth: Annotated[int, Key("Rounds of tool calls per user turn.")] = 5

Its type says how it is read; what a type cannot say is a :class:`ValueType` beside the ``Key``, such as ``Integer(1)``.
A field without a default is a required key. What must hold between keys of one table is for its ``check``, and between
tables for ``relations``. Then run ``make docs``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from aura_py.config.environment_text import UnresolvedText
from aura_py.config.file_report import Location, display
from aura_py.config.numbers import Boolean, Float, Integer
from aura_py.config.spelling import near_miss
from aura_py.config.values import (
    NOTHING,
    TEMPLATE_SCHEMA,
    Choice,
    FilePath,
    JsonSchema,
    Secret,
    Strings,
    Text,
    ValueType,
    blank_reason,
    refused,
    wrong_type,
)

Tree: TypeAlias = dict[str, Any]
"""What was read from a table so far: model field to value, without what was wrong."""

Check: TypeAlias = Callable[[Tree, Location], None]


@dataclass(slots=True, frozen=True)
class Key:
    """What is said about one key beside its type and default.

    Args:
        doc: Its documentation.
        value_type: How it is read; by default what its type says.
        required: Whether it must be given; by default whether the field has no default.
        example: Completes "add …" when it is missing.
    """

    doc: str
    value_type: ValueType | None = None
    required: bool | None = None
    example: str = ""
    missing_code: str = "CFG-S01"
    missing_message: str = ""

    @property
    def reader(self) -> ValueType:
        assert self.value_type is not None, "it is taken from the type of the field"
        return self.value_type


@dataclass(slots=True, frozen=True)
class Advice:
    """Why a key that is well known does not belong here, and what to do."""

    message: str
    fix: str
    code: str = "CFG-S09"


class Section(BaseModel):
    """Base of every table. The fields that carry a :class:`Key` are its keys; the docstring documents the table."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    strict: ClassVar[bool] = False
    """Whether every unknown key is an error, and not only a near miss."""
    misplaced: ClassVar[Mapping[str, Advice]] = {}
    """Keys that are errors with advice."""
    retired: ClassVar[Mapping[str, str]] = {}
    """Keys that are ignored with a warning, and what to do instead."""
    legacy: ClassVar[Mapping[str, Key]] = {}
    """Keys that are still read but not recommended."""

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # Frozen. pydantic copies the default of a field for every table that leaves it out.
        return self

    @classmethod
    def value(cls, tree: Tree, name: str) -> Any:
        """What the file says for a key, else its default."""
        return tree.get(name, cls.model_fields[name].default)

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        """Look at the table as a whole, after its keys."""


class StrictSection(Section):
    """A table in which a key that does nothing could do harm."""

    strict: ClassVar[bool] = True


@dataclass(slots=True, frozen=True)
class Table(ValueType):
    """A table with the keys of a model, but for those it is ``without``.

    Its ``tag`` tells it from the others that may stand in its place; ``fold`` takes that in any letter case.
    """

    label = "table"

    model: type[Section]
    without: tuple[str, ...] = ()
    tag: str = ""
    fold: bool = False

    @property
    def keys(self) -> Mapping[str, Key]:
        """Every key with the type of its values, in the order of the model's fields."""
        return _keys(self.model, self.without)

    @property
    def word(self) -> str:
        """The value of the tag."""
        return str(self.model.model_fields[self.tag].default)

    @property
    def doc(self) -> str:
        return (self.model.__doc__ or "").strip()

    @property
    def legacy(self) -> Mapping[str, Key]:
        return self.model.legacy

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table", value, f"write `[{at.header}]`")
        return self.read_keys(value, at)

    def read_keys(self, raw: Mapping[str, object], at: Location) -> Tree:
        tree: Tree = {}
        keys = self.keys
        for name, value in raw.items():
            key = keys.get(name) or self.legacy.get(name)
            if key is None:
                self._unknown(name, at)
                continue
            result = key.reader.read(value, at / name)
            if result is not NOTHING:
                tree[str(name)] = result
        for name, key in keys.items():
            if key.required and name not in raw:
                message = key.missing_message or f"missing required key `{name}` in {at.table}"
                (at / name).error(key.missing_code, message, f"add {key.example or f'`{name}`'}")
        self.model.check(tree, at)
        return tree

    def _unknown(self, name: str, at: Location) -> None:
        here = at / name
        if isinstance(name, UnresolvedText):
            return
        advice = self.model.misplaced.get(name)
        if advice is not None:
            here.error(advice.code, advice.message, advice.fix)
            return
        if name in self.model.retired:
            here.warn("WARN-KEY02", f"`{here.key}` is retired and ignored", self.model.retired[name])
            return
        nearest = near_miss(name, (*self.keys, *self.legacy))
        if self.model.strict:
            allowed = ", ".join(f"`{key}`" for key in self.keys)
            hint = f"did you mean `{nearest}`? " if nearest else ""
            here.error(
                "CFG-S05",
                f"unknown key `{display(name)}` in {at.table}",
                f"{hint}remove it; allowed keys are {allowed}",
            )
        elif nearest is not None:
            here.error(
                "CFG-S06",
                f"unknown key `{display(name)}` in {at.table}, did you mean `{nearest}`?",
                f"rename it to `{nearest}`",
            )
        elif at.file.strict:
            here.error("WARN-KEY01", f"unknown key `{display(name)}` in {at.table}", "remove it (strict mode is on)")
        else:
            here.warn("WARN-KEY01", f"unknown key `{display(name)}` in {at.table} is ignored", "remove it")

    def default_of(self, name: str) -> object:
        """The model's default; ``NO_DEFAULT`` when there is none to show."""
        info: FieldInfo | None = self.model.model_fields.get(name)
        if info is None or info.default is PydanticUndefined or info.default is None:
            return NO_DEFAULT
        return info.default

    @property
    def name(self) -> str:
        """How the JSON Schema calls the table."""
        return "".join([self.model.__name__, *(f"Without{each.title()}" for each in self.without)])

    def json_schema(self) -> JsonSchema:
        return {"$ref": f"#/$defs/{self.name}"}

    def definition(self) -> JsonSchema:
        """The schema that ``json_schema`` refers to."""
        properties: JsonSchema = {}
        for name, key in self.keys.items():
            schema = key.reader.json_schema() if name != self.tag else _tag_schema(self.word, fold=self.fold)
            described = {**schema, "description": key.doc}
            default = self.default_of(name)
            if isinstance(default, str | int | float) and name != self.tag:
                described["default"] = default
            properties[name] = described
        for name, key in self.legacy.items():
            properties.setdefault(name, {**key.reader.json_schema(), "description": key.doc, "deprecated": True})
        for name, replacement in self.model.retired.items():
            properties[name] = {"description": f"Retired and ignored; {replacement}.", "deprecated": True}
        for name, advice in self.model.misplaced.items():
            properties.setdefault(name, {"not": {}, "description": f"{advice.message}; {advice.fix}."})
        result: JsonSchema = {"type": "object", "properties": properties}
        required = [name for name, key in self.keys.items() if key.required]
        if required:
            result["required"] = required
        if self.model.strict:
            result["additionalProperties"] = False
        if self.doc:
            result["description"] = self.doc
        return result


NO_DEFAULT: Final = object()


def _tag_schema(word: str, *, fold: bool) -> JsonSchema:
    """A tag's word; folded, also with spaces around it and in any letter case."""
    choices: list[JsonSchema] = [{"const": word}, TEMPLATE_SCHEMA]
    if fold:
        letters = "".join(f"[{char}{char.upper()}]" if char.isalpha() else char for char in word)
        choices.append({"type": "string", "pattern": rf"^\s*{letters}\s*$"})
    return {"anyOf": choices}


@dataclass(slots=True, frozen=True)
class TableMap(ValueType):
    """A table of named entries, in file order."""

    label = "table of tables"

    entry: ValueType
    check: Check | None = None

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table of tables", value, f"write `[{at.header}.<name>]`")
        result: Tree = {}
        for name, item in value.items():
            entry = self.entry.read(item, at / name)
            if entry is not NOTHING and not isinstance(name, UnresolvedText):
                result[name] = entry
        if self.check is not None:
            self.check(value, at)
        return result

    def json_schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": self.entry.json_schema()}


@dataclass(slots=True, frozen=True)
class TableList(ValueType):
    """An array of tables. ``entry`` comes from the type of the field when it is not given."""

    label = "array of tables"

    entry: ValueType = field(default_factory=Text)

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, list):
            return wrong_type(at, "an array of tables", value, f"write `[[{at.header}]]`")
        result: list[object] = []
        for index, item in enumerate(value):
            here = at / index
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                at.file.names[here.path] = str(display(item["name"]))
            entry = self.entry.read(item, here)
            if entry is not NOTHING:
                result.append(entry)
        return result

    def json_schema(self) -> JsonSchema:
        return {"type": "array", "items": self.entry.json_schema()}


@dataclass(slots=True, frozen=True)
class Variant(ValueType):
    """A table whose ``tag`` decides which keys it has.

    ``foreign_code`` is the error for a key that another variant has; ``missing_fix`` is said about a missing tag. The
    ``members`` come from the type of the field; they are read ``without`` some of their keys.
    """

    label = "table"

    tag: str
    missing_code: str = "CFG-S01"
    missing_fix: Callable[[Location], str] | None = None
    unknown_code: str = "CFG-S10"
    foreign_code: str = "CFG-S05"
    fold: bool = False
    suggestions: Mapping[str, str] = field(default_factory=dict, hash=False)
    without: tuple[str, ...] = ()
    members: tuple[type[Section], ...] = ()

    @property
    def tables(self) -> Mapping[str, Table]:
        return _variants(self.tag, self.members, self.without, self.fold)

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table", value, f"write `[{at.header}]`")
        word = value.get(self.tag)
        here = at / self.tag
        if word is None:
            choices = ", ".join(f"`{each}`" for each in self.tables)
            fix = self.missing_fix(at) if self.missing_fix else f"add `{self.tag}`: one of {choices}"
            message = f"missing required key `{self.tag}` in {at.table}: it is one of {choices}"
            return refused(here, self.missing_code, message, fix)
        if isinstance(word, UnresolvedText):
            return NOTHING
        if not isinstance(word, str):
            return wrong_type(here, "a string", word, self._choices())
        chosen = word.strip().lower() if self.fold else str(word)
        table = self.tables.get(chosen)
        if table is None:
            self._unknown_word(word, here)
            return NOTHING
        own: dict[str, object] = {}
        for name, item in value.items():
            owners = [] if name in table.keys or name in table.model.misplaced else self.owners(name)
            if owners:
                self._foreign(name, chosen, owners, at)
            else:
                own[name] = item
        own[self.tag] = chosen
        return table.read_keys(own, at)

    def owners(self, name: str) -> list[str]:
        return [word for word, table in self.tables.items() if name in table.keys]

    def _unknown_word(self, word: str, here: Location) -> None:
        hint = self.suggestions.get(word.strip().lower())
        start = f"write `{hint}`; " if hint else ""
        message = f"`{display(word)}` is not a value of `{here.key}`{blank_reason(word)}"
        here.error(self.unknown_code, message, start + self._choices())

    def _foreign(self, name: str, chosen: str, owners: list[str], at: Location) -> None:
        words = ", ".join(f"`{word}`" for word in owners)
        extra = " (elsewhere use `additional_params`)" if name == "reasoning_effort" else ""
        (at / name).error(
            self.foreign_code,
            f"unknown key `{display(name)}` for {self.tag} `{chosen}` in {at.table}: it is only for {words}",
            f"remove it or change `{self.tag}`{extra}",
        )

    def _choices(self) -> str:
        return "allowed values are " + ", ".join(f"`{word}`" for word in self.tables)

    def json_schema(self) -> JsonSchema:
        return {"anyOf": [table.json_schema() for table in self.tables.values()]}


# --- from the type of a field to the type of its values ---------------------------------------------------------------


@cache
def _keys(model: type[Section], without: tuple[str, ...]) -> Mapping[str, Key]:
    keys: dict[str, Key] = {}
    for name, info in model.model_fields.items():
        key = next((each for each in info.metadata if isinstance(each, Key)), None)
        if key is not None and name not in without:
            required = info.is_required() if key.required is None else key.required
            value_type = key.value_type or _value_type(info.annotation, info.metadata)
            keys[name] = replace(key, value_type=value_type, required=required)
    return keys


@cache
def _variants(
    tag: str, members: tuple[type[Section], ...], without: tuple[str, ...], fold: bool
) -> Mapping[str, Table]:
    tables = (Table(model, without, tag, fold) for model in members)
    return {table.word: table for table in tables}


_SIMPLE: Mapping[object, ValueType] = {bool: Boolean(), int: Integer(), float: Float(), Path: FilePath()}


def _value_type(annotation: object, metadata: Sequence[object] = (), *, optional: bool = False) -> ValueType:
    """How values of a type are read; a value type among the metadata wins."""
    given = next((each for each in metadata if isinstance(each, ValueType)), None)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return given or _value_type(arguments[0], arguments[1:], optional=optional)
    if isinstance(given, Variant):
        return replace(given, members=tuple(each for each in arguments if each is not NoneType))
    if isinstance(given, TableList):
        return replace(given, entry=_value_type(arguments[0]))
    if given is not None:
        return given
    if origin in (Union, UnionType):
        (inner,) = (each for each in arguments if each is not NoneType)
        return _value_type(inner, optional=True)
    if origin is Literal:
        return Choice(arguments)
    if origin is tuple:
        entry = _value_type(arguments[0])
        return TableList(entry) if isinstance(entry, Table | Variant) else Strings(entry)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return TableMap(_value_type(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return Table(annotation)
    if annotation is str:
        return Text(blank="absent") if optional else Text()
    if annotation is SecretStr:
        return Secret() if optional else Secret("refuse")
    return _SIMPLE[annotation]
