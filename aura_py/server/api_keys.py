"""API keys: who may ask, and which agents it may ask.

Two sources with one meaning. ``AURA_API_KEYS`` holds keys, separated by commas: ``key``, ``name:key``, and either
with ``=agent|agent`` behind it to allow only agents that match one of these globs. ``AURA_API_KEYS_FILE`` names a file
whose lines are ``name sha256:<hex digest of the key> [agent glob …]``; ``#`` starts a comment. Keys that contain a
comma, a colon or an equals sign belong into the file. In both, ``!`` behind the name marks a key whose holder is
trusted to say who its users are.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from starlette.datastructures import Headers

from aura_py.errors import ConfigurationError, InvalidKey
from aura_py.globs import Glob, GlobError
from aura_py.server.headers import header_value

logger = logging.getLogger(__name__)

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*!?", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-fA-F]{64}", re.ASCII)


@dataclass(slots=True, frozen=True)
class Principal:
    """Who asks. Without keys everybody is the anonymous principal, which may ask every agent.

    ``name`` is the identity under which runs, sessions and files are kept: the key's own name, else one derived from
    the key, so that it stays the same wherever the key stands in the list.
    """

    name: str | None = None
    agents: tuple[Glob, ...] = ()
    trusted: bool = False
    """What the caller says about its end user is believed."""

    def may_ask(self, agent_id: str) -> bool:
        return not self.agents or any(glob.matches(agent_id) for glob in self.agents)


ANONYMOUS: Final = Principal()


@dataclass(slots=True, frozen=True)
class _Key:
    digest: bytes
    principal: Principal


class ApiKeys:
    """The keys of this deployment; empty means that no key is asked for."""

    def __init__(self, keys: Iterable[_Key] = ()) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    @classmethod
    def load(cls, listed: SecretStr | None, file: Path | None) -> ApiKeys:
        """Reads both sources.

        Raises:
            ConfigurationError: An entry is malformed or two entries hold one key; the sentence never shows a key.
        """
        keys = [*_from_list(listed.get_secret_value() if listed is not None else ""), *_from_file(file)]
        seen: dict[bytes, str | None] = {}
        for key in keys:
            if key.digest in seen:
                names = f"`{seen[key.digest]}` and `{key.principal.name}`"
                raise ConfigurationError(f"The API keys {names} are the same key; remove one of them.")
            seen[key.digest] = key.principal.name
        if (listed is not None or file is not None) and not keys:
            raise ConfigurationError(
                "`AURA_API_KEYS` or `AURA_API_KEYS_FILE` is set but holds no key; add one or unset the variable."
            )
        for name, number in Counter(key.principal.name for key in keys).items():
            if number > 1:
                logger.warning("%d API keys are named `%s`: they share their sessions, runs and files", number, name)
        return cls(keys)

    def principal(self, headers: Headers) -> Principal:
        """Who sent these headers.

        Raises:
            InvalidKey: No key, or one that is not on the ring.
            RequestError: A header that may hold the key is sent more than once.
        """
        if not self._keys:
            return ANONYMOUS
        presented = _presented(headers)
        if presented is None:
            raise _invalid("An API key is required; send it as `Authorization: Bearer <key>`.")
        digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).digest()
        found: Principal | None = None
        for key in self._keys:
            if hmac.compare_digest(digest, key.digest):
                found = key.principal
        if found is None:
            raise _invalid("The API key is not valid; check the key that the client sends.")
        return found


def _presented(headers: Headers) -> str | None:
    scheme, _, token = (header_value(headers, "authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return header_value(headers, "x-api-key") or header_value(headers, "api-key")


def _invalid(message: str) -> InvalidKey:
    error = InvalidKey(message)
    error.headers = {"www-authenticate": "Bearer"}
    return error


def _from_list(text: str) -> Iterable[_Key]:
    for number, entry in enumerate((part.strip() for part in text.split(",")), start=1):
        if not entry:
            continue
        place = f"entry {number} of `AURA_API_KEYS`"
        rest, limited, agents = entry.rpartition("=")
        if not limited:
            rest = entry
        name, colon, secret = rest.partition(":")
        if not colon or not _NAME.fullmatch(name):
            name, secret = "", rest
        if not secret:
            raise ConfigurationError(f"There is no key in {place}; write `key`, `name:key` or `name:key=agent`.")
        globs = _globs(agents.split("|"), place) if limited else ()
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        yield _Key(digest, _principal(name or _derived_name(digest), globs))


def _derived_name(digest: bytes) -> str:
    """A name that belongs to the key and does not give its digest away."""
    return f"key-{hmac.new(digest, b'name of an Aura API key', 'sha256').hexdigest()[:16]}"


def _from_file(path: Path | None) -> Iterable[_Key]:
    if path is None:
        return
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"The file `{path}` of `AURA_API_KEYS_FILE` cannot be read: {reason}.") from error
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) < 2 or not _NAME.fullmatch(words[0]) or not _DIGEST.fullmatch(words[1]):
            raise ConfigurationError(
                f"`{path}:{number}` is not an API key; write `name sha256:<64 hex digits> [agent glob …]`."
            )
        globs = _globs(words[2:], f"`{path}:{number}`")
        yield _Key(bytes.fromhex(words[1].removeprefix("sha256:")), _principal(words[0], globs))


def _principal(name: str, globs: tuple[Glob, ...]) -> Principal:
    return Principal(name.removesuffix("!"), globs, name.endswith("!"))


def _globs(patterns: Iterable[str], place: str) -> tuple[Glob, ...]:
    """An empty pattern is refused: what was to restrict a key must not come to allow everything."""
    stripped = [pattern.strip() for pattern in patterns]
    if not all(stripped):
        raise ConfigurationError(
            f"An agent pattern in {place} is empty; name the agents behind the last `=`, or write `=*` for all of them "
            "(a key that itself ends in `=` needs that, too)."
        )
    try:
        return tuple(Glob(pattern) for pattern in stripped)
    except GlobError as error:
        raise ConfigurationError(f"An agent pattern in {place} is malformed: {error}.") from error
