"""What every request handler shares: settings, services, keys, and the present set of agents."""

from __future__ import annotations

import logging
import time

from aura_py.config.settings import ServerSettings
from aura_py.errors import ModelNotFound, Unavailable
from aura_py.run.catalog import Catalog, Served
from aura_py.run.services import Services
from aura_py.server.keys import KeyRing, Principal
from aura_py.server.retries import Retries
from aura_py.server.run_stream import Pace

logger = logging.getLogger(__name__)


class Edge:
    """State of one server. ``catalog`` and ``keys`` are replaced as a whole by a reload; a request reads them once.

    ``reload_problem`` says why the last reload changed nothing.
    """

    def __init__(self, settings: ServerSettings, services: Services, catalog: Catalog, keys: KeyRing) -> None:
        self.settings = settings
        self.services = services
        self.catalog = catalog
        self.keys = keys
        self.retries = Retries()
        self.draining = False
        self.reload_problem: str | None = None
        self.pace = Pace(settings.heartbeat_secs, settings.stall_secs)
        self.loaded_at = int(time.time())

    def choose(self, principal: Principal, model: str | None) -> Served:
        """The agent of a request, if the caller may ask it.

        Raises:
            ModelNotFound: No such agent, or not for this caller; the answer does not tell which.
            MissingModel: Several agents, no ``model`` and no default.
        """
        served = self.catalog.select(model, self.settings.default_agent)
        if not principal.may_ask(served.id):
            raise ModelNotFound(
                f"The model `{model or served.id}` does not exist or you do not have access to it.", param="model"
            )
        return served

    def visible(self, principal: Principal) -> tuple[Served, ...]:
        return tuple(served for served in self.catalog.visible if principal.may_ask(served.id))

    def close_gate(self) -> None:
        """From now on new requests are turned away (``http-api.md`` §16)."""
        self.draining = True

    def check_gate(self) -> None:
        """Raises :class:`Unavailable` while the server is shutting down."""
        if self.draining:
            raise Unavailable("The server is shutting down; ask again in a moment.")
