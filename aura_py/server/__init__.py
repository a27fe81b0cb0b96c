"""The HTTP server: an OpenAI-compatible API over the run engine."""

from aura_py.server.app import create_app
from aura_py.server.lifecycle import serve
from aura_py.server.state import ServerState

__all__ = ["ServerState", "create_app", "serve"]
