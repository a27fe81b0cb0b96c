"""Validating without serving, and the table of agents that comes of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from aura_py.cli import exits
from aura_py.cli.setup import MissingConfiguration, prepare, refusal, tell
from aura_py.config import AgentConfig, Diagnostic, InvalidConfiguration, load
from aura_py.config.settings import ServerSettings
from aura_py.errors import ConfigurationError


def check(path: Path | None, *, strict: bool, as_json: bool) -> int:
    """Prints the agents, or every problem, and returns the exit status."""
    try:
        settings = prepare({"config_path": path, "config_strict": True if strict else None})
        loaded = load(settings.config_path, settings=settings)
        _build(loaded.agents)
    except MissingConfiguration as error:
        return refusal(error)
    except InvalidConfiguration as error:
        if not as_json:
            return refusal(error)
        _print_json((), error.diagnostics, ok=False)
        return error.exit_code
    except ConfigurationError as error:
        if not as_json:
            return refusal(error)
        _print_json((), (Diagnostic("CFG-N01", "error", None, None, None, "", error.message),), ok=False)
        return exits.FAILED
    if as_json:
        _print_json(loaded.agents, loaded.warnings, ok=True, settings=settings)
    else:
        tell(loaded.warnings)
        print(agents_table(loaded.agents, settings.default_agent))
    return exits.OK


def _build(agents: Sequence[AgentConfig]) -> None:
    """Builds every model, which refuses what its provider cannot do. Contacts nobody.

    Raises:
        ConfigurationError: A model cannot be built.
    """
    from aura_py.llm import build_model

    for agent in agents:
        build_model(agent.agent.llm, agent=agent.id)
        if agent.orchestrated:
            for worker in agent.orchestration.worker.values():
                if worker.llm is not None:
                    build_model(worker.llm, agent=agent.id)


def agents_table(agents: Sequence[AgentConfig], default_agent: str | None) -> str:
    """One line per agent: id, model, servers, what is special, file."""
    rows = [("AGENT", "MODEL", "MCP SERVERS", "NOTES", "FILE")]
    for each in agents:
        servers = ", ".join(each.mcp.servers) or "-"
        model = f"{each.agent.llm.provider}/{each.agent.llm.model}"
        rows.append((each.id, model, servers, ", ".join(_notes(each, default_agent)) or "-", str(each.path)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    count = f"{len(agents)} agent{'s' * (len(agents) != 1)}, no problems"
    return "\n".join([*lines, "", count])


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
