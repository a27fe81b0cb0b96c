"""The reference of every key and setting, generated from what the loader follows.

``python -m docs.references.configuration docs/configuration.md`` renews the marked parts of that page; a test fails
while they are out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from aura_py.config.models import AgentConfig
from aura_py.config.settings import ServerSettings, setting_of
from aura_py.config.tables import NO_DEFAULT, Key, Section, Table, TableList, TableMap, Variant
from aura_py.config.values import ValueType

_PARTS = ("keys", "settings")


def key_reference() -> str:
    """Every table of an agent file with its keys, as Markdown."""
    return "\n".join(_Tables().lines(Table(AgentConfig), "")).strip() + "\n"


def settings_reference() -> str:
    """Every server setting, as a Markdown table."""
    rows = ["| Flag | Variable | Default | Allowed | Meaning |", "|---|---|---|---|---|"]
    for info in ServerSettings.model_fields.values():
        setting = setting_of(info)
        if setting is None:
            continue
        flag = f"`{setting.flag}`" if setting.flag else ""
        rows.append(f"| {flag} | `{setting.variable}` | {_default(info.default)} | {setting.allowed} | {setting.doc} |")
    return "\n".join(rows) + "\n"


def renewed(page: str) -> str:
    """The page with its generated parts as they should be."""
    for part, text in zip(_PARTS, (key_reference(), settings_reference()), strict=True):
        start, end = f"<!-- generated: {part} -->\n", f"<!-- end: {part} -->"
        before, opened, rest = page.partition(start)
        _, closed, after = rest.partition(end)
        if not opened or not closed:
            raise ValueError(f"the page has no part `{part}` between `{start.strip()}` and `{end}`")
        page = f"{before}{start}\n{text}\n{end}{after}"
    return page


class _Tables:
    """Walks the tables once; a table met again is referred to."""

    def __init__(self) -> None:
        self._seen: dict[type[Section], str] = {}

    def lines(self, table: Table, path: str, *, array: bool = False) -> Iterator[str]:
        yield from self._table(table, f"`{_header(path, array=array)}`" if path else "Top level")
        for name, key in table.keys.items():
            yield from self._value_type(key.reader, f"{path}.{name}" if path else name)

    def _table(self, table: Table, title: str) -> Iterator[str]:
        yield f"### {title}"
        yield ""
        if table.doc:
            yield table.doc
        if table.model.strict:
            yield "Unknown keys are errors here."
        if table.doc or table.model.strict:
            yield ""
        yield "| Key | Type | Default | Meaning |"
        yield "|---|---|---|---|"
        for name, key in table.keys.items():
            yield f"| `{name}` | {key.reader.describe()} | {self._default_cell(table, name, key)} | {_cell(key.doc)} |"
        for name, key in table.legacy.items():
            if name not in table.keys:
                yield f"| `{name}` (legacy) | {key.reader.describe()} | | {_cell(key.doc)} |"
        yield ""

    def _default_cell(self, table: Table, name: str, key: Key) -> str:
        if key.required:
            return "required"
        default = table.default_of(name)
        return "" if default is NO_DEFAULT else _default(default)

    def _value_type(self, value_type: ValueType, path: str, *, array: bool = False) -> Iterator[str]:
        if isinstance(value_type, TableMap):
            yield from self._value_type(value_type.entry, f"{path}.<name>")
        elif isinstance(value_type, TableList):
            yield from self._value_type(value_type.entry, path, array=True)
        elif isinstance(value_type, Table):
            known = self._seen.setdefault(value_type.model, path)
            if known != path:
                yield from _same(path, known, array=array)
            else:
                yield from self.lines(value_type, path, array=array)
        elif isinstance(value_type, Variant):
            yield from self._variant(value_type, path, array=array)

    def _variant(self, value_type: Variant, path: str, *, array: bool) -> Iterator[str]:
        known = self._seen.setdefault(next(iter(value_type.tables.values())).model, path)
        if known != path:
            yield from _same(path, known, array=array)
            return
        for word, table in value_type.tables.items():
            yield from self._table(table, f'`{_header(path, array=array)}` with `{value_type.tag} = "{word}"`')
        below: dict[str, ValueType] = {}
        for table in value_type.tables.values():
            for name, key in table.keys.items():
                below.setdefault(name, key.reader)
        for name, each in below.items():
            yield from self._value_type(each, f"{path}.{name}")


def _header(path: str, *, array: bool) -> str:
    return f"[[{path}]]" if array else f"[{path}]"


def _same(path: str, known: str, *, array: bool) -> Iterator[str]:
    yield from (f"### `{_header(path, array=array)}`", "", f"The same keys as `[{known}]`.", "")


def _default(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | dict | list):
        return "" if value else "`[]`"
    if isinstance(value, str | int | float | Path):
        return f"`{value}`"
    return ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(path: Path) -> None:
    path.write_text(renewed(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
