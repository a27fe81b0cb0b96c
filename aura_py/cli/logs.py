"""What goes to the log: Aura's own lines at the level asked for, of libraries only warnings, and no foreign words."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from types import TracebackType

from aura_py.errors import AuraError

_UNPRINTABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_OURS = "aura_py"
_SERVER = "uvicorn"


def start_logging(level: int, *, process: str | None = None) -> None:
    """Log to standard error. ``level`` is for Aura; libraries are held at warnings, whatever their own level says.
    ``process`` is the number of one of several that serve a port, which each line tells.

    Below warnings, the loggers of HTTP clients, SDKs and botocore write whole requests: keys, prompts, messages.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_may_be_logged)
    which = "" if process is None else f"[{process}] "
    handler.setFormatter(_Formatter(f"%(levelname)s {which}%(name)s: %(message)s"))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger(_OURS).setLevel(level)
    logging.getLogger(_SERVER).setLevel(max(level, logging.INFO))


def _may_be_logged(record: logging.LogRecord) -> bool:
    room = record.name.partition(".")[0]
    return room == _OURS or record.levelno >= (logging.INFO if room == _SERVER else logging.WARNING)


class _Formatter(logging.Formatter):
    """One line for each message, whatever it quotes; exceptions as their types and frames: what a foreign exception
    says may hold the request that it failed on."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return on_one_line(super().formatMessage(record))

    def formatException(  # noqa: N802
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return _frames(ei[1], set()) if ei[1] is not None else ""


def on_one_line(text: str) -> str:
    """``text`` with everything escaped that ends a line, moves a cursor or turns the direction of writing: what a
    model or a server says must not pass for a line of the log."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _frames(error: BaseException, seen: set[int]) -> str:
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    inner = [cause] if cause is not None else []
    if isinstance(error, BaseExceptionGroup):
        inner += error.exceptions
    causes = "".join(f"{_frames(each, seen)}\nwhich led to\n" for each in inner if id(each) not in seen)
    words = f": {on_one_line(error.message)}" if isinstance(error, AuraError) else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{causes}Traceback (most recent call last):\n{frames}{type(error).__qualname__}{words}"
