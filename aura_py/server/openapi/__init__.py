"""The HTTP API as an OpenAPI document."""

from aura_py.server.openapi.route import openapi

__all__ = ["openapi"]
