"""The HTTP state: an OpenAI-compatible API over the run engine (``http-api.md``)."""

from aura_py.server.app import create_app
from aura_py.server.lifecycle import serve
from aura_py.server.state import ServerState

__all__ = ["ServerState", "create_app", "serve"]
