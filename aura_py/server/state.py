"""What every request handler shares: settings, services, keys, and the present set of agents."""

from __future__ import annotations

import logging
import time
from typing import Final

import anyio
from starlette.datastructures import Headers
from starlette.requests import Request

from aura_py.config.settings import ServerSettings
from aura_py.errors import MissingModel, ModelNotFound, Unavailable
from aura_py.run.catalog import Catalog, ServedAgent, missing_model
from aura_py.run.retries import Retries
from aura_py.run.services import Services
from aura_py.run.session_queue import SessionQueues
from aura_py.server.api_keys import ApiKeys, Principal
from aura_py.server.end_user import Caller, EndUsers
from aura_py.server.hosts import AllowedHosts, is_loopback
from aura_py.server.openai.limits import RequestLimits
from aura_py.server.run_response import Timing
from aura_py.server.siblings import Siblings

logger = logging.getLogger(__name__)


STATE: Final = "aura.state"
REQUEST_ID: Final = "aura.request_id"
PRINCIPAL: Final = "aura.principal"


class ServerState:
    """State of one server. ``catalog`` and ``keys`` are replaced as a whole by a reload; a request reads them once.

    ``reload_problem`` says why the last reload changed nothing.
    """

    def __init__(self, settings: ServerSettings, services: Services, catalog: Catalog, keys: ApiKeys) -> None:
        self.settings = settings
        self.services = services
        self.catalog = catalog
        self.keys = keys
        self.retries = Retries(grace=settings.retry_grace_secs)
        self.queues = SessionQueues()
        self.users = EndUsers(settings.openwebui_jwt_secret)
        self._hosts = AllowedHosts(settings.allowed_hosts)
        self._local = is_loopback(settings.host)
        self.siblings: Siblings | None = None
        """The other processes on the port, if there are any."""
        self.draining = False
        self.reload_problem: str | None = None
        self.limits = RequestLimits(
            settings.max_messages, settings.max_parts, settings.max_tools, settings.max_input_items
        )
        self.parsers = anyio.CapacityLimiter(1)
        self.timing = Timing(settings.heartbeat_secs, settings.stall_secs)
        self.loaded_at = int(time.time())

    def choose(self, principal: Principal, model: str | None) -> ServedAgent:
        """The agent of a request, if the caller may ask it.

        Raises:
            ModelNotFound: No such agent, or not for this caller; the answer does not tell which.
            MissingModel: No ``model``, and no default for this caller.
        """
        served = self._selected(model)
        if principal.may_ask(served.id):
            return served
        if model is None:  # the default agent's name is not for those who may not ask it
            raise missing_model()
        raise ModelNotFound(f"The model `{model}` does not exist or you do not have access to it.", param="model")

    def _selected(self, model: str | None) -> ServedAgent:
        """The task model need not be an agent: the default one answers for it then."""
        default = self.settings.default_agent
        if model is None or model != self.settings.task_model or self.catalog.get(model) is not None:
            return self.catalog.select(model, default)
        try:
            return self.catalog.select(None, default)
        except MissingModel:
            raise ModelNotFound(
                f"No agent answers for the task model `{model}`; name one of the agents, or set `DEFAULT_AGENT`.",
                param="model",
            ) from None

    def visible(self, principal: Principal) -> tuple[ServedAgent, ...]:
        return tuple(served for served in self.catalog.visible if principal.may_ask(served.id))

    def check_host(self, headers: Headers) -> None:
        """Refuses pages in browsers that reach a server of this machine alone under a name of their own.

        Raises:
            HostNotAllowed: The server listens on loopback, asks for no keys, and the name is not a known one.
        """
        if self._local and not self.keys:
            self._hosts.check(headers)

    def start_draining(self) -> None:
        """From now on new requests are turned away."""
        self.draining = True

    def check_draining(self) -> None:
        """Raises :class:`Unavailable` while the server is shutting down."""
        if self.draining:
            raise Unavailable("The server is shutting down; ask again in a moment.")


def state_of(request: Request) -> ServerState:
    state: ServerState = request.scope[STATE]
    return state


def principal_of(request: Request) -> Principal:
    principal: Principal = request.scope[PRINCIPAL]
    return principal


def caller_of(request: Request, named: str | None) -> Caller:
    """Who asks; ``named`` is ``user`` of the request's body."""
    return state_of(request).users.caller(request.headers, principal_of(request), named)
