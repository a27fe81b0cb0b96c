"""Skills: instruction packages that a model loads when it needs them."""

from aura_py.skills.library import SkillLibrary

__all__ = ["SkillLibrary"]
