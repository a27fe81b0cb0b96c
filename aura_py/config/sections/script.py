"""The script of the `scripted` provider: where it comes from and what a rule may say (``scripted-provider.md``)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from aura_py.config import models
from aura_py.config.jinja import compiler
from aura_py.config.numbers import Flag, Whole
from aura_py.config.problems import At, shown
from aura_py.config.source import Unreadable, parse, read_text
from aura_py.config.tables import Key, Shape, Table, TableList, Tree
from aura_py.config.templates import Templated
from aura_py.config.values import NOTHING, Choice, GlobText, JsonSchema, Kind, Strings, Text, wrong_type

_FILTERS = ("json", "tojson", "head", "lines", "number")


@dataclass(slots=True, frozen=True)
class Pattern(Kind):
    """A regular expression."""

    def _read(self, value: object, at: At) -> object:
        if not isinstance(value, str):
            return wrong_type(at, "a string", value, "put the regular expression in quotes")
        try:
            re.compile(value)
        except (re.error, OverflowError, RecursionError) as error:
            position = getattr(error, "pos", None)
            where = "" if position is None else f" at position {position + 1}"
            reason = getattr(error, "msg", None) or str(error)
            at.error(
                "CFG-S11",
                f"the regular expression `{shown(value)}` does not compile: {reason}{where}",
                "mend the expression; a literal special character needs a `\\` before it",
            )
            return NOTHING
        return value

    def schema(self) -> JsonSchema:
        return {"type": "string", "format": "regex"}

    def describe(self) -> str:
        return "regular expression"


@dataclass(slots=True, frozen=True)
class Template(Kind):
    """A Jinja2 template."""

    def _read(self, value: object, at: At) -> object:
        if not isinstance(value, str):
            return wrong_type(at, "a string", value, f'put the text in quotes: `{at.name} = "…"`')
        return value if _parses(value, at) else NOTHING

    def schema(self) -> JsonSchema:
        return {"type": "string"}

    def describe(self) -> str:
        return "Jinja2 template"


@dataclass(slots=True, frozen=True)
class Arguments(Kind):
    """A table whose strings, at any depth, are templates."""

    def _read(self, value: object, at: At) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table", value, 'write `arguments = { name = "value" }`')
        return self._walk(value, at)

    def _walk(self, value: object, at: At) -> object:
        if isinstance(value, str):
            _parses(value, at)
            return str(value)
        if isinstance(value, dict):
            return {str(key): self._walk(item, at / key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._walk(item, at / index) for index, item in enumerate(value)]
        return value if isinstance(value, bool | int | float) else str(value)

    def schema(self) -> JsonSchema:
        return {"type": "object"}

    def describe(self) -> str:
        return "table of templates"


def _parses(text: str, at: At) -> bool:
    if "{" not in text:
        return True
    from jinja2 import TemplateError

    try:
        compiler(*_FILTERS).from_string(text)
    except (TemplateError, RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).rstrip(".")
        reason = "" if isinstance(text, Templated) else f": {shown(reason)}"
        at.error(
            "CFG-S12",
            f"the template in `{at.key}` does not compile{reason}",
            "close every `{{`, `{%` and quote; text that is not a template goes into `{% raw %}`…`{% endraw %}`",
        )
        return False
    return True


_CALL = Shape(
    models.ScriptCall,
    {
        "name": Key(Text(blank="refuse", blank_code="CFG-S01"), "Name of the tool.", True, '`name = "…"`'),
        "arguments": Key(Arguments(), "Arguments; strings inside are templates."),
    },
    "A tool call that the model proposes.",
    strict=True,
)
_USAGE = Shape(
    models.ScriptUsage,
    {
        "input": Key(Whole(), "Tokens read."),
        "output": Key(Whole(), "Tokens written."),
        "cached": Key(Whole(), "Tokens read from a cache."),
        "reasoning": Key(Whole(), "Tokens of reasoning."),
    },
    "Token counts to report.",
    strict=True,
)
_FAILURE = Shape(
    models.ScriptFailure,
    {
        "status": Key(Whole(100, 599), "HTTP status of the failure."),
        "code": Key(Text(), "The provider's error code."),
        "message": Key(Text(), "The provider's error message."),
        "after_chars": Key(Whole(), "Fail after this many characters instead of before the first."),
    },
    "Fail as a provider would.",
    strict=True,
)


def _choice(field: str) -> Choice:
    words = [word for word in get_args(_unwrapped(field)) if isinstance(word, str)]
    return Choice(tuple(words))


def _unwrapped(field: str) -> object:
    annotation: object = models.ScriptRule.model_fields[field].annotation
    inner = [part for part in get_args(annotation) if get_args(part)]
    return inner[0] if inner else annotation


_RULE_SHAPE = Shape(
    models.ScriptRule,
    {
        "user": Key(Pattern(), "Matches when found in the last user message; named groups become variables."),
        "system": Key(Pattern(), "Matches when found in the system prompt."),
        "role": Key(_choice("role"), "Matches this role."),
        "worker": Key(GlobText(), "Matches the worker's name."),
        "tools": Key(Strings(GlobText()), "Matches when every one of these is offered."),
        "after_tool": Key(GlobText(), "Matches when the conversation ends with a result of such a tool."),
        "after_error": Key(Flag(), "Matches when that result was (not) an error."),
        "call": Key(Whole(1), "Matches the n-th model call of the run."),
        "phase": Key(_choice("phase"), "Matches this phase of the coordinator."),
        "say": Key(Template(), "The answer."),
        "reasoning": Key(Template(), "Reasoning before anything else."),
        "tool_calls": Key(TableList(Table(_CALL)), "Tool calls proposed in this turn."),
        "as_text": Key(Flag(), "Write the tool calls as text."),
        "format": Key(_choice("format"), "How `as_text` writes them."),
        "finish": Key(_choice("finish"), "Why the model stops."),
        "usage": Key(Table(_USAGE), "Token counts; absent: counted."),
        "delay_ms": Key(Whole(), "Silence before the answer, in milliseconds."),
        "jitter_ms": Key(Whole(), "Random part of that silence."),
        "error": Key(Table(_FAILURE), "Fail as a provider would."),
        "hang": Key(Flag(), "Never answer."),
        "times": Key(Whole(1), "Stop matching after this many uses."),
    },
    "When it matches, it answers.",
    strict=True,
)
RULE = Table(_RULE_SHAPE)
_FILE = Shape(None, {"rules": Key(TableList(RULE), "Tried in order.", True, "at least one `[[rules]]`")}, strict=True)


def check_source(tree: Tree, at: At) -> None:
    """Exactly one of `script` and `rules`; a script file is read and checked with the agent."""
    script, rules = tree.get("script"), tree.get("rules")
    if script is None and rules is None:
        if not at.file.failed_below(at.path):
            at.error(
                "CFG-S01",
                f"missing `script` or `rules` in {at.table}: the scripted provider needs exactly one of them",
                'add `script = "assistant.script.toml"`',
            )
    elif script is not None and rules is not None:
        (at / "script").error("CFG-S07", f"both `script` and `rules` are set in {at.table}", "keep one of them")
    elif script is not None:
        loaded = _load(script, at / "script")
        if loaded is not None:
            tree["rules"] = loaded


def _load(path: Path, at: At) -> object:
    try:
        text = read_text(path)
        raw = parse(path, text)
    except Unreadable as error:
        if os.path.isfile(path):
            at.file.adopt(replace(error.diagnostic, file=Path(at.shown_path(path))))
        else:
            at.error(
                "CFG-F03",
                f"the script `{at.shown_path(path)}` cannot be read: {error.reason}",
                "create it, or correct the path; it starts at the agent's file",
            )
        return None
    part = at.file.beside(Path(at.shown_path(path)), text)
    tree = _FILE.read(raw, part.root)
    return tree.get("rules")
