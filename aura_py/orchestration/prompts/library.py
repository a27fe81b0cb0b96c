"""Loads and renders prompts (``orchestration.md`` §24). A value is never read as template text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateSyntaxError, meta
from jinja2.sandbox import SandboxedEnvironment

from aura_py.errors import ConfigurationError

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


def fence(text: str, label: str = "data") -> str:
    """Text from outside, between marks that do not occur in it, so that it cannot pose as instructions."""
    longest = max((len(run) for run in re.findall(r"~{3,}", text)), default=2)
    mark = "~" * (longest + 1)
    return f"{mark}{label}\n{text}\n{mark}"


@cache
def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        autoescape=False,
    )
    environment.filters["fence"] = fence
    return environment


def variables(source: str) -> frozenset[str]:
    """The inputs a template reads.

    Raises:
        TemplateSyntaxError: ``source`` is not a template.
    """
    return frozenset(meta.find_undeclared_variables(_environment().parse(source)))


def override_fault(name: str, path: Path) -> str | None:
    """What is wrong with an author's prompt file, as a sentence; ``None`` when it can be used."""
    if name not in INPUTS:
        return f"there is no prompt `{name}`; the prompts are {_listed(INPUTS)}."
    try:
        source = path.read_text("utf-8")
        used = variables(source)
    except OSError as error:
        return f"the prompt file `{path}` cannot be read ({error.strerror}); check the path."
    except UnicodeDecodeError:
        return f"the prompt file `{path}` is not UTF-8; save it as UTF-8."
    except TemplateSyntaxError as error:
        return f"the prompt file `{path}` is not a Jinja2 template: line {error.lineno}: {error.message}."
    unknown = used - INPUTS[name]
    if unknown:
        offered = _listed(INPUTS[name]) if INPUTS[name] else "none"
        return f"the prompt file `{path}` uses {_listed(unknown)}; the inputs of prompt `{name}` are: {offered}."
    missing = ESSENTIAL.get(name, frozenset()) - used
    if missing:
        return f"the prompt file `{path}` must use {_listed(missing)}, or prompt `{name}` cannot do its work."
    return None


class PromptLibrary:
    """The prompts of one agent: the built-in ones, some replaced by the author's files.

    Raises:
        ConfigurationError: An author's file cannot be used; the message says why.
    """

    def __init__(self, overrides: Mapping[str, Path] | None = None) -> None:
        environment = _environment()
        self._templates: dict[str, Template] = {}
        for name in INPUTS:
            path = (overrides or {}).get(name)
            if path is None:
                self._templates[name] = environment.get_template(f"{name}.md.j2")
        for name, path in (overrides or {}).items():
            fault = override_fault(name, path)
            if fault is not None:
                raise ConfigurationError(f"`orchestration.prompts.{name}`: {fault}")
            self._templates[name] = environment.from_string(path.read_text("utf-8"))

    def render(self, name: str, **inputs: object) -> str:
        """The prompt's text; ``inputs`` are exactly the declared ones."""
        if inputs.keys() != INPUTS[name]:
            raise ValueError(f"prompt `{name}` takes {_listed(INPUTS[name])}, not {_listed(inputs)}.")
        return self._templates[name].render(inputs).strip()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
