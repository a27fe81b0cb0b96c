"""The script of the `scripted` provider: where it comes from and what a rule may say."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from aura_py.config.environment_text import EnvironmentText
from aura_py.config.file_report import Location, display
from aura_py.config.files import UnreadableFile, parse, read_text
from aura_py.config.numbers import Integer
from aura_py.config.tables import Key, StrictSection, Table, Tree
from aura_py.config.template_language import script_language
from aura_py.config.values import NOTHING, Globs, GlobText, JsonSchema, Text, ValueType, refused, wrong_type


@dataclass(slots=True, frozen=True)
class Pattern(ValueType):
    """A regular expression."""

    label = "regular expression"

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, str):
            return wrong_type(at, "a string", value, "put the regular expression in quotes")
        try:
            re.compile(value)
        except (re.error, OverflowError, RecursionError) as error:
            position = getattr(error, "pos", None)
            where = "" if position is None else f" at position {position + 1}"
            reason = getattr(error, "msg", None) or str(error)
            return refused(
                at,
                "CFG-S11",
                f"the regular expression `{display(value)}` does not compile: {reason}{where}",
                "mend the expression; a literal special character needs a `\\` before it",
            )
        return value

    def json_schema(self) -> JsonSchema:
        return {"type": "string", "format": "regex"}


@dataclass(slots=True, frozen=True)
class Template(ValueType):
    """A Jinja2 template."""

    label = "Jinja2 template"

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, str):
            return wrong_type(at, "a string", value, f'put the text in quotes: `{at.name} = "…"`')
        return value if _parses(value, at) else NOTHING


@dataclass(slots=True, frozen=True)
class Arguments(ValueType):
    """A table whose strings, at any depth, are templates."""

    label = "table of templates"

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table", value, 'write `arguments = { name = "value" }`')
        return self._walk(value, at)

    def _walk(self, value: object, at: Location) -> object:
        if isinstance(value, str):
            _parses(value, at)
            return str(value)
        if isinstance(value, dict):
            return {str(key): self._walk(item, at / key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._walk(item, at / index) for index, item in enumerate(value)]
        return value if isinstance(value, bool | int | float) else str(value)

    def json_schema(self) -> JsonSchema:
        return {"type": "object"}


def _parses(text: str, at: Location) -> bool:
    if "{" not in text:
        return True
    from jinja2 import TemplateError

    try:
        script_language().from_string(text)
    except (TemplateError, RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).rstrip(".")
        reason = "" if isinstance(text, EnvironmentText) else f": {display(reason)}"
        at.error(
            "CFG-S12",
            f"the template in `{at.key}` does not compile{reason}",
            "close every `{{`, `{%` and quote; text that is not a template goes into `{% raw %}`…`{% endraw %}`",
        )
        return False
    return True


class ScriptCall(StrictSection):
    """A tool call that the model proposes."""

    name: Annotated[str, Text(blank="refuse", blank_code="CFG-S01"), Key("Name of the tool.", example='`name = "…"`')]
    arguments: Annotated[Mapping[str, Any], Arguments(), Key("Arguments; strings inside are templates.")] = Field(
        default_factory=dict
    )


class ScriptUsage(StrictSection):
    """Token counts to report."""

    input: Annotated[int, Key("Tokens read.")] = 0
    output: Annotated[int, Key("Tokens written.")] = 0
    cached: Annotated[int, Key("Tokens read from a cache.")] = 0
    reasoning: Annotated[int, Key("Tokens of reasoning.")] = 0


class ScriptFailure(StrictSection):
    """Fail as a provider would."""

    status: Annotated[int, Integer(100, 599), Key("HTTP status of the failure.")] = 500
    code: Annotated[str | None, Text(), Key("The provider's error code.")] = None
    message: Annotated[str, Key("The provider's error message.")] = "scripted failure"
    after_chars: Annotated[int | None, Key("Fail after this many characters instead of before the first.")] = None


class ScriptRule(StrictSection):
    """When it matches, it answers."""

    user: Annotated[
        str | None, Pattern(), Key("Matches when found in the last user message; named groups become variables.")
    ] = None
    system: Annotated[str | None, Pattern(), Key("Matches when found in the system prompt.")] = None
    role: Annotated[Literal["agent", "coordinator", "worker"] | None, Key("Matches this role.")] = None
    worker: Annotated[str | None, GlobText(), Key("Matches the worker's name.")] = None
    tools: Annotated[Globs | None, Key("Matches when every one of these is offered.")] = None
    after_tool: Annotated[
        str | None, GlobText(), Key("Matches when the conversation ends with a result of such a tool.")
    ] = None
    after_error: Annotated[bool | None, Key("Matches when that result was (not) an error.")] = None
    call: Annotated[int | None, Integer(1), Key("Matches the n-th model call of the run.")] = None
    phase: Annotated[Literal["plan", "continue"] | None, Key("Matches this phase of the coordinator.")] = None

    say: Annotated[str | None, Template(), Key("The answer.")] = None
    reasoning: Annotated[str | None, Template(), Key("Reasoning before anything else.")] = None
    tool_calls: Annotated[tuple[ScriptCall, ...], Key("Tool calls proposed in this turn.")] = ()
    as_text: Annotated[bool, Key("Write the tool calls as text.")] = False
    format: Annotated[Literal["json", "hermes", "pythonic", "qwen"], Key("How `as_text` writes them.")] = "json"
    finish: Annotated[Literal["stop", "length", "content_filter"], Key("Why the model stops.")] = "stop"
    usage: Annotated[ScriptUsage | None, Key("Token counts; absent: counted.")] = None
    delay_ms: Annotated[int, Key("Silence before the answer, in milliseconds.")] = 0
    jitter_ms: Annotated[int, Key("Random part of that silence.")] = 0
    error: Annotated[ScriptFailure | None, Key("Fail as a provider would.")] = None
    hang: Annotated[bool, Key("Never answer.")] = False
    times: Annotated[int | None, Integer(1), Key("Stop matching after this many uses.")] = None


class _ScriptFile(StrictSection):
    rules: Annotated[tuple[ScriptRule, ...], Key("Tried in order.", example="at least one `[[rules]]`")]


def load_script(tree: Tree, at: Location) -> None:
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
        loaded = _read_script(script, at / "script")
        if loaded is not None:
            tree["rules"] = loaded


def _read_script(path: Path, at: Location) -> object:
    try:
        text = read_text(path)
        raw = parse(path, text)
    except UnreadableFile as error:
        if os.path.isfile(path):
            at.file.adopt(replace(error.diagnostic, file=Path(at.shown_path(path))))
        else:
            at.error(
                "CFG-F03",
                f"the script `{at.shown_path(path)}` cannot be read: {error.reason}",
                "create it, or correct the path; it starts at the agent's file",
            )
        return None
    part = at.file.add_file(Path(at.shown_path(path)), text)
    tree = Table(_ScriptFile).read_keys(raw, part.root)
    return tree.get("rules")
