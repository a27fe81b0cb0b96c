"""The texts that orchestrations speak with: Jinja2 files beside this one, strict in their variables."""

from aura_py.config.prompts import INPUTS
from aura_py.config.template_language import fence
from aura_py.orchestration.prompts.library import PromptLibrary, override_fault

__all__ = ["INPUTS", "PromptLibrary", "fence", "override_fault"]
