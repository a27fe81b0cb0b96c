"""``{{ env.X }}`` placeholders, substituted on the parsed tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_START = re.compile(r"\{\{(!?)\s*env")
_REST = re.compile(
    r"""\s*env\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)"""
    r"""\s*(?:\|\s*default:\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")\s*)?\}\}"""
)
_SHELL_FORM = re.compile(
    r"\$\{(?:env:|input:)?([A-Za-z_][A-Za-z0-9_]*)(?::?-[^}]*)?\}"
    r"|\{\{\s*([A-Z][A-Z0-9_]*)\s*\}\}"
    r"|\A\$([A-Z][A-Z0-9_]*)\Z"
)
_SHOWN = 60

Path = tuple[str | int, ...]
"""Steps from the root of a file to a value: keys and indexes."""

_PROSE = frozenset({"system_prompt", "preamble", "worker_system_prompt", "description", "context", "context_prefix"})
_SCRIPT_PROSE = frozenset({"say", "reasoning", "arguments"})


def is_prose(path: Path) -> bool:
    """Whether a text may well contain other people's templates: prompts, descriptions, the texts of inline scripts."""
    names = [step for step in path if isinstance(step, str)]
    return names[-1] in _PROSE or ("rules" in names and not _SCRIPT_PROSE.isdisjoint(names))


class EnvironmentText(str):
    """A string (part of) which came from the environment; ``source`` is what the file says instead."""

    __slots__ = ("source", "variables")
    source: str
    variables: tuple[str, ...]

    def __new__(cls, value: str, source: str, variables: tuple[str, ...]) -> EnvironmentText:
        made = super().__new__(cls, value)
        made.source = source
        made.variables = variables
        return made

    def __repr__(self) -> str:
        return repr(self.source)


class UnresolvedText(EnvironmentText):
    """A template that could not be resolved; the problem is reported already, so readers pass over it."""

    __slots__ = ()


@dataclass(slots=True, frozen=True)
class MalformedPlaceholder:
    """Text that starts like a placeholder but is none."""

    path: Path
    text: str
    variable: str = ""
    """The variable that another program's form, such as ``${NAME}``, stands for."""


@dataclass(slots=True)
class SubstitutionFindings:
    """What substitution met in one file."""

    missing: dict[str, list[Path]] = field(default_factory=dict)
    undecodable: dict[str, list[Path]] = field(default_factory=dict)
    malformed: list[MalformedPlaceholder] = field(default_factory=list)
    collisions: list[tuple[Path, str, str]] = field(default_factory=list)


def source_of(step: str | int) -> str | int:
    """A step as the file spells it."""
    return step.source if isinstance(step, EnvironmentText) else step


def substitute(tree: dict[str, object], env: Mapping[str, str]) -> tuple[dict[str, object], SubstitutionFindings]:
    """A copy of the tree with every placeholder resolved once, as data; the values of variables are not looked into."""
    findings = SubstitutionFindings()

    def text(value: str, path: Path) -> str:
        if "{{" not in value and "$" not in value:
            return value
        foreign = _SHELL_FORM.search(value)
        if foreign is not None and not _may_hold_foreign(value, path):
            findings.malformed.append(
                MalformedPlaceholder(path, _excerpt(foreign[0], 0), foreign[foreign.lastindex or 0])
            )
            return UnresolvedText(value, value, ())
        return _text(value, path, env, findings) if "{{" in value else value

    return _table(tree, (), text, findings), findings


def _may_hold_foreign(value: str, path: Path) -> bool:
    """Whether ``${NAME}`` may be meant literally: in prose, in data for the provider or a script, in a line for a
    shell."""
    names = [step for step in path if isinstance(step, str)]
    if not names or is_prose(path) or not {"rules", "additional_params"}.isdisjoint(names):
        return True
    return names[-1] in ("cmd", "args") and any(character.isspace() for character in value)


def _table(
    table: dict[str, object], path: Path, text: Callable[[str, Path], str], findings: SubstitutionFindings
) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in table.items():
        name = text(key, (*path, key)) if "{{" in key else key
        if name in result and not isinstance(name, UnresolvedText):
            twin = next(other for other in result if other == name)
            findings.collisions.append(((*path, name), str(source_of(twin)), key))
            continue
        if isinstance(name, UnresolvedText):
            name = UnresolvedText(key, key, name.variables)
        result[name] = _value(value, (*path, name), text, findings)
    return result


def _value(value: object, path: Path, text: Callable[[str, Path], str], findings: SubstitutionFindings) -> object:
    if isinstance(value, str):
        return text(value, path)
    if isinstance(value, dict):
        return _table(value, path, text, findings)
    if isinstance(value, list):
        return [_value(item, (*path, index), text, findings) for index, item in enumerate(value)]
    return value


def _text(source: str, path: Path, env: Mapping[str, str], findings: SubstitutionFindings) -> str:
    parts: list[str] = []
    variables: list[str] = []
    unresolved = False
    changed = False
    done = 0
    while (start := _START.search(source, done)) is not None:
        parts.append(source[done : start.start()])
        opened = start.end(1)
        match = _REST.match(source, opened)
        if start[1]:
            done = match.end() if match else start.end()
            parts.append("{{" + source[opened:done])
            changed = True
            continue
        if match is None:
            findings.malformed.append(MalformedPlaceholder(path, _excerpt(source, start.start())))
            if not is_prose(path):
                unresolved = changed = True
            parts.append(start[0])
            done = start.end()
            continue
        done = match.end()
        changed = True
        name = match["name"]
        variables.append(name)
        value = env.get(name)
        if value is None:
            default = match["single"] if match["single"] is not None else match["double"]
            if default is None:
                findings.missing.setdefault(name, []).append(path)
                unresolved = True
            else:
                parts.append(default)
        elif not value.isascii() and not _decodable(value):
            findings.undecodable.setdefault(name, []).append(path)
            unresolved = True
        else:
            parts.append(value)
    if not changed:
        return source
    parts.append(source[done:])
    kind = UnresolvedText if unresolved else EnvironmentText
    return kind("".join(parts), source, tuple(variables))


def _excerpt(source: str, start: int) -> str:
    end = source.find("}}", start)
    text = source[start : end + 2] if 0 <= end - start < _SHOWN else source[start : start + _SHOWN] + "…"
    return " ".join(text.split())


def _decodable(value: str) -> bool:
    """The operating system hands over bytes that are not UTF-8 as lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
