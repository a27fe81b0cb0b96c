"""Who a request is for, when its key belongs to a chat UI, and to whom its sessions and files belong."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import orjson
from pydantic import SecretStr
from starlette.datastructures import Headers

from aura_py.context import ANONYMOUS
from aura_py.server.api_keys import Principal
from aura_py.server.headers import header_value

logger = logging.getLogger(__name__)

_TOKEN: Final = "x-openwebui-user-jwt"
_USER_HEADERS: Final = ("x-openwebui-user-id", "x-openwebui-user-email", "x-openwebui-user-name")
_ISSUER: Final = "open-webui"
_LEEWAY: Final = 30
_LONGEST: Final = 256


@dataclass(slots=True, frozen=True)
class Caller:
    """``user`` is whom the request is said to be for: a signed token, else headers of a trusted key, else the body's
    ``user``, else the key. ``owner`` is whom what it makes belongs to: the user if a token or a trusted key vouches
    for him (and then of that key only), else the key."""

    principal: str | None
    user: str | None
    owner: str


class EndUsers:
    """Finds the end user of a request."""

    def __init__(self, secret: SecretStr | None = None) -> None:
        self._secret = secret
        if secret is not None:
            import jwt  # noqa: F401  # before the first request needs it

    def caller(self, headers: Headers, principal: Principal, named: str | None) -> Caller:
        """Who asks, on whose behalf; ``named`` is ``user`` of the body.

        A token that does not stand up names nobody, and then the headers beside it are not believed either.

        Raises:
            RequestError: A header that names the user is sent more than once.
        """
        token = header_value(headers, _TOKEN)
        if token and self._secret is not None:
            if user := self._verified(token, self._secret):
                return Caller(principal.name, user, _owner("token", user))
        elif principal.trusted and (user := _named_in_headers(headers)):
            return Caller(principal.name, user, _owner("key", principal.name, user))
        owner = ANONYMOUS if principal.name is None else f"key.{principal.name}"
        return Caller(principal.name, named or principal.name, owner)

    @staticmethod
    def _verified(token: str, secret: SecretStr) -> str | None:
        import jwt

        try:
            claims = jwt.decode(
                token,
                secret.get_secret_value(),
                algorithms=["HS256"],
                issuer=_ISSUER,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "sub"], "verify_aud": False},
            )
        except jwt.PyJWTError as error:
            logger.warning("a token in `X-OpenWebUI-User-Jwt` was not believed: %s", type(error).__name__)
            return None
        return _usable(str(claims["sub"]))


def _named_in_headers(headers: Headers) -> str | None:
    said = (header_value(headers, name) or "" for name in _USER_HEADERS)
    return next((user for text in said if (user := _usable(unquote(text)))), None)


def _owner(*parts: str | None) -> str:
    """Without the user's own name, which may be an address: owners become names of directories."""
    return f"user.{hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]}"


def _usable(user: str) -> str | None:
    user = user.strip()
    return user if user and user.isprintable() and len(user) <= _LONGEST else None
