"""From a path to immutable agents, or to every problem there is."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from aura_py.config import identity, memory_dir, relations
from aura_py.config.diagnostics import Diagnostic, InvalidConfiguration, errors, in_order
from aura_py.config.file_report import FileReport
from aura_py.config.files import UnreadableFile, agent_files, parse, read_text
from aura_py.config.models import AgentConfig
from aura_py.config.placeholders import substitute
from aura_py.config.skills import check_sources
from aura_py.config.tables import Table, Tree
from aura_py.config.variables import is_true

if TYPE_CHECKING:
    from aura_py.config.settings import ServerSettings


@dataclass(slots=True, frozen=True)
class LoadedConfiguration:
    """The agents in their observable order, and what is worth a warning."""

    agents: tuple[AgentConfig, ...]
    warnings: tuple[Diagnostic, ...]


@dataclass(slots=True, frozen=True)
class _File:
    report: FileReport
    tree: Tree | None


def load(
    path: Path,
    *,
    env: Mapping[str, str] | None = None,
    strict: bool | None = None,
    default_agent: str | None = None,
    settings: ServerSettings | None = None,
    create_directories: bool = True,
    skip_broken_skills: bool = False,
) -> LoadedConfiguration:
    """Reads one agent file, or every agent file of a directory.

    Args:
        path: File or directory.
        env: Variables for templates; the process environment by default.
        strict: Unknown keys are errors; by default what ``AURA_CONFIG_STRICT`` says.
        default_agent: Id that must exist; by default the one of ``settings``.
        settings: Server settings, to warn about timeouts that do not fit together.
        create_directories: Create the memory directories and write into each, to know that it works. Without it
            nothing is written anywhere.
        skip_broken_skills: Warn of skills that cannot be used instead of refusing, unless the load is strict.

    Raises:
        InvalidConfiguration: With every problem of every file; nothing was started.
    """
    env = os.environ if env is None else env
    if strict is None:
        strict = settings.config_strict if settings is not None else is_true(env.get("AURA_CONFIG_STRICT"))
    if default_agent is None and settings is not None:
        default_agent = settings.default_agent
    paths, passed_over = agent_files(path)
    signed = bool(env.get("AURA_HITL_WEBHOOK_SECRET", "").strip())
    tolerant = skip_broken_skills and not strict
    files = [_examine(each, env, strict=strict, settings=settings, signed=signed, tolerant=tolerant) for each in paths]

    named = [
        identity.AgentIdentity(each.report.root, each.tree.get("agent", {})) for each in files if each.tree is not None
    ]
    identity.check(named)
    general = list(passed_over)
    if default_agent is not None and default_agent.strip():
        general.extend(identity.unknown_default(default_agent.strip(), named))
    started = time.time_ns() // 1_000_000
    agents = [_build(each, started) for each in files]
    create = create_directories and not any(each.report.failed for each in files) and not errors(general)
    for each in files:
        if each.tree is not None:
            memory_dir.check(each.tree, each.report.root, create=create)
    diagnostics = in_order([*general, *(found for each in files for found in each.report.diagnostics)])
    if errors(diagnostics):
        raise InvalidConfiguration(diagnostics)
    built = tuple(agent for agent in agents if agent is not None)
    ids: dict[Path | None, str] = {agent.path: agent.id for agent in built}
    return LoadedConfiguration(built, tuple(replace(each, agent=ids.get(each.file, "")) for each in diagnostics))


def _examine(
    path: Path,
    env: Mapping[str, str],
    *,
    strict: bool,
    settings: ServerSettings | None,
    signed: bool,
    tolerant: bool,
) -> _File:
    """Steps 1 to 5 of the pipeline, and the file-system checks, for one file."""
    try:
        text = read_text(path)
        raw = parse(path, text)
    except UnreadableFile as error:
        report = FileReport(path)
        report.adopt(error.diagnostic)
        return _File(report, None)
    report = FileReport(path, text, strict=strict)
    resolved = substitute(raw, env, report)
    tree = Table(AgentConfig).read_keys(resolved, report.root)
    relations.fold(tree)
    relations.check(tree, report.root, settings=settings, signed=signed)
    check_sources(tree, report.root, tolerant=tolerant)
    return _File(report, tree)


def _build(file: _File, started: int) -> AgentConfig | None:
    if file.tree is None or file.report.failed:
        return None
    agent = file.tree["agent"]
    agent.setdefault("created_at", started)
    agent.setdefault("model_owner", agent["llm"]["provider"])
    try:
        return AgentConfig.model_validate({**file.tree, "path": file.report.file})
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False, include_context=False):
            file.report.add("error", "CFG-S02", tuple(each["loc"]), "this value does not fit", "correct it")
        return None
