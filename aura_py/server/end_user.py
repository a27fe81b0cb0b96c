"""Who a request is for, when its key belongs to a chat UI (``clients.md`` ID-4)."""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import unquote

from pydantic import SecretStr
from starlette.datastructures import Headers

from aura_py.server.keys import Principal

logger = logging.getLogger(__name__)

_TOKEN: Final = "x-openwebui-user-jwt"
_TOLD: Final = ("x-openwebui-user-id", "x-openwebui-user-email", "x-openwebui-user-name")
_ISSUER: Final = "open-webui"
_LEEWAY: Final = 30
_LONGEST: Final = 256


class EndUsers:
    """Finds the end user: a signed token, else headers of a trusted key, else the body's ``user``, else the key."""

    def __init__(self, secret: SecretStr | None = None) -> None:
        self._secret = secret
        if secret is not None:
            import jwt  # noqa: F401  # before the first request needs it

    def of(self, headers: Headers, principal: Principal, named: str | None) -> str | None:
        """The user's id.

        A token that does not stand up names nobody, and then the headers beside it are not believed either.
        """
        token = headers.get(_TOKEN)
        if token and self._secret is not None:
            found = self._verified(token, self._secret)
        else:
            found = _told(headers) if principal.trusted else None
        return found or named or principal.name

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


def _told(headers: Headers) -> str | None:
    return next((user for name in _TOLD if (user := _usable(unquote(headers.get(name, ""))))), None)


def _usable(user: str) -> str | None:
    user = user.strip()
    return user if user and user.isprintable() and len(user) <= _LONGEST else None
