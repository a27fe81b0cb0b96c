"""The HTTP edge: an OpenAI-compatible API over the run engine (``http-api.md``)."""

from aura_py.server.app import create_app
from aura_py.server.edge import Edge
from aura_py.server.lifecycle import serve

__all__ = ["Edge", "create_app", "serve"]
