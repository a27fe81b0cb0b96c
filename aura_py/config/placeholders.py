"""``{{ env.X }}`` placeholders, substituted on the parsed tree."""

from __future__ import annotations

import re
from collections.abc import Mapping

import re2

from aura_py.config.environment_text import EnvironmentText, Path, UnresolvedText, source_of
from aura_py.config.file_report import FileReport, Location

_START = re.compile(r"\{\{(!?)\s*env")
_REST = re.compile(
    r"""\s*env\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)"""
    r"""\s*(?:\|\s*default:\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")\s*)?\}\}"""
)
# RE2, because a text of many opening braces must not take long.
_SHELL_FORM = re2.compile(
    r"\$\{(?:env:|input:)?([A-Za-z_][A-Za-z0-9_]*)(?::?-[^}]*)?\}"
    r"|\{\{\s*([A-Z][A-Z0-9_]*)\s*\}\}"
    r"|\A\$([A-Z][A-Z0-9_]*)\z"
)
_SHOWN = 60
_RIGHT_FORM = (
    "write `{{ env.NAME }}` or `{{ env.NAME | default: 'text' }}`; literal text is escaped as `{{! env.NAME }}`"
)

_PROSE = frozenset({"system_prompt", "preamble", "worker_system_prompt", "description", "context", "context_prefix"})
_SCRIPT_PROSE = frozenset({"say", "reasoning", "arguments"})


def _is_prose(path: Path) -> bool:
    """Whether a text may well contain other people's templates: prompts, descriptions, the texts of inline scripts."""
    names = [step for step in path if isinstance(step, str)]
    return names[-1] in _PROSE or ("rules" in names and not _SCRIPT_PROSE.isdisjoint(names))


def substitute(tree: dict[str, object], env: Mapping[str, str], report: FileReport) -> dict[str, object]:
    """A copy of the tree with every placeholder resolved once, as data; the values of variables are not looked into."""
    substitution = _Substitution(env, report)
    result = substitution.table(tree, ())
    substitution.report_missing()
    return result


class _Substitution:
    def __init__(self, env: Mapping[str, str], report: FileReport) -> None:
        self._env = env
        self._report = report
        self._missing: dict[str, list[Path]] = {}
        """Every variable that is not set, and where it is used: reported together, because one remedy mends all."""
        self._undecodable: set[str] = set()

    def table(self, table: dict[str, object], path: Path) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, value in table.items():
            name = self._text(key, (*path, key)) if "{{" in key else key
            if name in result and not isinstance(name, UnresolvedText):
                twin = next(other for other in result if other == name)
                self._at((*path, name)).error(
                    "CFG-V04",
                    f"the keys `{source_of(twin)}` and `{key}` are the same key once resolved",
                    "rename one",
                )
                continue
            if isinstance(name, UnresolvedText):
                name = UnresolvedText(key, key, name.variables)
            result[name] = self._value(value, (*path, name))
        return result

    def _value(self, value: object, path: Path) -> object:
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            return self.table(value, path)
        if isinstance(value, list):
            return [self._value(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def _text(self, value: str, path: Path) -> str:
        if "{{" not in value and "$" not in value:
            return value
        foreign = _SHELL_FORM.search(value)
        if foreign is not None and not _may_hold_foreign(value, path):
            at = self._at(path)
            at.error(
                "CFG-V03",
                f"`{_excerpt(foreign[0], 0)}` in `{at.key}` is not how Aura names an environment variable",
                f"write `{{{{ env.{foreign[foreign.lastindex or 0]} }}}}`",
            )
            return UnresolvedText(value, value, ())
        return self._resolved(value, path) if "{{" in value else value

    def _resolved(self, source: str, path: Path) -> str:
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
                if not self._is_literal(_excerpt(source, start.start()), path):
                    unresolved = changed = True
                parts.append(start[0])
                done = start.end()
                continue
            done = match.end()
            changed = True
            variables.append(match["name"])
            value = self._variable(match, path)
            if value is None:
                unresolved = True
            else:
                parts.append(value)
        if not changed:
            return source
        parts.append(source[done:])
        text_type = UnresolvedText if unresolved else EnvironmentText
        return text_type("".join(parts), source, tuple(variables))

    def _variable(self, match: re.Match[str], path: Path) -> str | None:
        name = match["name"]
        value = self._env.get(name)
        if value is None:
            default = match["single"] if match["single"] is not None else match["double"]
            if default is None:
                self._missing.setdefault(name, []).append(path)
            return default
        if value.isascii() or _decodable(value):
            return value
        if name not in self._undecodable:
            self._undecodable.add(name)
            self._at(path).error(
                "CFG-V02", f"the environment variable `{name}` is not UTF-8", f"set `{name}` to UTF-8 text"
            )
        return None

    def _is_literal(self, text: str, path: Path) -> bool:
        """Whether a text that starts like a placeholder and is none may stay as it is; reports it in any case."""
        at = self._at(path)
        if _is_prose(path):
            at.warn("WARN-ENV02", f"`{text}` looks like a placeholder but is none; it stays as it is", _RIGHT_FORM)
            return True
        at.error("CFG-V03", f"`{text}` in `{at.key}` is not a valid placeholder", _RIGHT_FORM)
        return False

    def report_missing(self) -> None:
        if not self._missing:
            return
        listed = "\n".join(
            f"  `{name}` used by " + ", ".join(f"`{self._report.key(path)}`" for path in dict.fromkeys(paths))
            for name, paths in self._missing.items()
        )
        plural = "s" if len(self._missing) > 1 else ""
        exports = " ".join(f"{name}=…" for name in self._missing)
        example = f"{{{{ env.{next(iter(self._missing))} | default: '…' }}}}"
        self._at(next(iter(self._missing.values()))[0]).error(
            "CFG-V01",
            f"Missing environment variable{plural}:\n{listed}",
            f"put it in `.env`, or `export {exports}`, or add a default: `{example}`",
        )

    def _at(self, path: Path) -> Location:
        return Location(self._report, path)


def _may_hold_foreign(value: str, path: Path) -> bool:
    """Whether ``${NAME}`` may be meant literally: in prose, in data for the provider or a script, in a line for a
    shell."""
    names = [step for step in path if isinstance(step, str)]
    if not names or _is_prose(path) or not {"rules", "additional_params"}.isdisjoint(names):
        return True
    return names[-1] in ("cmd", "args") and any(character.isspace() for character in value)


def _excerpt(source: str, start: int) -> str:
    end = source.find("}}", start, start + _SHOWN)
    text = source[start : end + 2] if end >= 0 else source[start : start + _SHOWN] + "…"
    return " ".join(text.split())


def _decodable(value: str) -> bool:
    """The operating system hands over bytes that are not UTF-8 as lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
