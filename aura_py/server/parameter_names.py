"""Refusals of a request's parameters, under the names that the caller knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace

from aura_py.errors import RequestError
from aura_py.events import Event, RunFailed


def rename_parameters(names: Mapping[str, str]) -> Callable[[list[Event]], list[Event]]:
    """Rewrites batches of events: a run that failed over a parameter names it as ``names`` says.

    Models and agents know the parameters of chat completions only.
    """

    def rewrite(batch: list[Event]) -> list[Event]:
        end = batch[-1] if batch else None
        if not isinstance(end, RunFailed) or not isinstance(end.error, RequestError):
            return batch
        known = end.error.param or ""
        name = names.get(known)
        if name is None:
            return batch
        error = copy(end.error)
        error.param, error.message = name, error.message.replace(f"`{known}`", f"`{name}`")
        return [*batch[:-1], replace(end, error=error)]

    return rewrite
