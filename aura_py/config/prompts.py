"""What an author's prompts of an orchestration may and must use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aura_py.config.prompt_language import prompt_language
from aura_py.config.prompt_trial import trial_fault

INPUTS: Final[Mapping[str, frozenset[str]]] = {
    "coordinator": frozenset({"custom_instructions", "inventory", "recon", "history_tool", "escape_hatch"}),
    "planning": frozenset(
        {
            *("now", "query", "workers", "worker_names", "show_tools", "unavailable"),
            *("direct_allowed", "clarification_allowed"),
        }
    ),
    "continuation": frozenset({"now", "report", "final", "clarification_allowed"}),
    "correction": frozenset({"reasons", "after_iteration", "final"}),
    "worker": frozenset({"custom_prompt", "artifacts", "scratchpad"}),
    "task": frozenset({"task", "context", "artifacts"}),
    "submission": frozenset[str](),
    "history": frozenset({"runs", "count"}),
    "overflow": frozenset({"phase"}),
}
"""Every prompt's inputs. A built-in prompt uses all of them, an author's prompt no others."""

ESSENTIAL: Final[Mapping[str, frozenset[str]]] = {
    "planning": frozenset({"query"}),
    "continuation": frozenset({"report"}),
    "task": frozenset({"task", "context"}),
    "worker": frozenset({"custom_prompt"}),
    "coordinator": frozenset({"custom_instructions"}),
}
"""Inputs without which an author's prompt cannot do its work."""


def variables(source: str) -> frozenset[str]:
    """The inputs a template reads.

    Raises:
        TemplateError: ``source`` is not a template, or uses a filter or test that does not exist.
    """
    from jinja2 import meta

    environment = prompt_language()
    environment.from_string(source)
    return frozenset(meta.find_undeclared_variables(environment.parse(source)))


def prompt_fault(name: str, file: str, source: str) -> tuple[str, str] | None:
    """What is wrong with the text of a known prompt, and how to mend it; ``file`` is how messages name its file."""
    from jinja2 import TemplateError

    try:
        used = variables(source)
    except (TemplateError, RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).rstrip(".")
        place = f"`{file}`" if line is None else f"`{file}` line {line}"
        return f"the prompt file {place} is not a Jinja2 template: {reason}", "mend the template"
    unknown = used - INPUTS[name]
    if unknown:
        offered = listed(INPUTS[name]) if INPUTS[name] else "none"
        return (
            f"the prompt file `{file}` uses {listed(unknown)}, which prompt `{name}` does not have",
            f"its inputs are: {offered}",
        )
    missing = ESSENTIAL.get(name, frozenset()) - used
    if missing:
        return f"the prompt file `{file}` leaves out {listed(missing)}", f"use it, or `{name}` cannot do its work"
    fault = trial_fault(name, source)
    if fault is not None:
        place = f"`{file}`" if fault[0] is None else f"`{file}` line {fault[0]}"
        return f"the prompt file {place} cannot be filled in: {fault[1]}", "mend the template"
    return None


def listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
