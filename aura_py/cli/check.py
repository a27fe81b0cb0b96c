"""`aura check`: everything that `aura serve` does before it listens, and the table of agents that comes of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from aura_py.cli import exits
from aura_py.cli.setup import prepare, print_refusal, print_warnings
from aura_py.cli.terminal import ConfigPath, coloured, printable
from aura_py.config import AgentConfig, Diagnostic, InvalidConfiguration, load
from aura_py.config.models import LLM
from aura_py.config.settings import ServerSettings
from aura_py.errors import ConfigurationError

_COLUMNS = ("AGENT", "MODEL", "MCP SERVERS", "NOTES", "FILE")


@click.command("check", short_help="Validate a file or a directory and print its agents.")
@click.argument("path", type=ConfigPath(), required=False)
@click.option("--strict", is_flag=True, help="Unknown keys are errors.  [env: AURA_CONFIG_STRICT]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: ok, agents, diagnostics.")
def command(path: Path | None, strict: bool, as_json: bool) -> int:
    """Validate PATH, a file or a directory, as `aura serve` would, and print its agents.

    Nothing is started and nothing is contacted. PATH defaults to CONFIG_PATH, then to config.toml.

    \b
    Exit status:
      0  every file can be served
      1  something is wrong; every problem is printed with its place and remedy
      2  wrong usage
    """
    return _check(path, strict=strict, as_json=as_json)


def _check(path: Path | None, *, strict: bool, as_json: bool) -> int:
    """Prints the agents, or every problem, and returns the exit status."""
    try:
        settings = prepare({"config_path": path, "config_strict": True if strict else None})
        loaded = load(settings.config_path, settings=settings, create_directories=False)
        if found := [*_keys(settings), *_models(loaded.agents)]:
            raise InvalidConfiguration([*loaded.warnings, *found])
    except ConfigurationError as error:
        if not as_json:
            return print_refusal(error)
        if isinstance(error, InvalidConfiguration):
            _print_json((), error.diagnostics, ok=False)
            return error.exit_code
        _print_json((), (_problem("CFG-F01", error),), ok=False)
        return exits.FAILED
    if as_json:
        _print_json(loaded.agents, loaded.warnings, ok=True, settings=settings)
    else:
        print_warnings(loaded.warnings)
        _print_table(loaded.agents, settings.default_agent)
    return exits.OK


def _keys(settings: ServerSettings) -> Iterator[Diagnostic]:
    """What is wrong with the keys that requests must carry."""
    if settings.api_keys is None and settings.api_keys_file is None:
        return
    from aura_py.server.api_keys import ApiKeys

    try:
        ApiKeys.load(settings.api_keys, settings.api_keys_file)
    except ConfigurationError as error:
        yield _problem("CFG-D08", error)


def _models(agents: Sequence[AgentConfig]) -> Iterator[Diagnostic]:
    """Builds every model, which refuses what its provider cannot do. Contacts nobody."""
    from aura_py.llm import build_model

    for agent in agents:
        for place, llm in _tables(agent):
            try:
                build_model(llm, agent=agent.id)
            except ConfigurationError as error:
                yield _problem("CFG-L07", error, agent.path, place)


def _tables(agent: AgentConfig) -> Iterator[tuple[str, LLM]]:
    yield "agent.llm", agent.agent.llm
    if agent.orchestrated:
        for name, worker in agent.orchestration.worker.items():
            if worker.llm is not None:
                yield f"orchestration.worker.{name}.llm", worker.llm


def _problem(code: str, error: ConfigurationError, file: Path | None = None, key: str = "") -> Diagnostic:
    return Diagnostic(code, error.message, file=file, key=key)


def _print_table(agents: Sequence[AgentConfig], default_agent: str | None) -> None:
    rows = [_row(each, default_agent) for each in agents]
    if sys.stdout.isatty():
        _print_wrapped(rows)
    else:
        widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
        for row in (_COLUMNS, *rows):
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"\n{len(agents)} agent{'s' * (len(agents) != 1)}, no problems")


def _print_wrapped(rows: Sequence[Sequence[str]]) -> None:
    """Columns that keep to the width of the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in _COLUMNS:
        table.add_column(name, overflow="fold", no_wrap=name in ("AGENT", "MODEL"))
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=sys.stdout, color_system="standard" if coloured(sys.stdout) else None).print(table)


def _row(agent: AgentConfig, default_agent: str | None) -> tuple[str, ...]:
    """Id, model, servers, what is special, file: one line's worth of each."""
    model = f"{agent.agent.llm.provider}/{agent.agent.llm.model}"
    servers = ", ".join(agent.mcp.servers) or "-"
    notes = ", ".join(_notes(agent, default_agent)) or "-"
    return tuple(" ".join(printable(cell).split()) for cell in (agent.id, model, servers, notes, str(agent.path)))


def _notes(agent: AgentConfig, default_agent: str | None) -> list[str]:
    notes = []
    if agent.agent.llm.provider == "scripted":
        notes.append("scripted, not a language model")
    if agent.orchestrated:
        notes.append(f"orchestration of {len(agent.orchestration.worker) or 'generic'} workers")
    if agent.agent.hidden:
        notes.append("hidden")
    if agent.id == default_agent:
        notes.append("default")
    return notes


def _print_json(
    agents: Sequence[AgentConfig],
    diagnostics: Sequence[Diagnostic],
    *,
    ok: bool,
    settings: ServerSettings | None = None,
) -> None:
    default_agent = None if settings is None else settings.default_agent
    listed = [
        {
            "id": each.id,
            "name": each.agent.name,
            "provider": each.agent.llm.provider,
            "model": each.agent.llm.model,
            "mcp_servers": list(each.mcp.servers),
            "workers": list(each.orchestration.worker) if each.orchestrated else [],
            "hidden": each.agent.hidden,
            "default": each.id == default_agent,
            "file": str(each.path),
        }
        for each in agents
    ]
    found = [each.as_dict() for each in diagnostics]
    json.dump({"ok": ok, "agents": listed, "diagnostics": found}, sys.stdout, ensure_ascii=False, indent=2)
    print()
