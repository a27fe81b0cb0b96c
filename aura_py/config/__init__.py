"""TOML text becomes frozen typed models, or a list of every problem in it."""

from aura_py.config.diagnostics import Diagnostic, InvalidConfiguration, render, render_json
from aura_py.config.loader import LoadedConfiguration, load
from aura_py.config.models import AgentConfig
from aura_py.config.schema import json_schema

__all__ = [
    "AgentConfig",
    "Diagnostic",
    "InvalidConfiguration",
    "LoadedConfiguration",
    "json_schema",
    "load",
    "render",
    "render_json",
]
