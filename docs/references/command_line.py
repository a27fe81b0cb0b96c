"""`docs/cli.md` from the commands themselves: `python -m docs.references.command_line docs/cli.md`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from aura_py.cli.entry import COMMANDS, aura

_NOTE = re.compile(r"\s*\[(env|default): .*\]$")

_HEAD = """\
# Command line

`aura COMMAND --help` says the same as this page, which is generated from the commands. `python -m aura_py` is `aura`.

| command | what it does |
|---|---|
{commands}

Only answers go to standard output; everything about them goes to standard error. Colour needs a terminal and is off
when `NO_COLOR` is set. `--verbose` and `--debug` log to standard error.

When no path is given, neither as an argument nor in `CONFIG_PATH`, commands take `config.toml` in the working
directory.
"""


def page() -> str:
    """The page as it should be."""
    commands = "\n".join(f"| [`aura {name}`](#aura-{name}) | {text} |" for name, (_, text) in COMMANDS.items())
    parts = [_HEAD.format(commands=commands)]
    context = click.Context(aura, info_name="aura")
    for name in COMMANDS:
        command = aura.get_command(context, name)
        assert command is not None
        parts.append("\n".join(_section(name, command)))
    return "\n".join(parts)


def _section(name: str, command: click.Command) -> Iterator[str]:
    yield f"## aura {name}\n"
    words = ["aura", name]
    words += [each.make_metavar(click.Context(command)) for each in command.params if isinstance(each, click.Argument)]
    yield f"```\n{' '.join(words)} [OPTIONS]\n```\n"
    for block in inspect.cleandoc(command.help or "").split("\n\n"):
        yield f"```\n{block.removeprefix(chr(8)).strip()}\n```\n" if block.startswith("\b") else f"{block}\n"
    options = [each for each in command.params if isinstance(each, click.Option)]
    if options:
        yield "| option | variable | default | meaning |\n|---|---|---|---|"
        for option in options:
            yield _row(option)
        yield ""


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    if not option.is_flag:
        names += f" `{option.make_metavar(click.Context(click.Command('aura')))}`"
    text = option.help or ""
    found = _NOTE.search(text)
    facts = dict(part.split(": ", 1) for part in found.group().strip(" []").split("; ")) if found else {}
    default = facts.get("default") or (str(option.default) if isinstance(option.default, str) else "")
    variable = f"`{facts['env']}`" if "env" in facts else ""
    cells = (names, variable, default, _NOTE.sub("", text))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
