"""Aura: a directory of TOML files becomes agents behind an OpenAI-compatible API."""

__version__ = "0.1.0"

__all__ = ["__version__"]
