"""Names under which pages in browsers may reach a server that only its own machine was to reach.

A page of any origin can point its own name at 127.0.0.1 and is then, to the browser, the same origin as a server there.
Only the name in ``Host`` gives it away.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers

from aura_py.errors import RequestError
from aura_py.server.headers import header_value

_CONTAINERS_HOST: Final = "host.docker.internal"
_BROWSERS: Final = ("origin", "sec-fetch-site")


class HostNotAllowed(RequestError):
    status = 403
    code = "host_not_allowed"


class AllowedHosts:
    """Loopback names, the name that containers have for their machine, and ``further`` ones; ``*`` is every name."""

    def __init__(self, further: Iterable[str] = ()) -> None:
        self._names = frozenset(name.lower().rstrip(".") for name in (_CONTAINERS_HOST, *further))

    def check(self, headers: Headers) -> None:
        """Lets everything pass that no browser has sent.

        Raises:
            HostNotAllowed: A browser asks under another name.
        """
        if "*" in self._names or not any(name in headers for name in _BROWSERS):
            return
        name = _without_port(header_value(headers, "host") or "")
        if not is_loopback(name) and name not in self._names:
            raise HostNotAllowed(
                f"Pages in browsers may not use this server as `{name[:200]}`; use `localhost`, name the host in "
                "`AURA_ALLOWED_HOSTS`, or ask for API keys."
            )


def is_loopback(host: str) -> bool:
    """Whether a host's name or address always means the machine itself."""
    name = host.lower().rstrip(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")
