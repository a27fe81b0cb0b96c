"""Loads and renders prompts. A value is never read as template text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Template

from aura_py.config.prompts import INPUTS, listed, prompt_fault
from aura_py.config.template_language import prompt_language
from aura_py.errors import ConfigurationError

_OURS = Path(__file__).parent


@cache
def _built_in(name: str) -> Template:
    return prompt_language().from_string((_OURS / f"{name}.md.j2").read_text("utf-8"))


def override_fault(name: str, path: Path) -> str | None:
    """What is wrong with an author's prompt file, as a sentence; ``None`` when it can be used."""
    if name not in INPUTS:
        return f"there is no prompt `{name}`; the prompts are {listed(INPUTS)}."
    try:
        source = path.read_text("utf-8")
    except OSError as error:
        return f"the prompt file `{path}` cannot be read ({error.strerror}); check the path."
    except UnicodeDecodeError:
        return f"the prompt file `{path}` is not UTF-8; save it as UTF-8."
    fault = prompt_fault(name, str(path), source)
    return None if fault is None else f"{fault[0]}; {fault[1]}."


class PromptLibrary:
    """The prompts of one agent: the built-in ones, some replaced by the author's files.

    Raises:
        ConfigurationError: An author's file cannot be used; the message says why.
    """

    def __init__(self, overrides: Mapping[str, Path] | None = None) -> None:
        self._own = frozenset(overrides or ())
        self._templates = {name: _built_in(name) for name in INPUTS if name not in self._own}
        for name, path in (overrides or {}).items():
            fault = override_fault(name, path)
            if fault is not None:
                raise ConfigurationError(f"`orchestration.prompts.{name}`: {fault}")
            self._templates[name] = prompt_language().from_string(path.read_text("utf-8"))

    def render(self, name: str, **inputs: object) -> str:
        """The prompt's text; ``inputs`` are exactly the declared ones.

        Raises:
            ConfigurationError: An author's prompt cannot be filled in.
        """
        if inputs.keys() != INPUTS[name]:
            raise ValueError(f"prompt `{name}` takes {listed(INPUTS[name])}, not {listed(inputs)}.")
        try:
            return self._templates[name].render(inputs).strip()
        except Exception as error:
            if name not in self._own:
                raise
            raise ConfigurationError(
                f"the prompt file of `orchestration.prompts.{name}` cannot be filled in ({type(error).__name__});"
                " mend the template, the log has the reason.",
                detail=str(error),
            ) from error
