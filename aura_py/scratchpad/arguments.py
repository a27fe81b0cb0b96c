"""Arguments as models write them: ``"50"`` and ``50.0`` are 50, ``["a", "b"]`` is ``a, b``, ``""`` for an
optional one is nothing; anything odder is explained."""

from __future__ import annotations

from aura_py.messages import Json, JsonObject
from aura_py.scratchpad.errors import HardError

LARGEST = 1 << 53


class Arguments:
    """The parsed arguments of one call."""

    def __init__(self, given: JsonObject, known: frozenset[str]) -> None:
        self._given = {name: value for name, value in given.items() if value is not None}
        unknown = sorted(set(self._given) - known)
        if unknown:
            raise HardError(
                f"invalid argument: `{unknown[0]}` is not a parameter of this tool; it takes {', '.join(sorted(known))}"
            )

    def has(self, name: str) -> bool:
        """Whether an optional argument says anything: models fill what they do not need with ``""``."""
        return not _is_blank(self._given.get(name, ""))

    def text(self, name: str, default: str | None = None) -> str:
        value: Json = self._given.get(name, default)
        if default is not None and _is_blank(value):
            return default
        if value is None:
            raise HardError(f"invalid argument: `{name}` is missing; give it as a string")
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            value = ", ".join(str(part) for part in value)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise HardError(f"invalid argument: `{name}` must be a string")
        return str(value).encode("utf-8", "replace").decode()

    def count(self, name: str, default: int | None = None, *, least: int = 0) -> int:
        value: Json = self._given.get(name, default)
        if default is not None and _is_blank(value):
            return default
        if value is None:
            raise HardError(f"invalid argument: `{name}` is missing; give it as a whole number")
        number = _whole(value)
        if number is None:
            raise HardError(f"invalid argument: `{name}` must be a whole number, not `{str(value)[:80]}`")
        if number < least:
            raise HardError(f"invalid argument: `{name}` must be at least {least}, not {number}")
        return min(number, LARGEST)

    def flag(self, name: str) -> bool:
        value = self._given.get(name, False)
        if isinstance(value, str) and value.strip().lower() in ("true", "false", ""):
            return value.strip().lower() == "true"
        if not isinstance(value, bool):
            raise HardError(f"invalid argument: `{name}` must be true or false")
        return value


def _is_blank(value: Json) -> bool:
    return value == [] or (isinstance(value, str) and not value.strip())


def _whole(value: Json) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and len(value) <= 24:
        text = value.strip()
        try:
            return int(text)
        except ValueError:
            try:
                number = float(text)
            except ValueError:
                return None
            return int(number) if number.is_integer() else None
    return None
