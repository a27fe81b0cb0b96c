"""What the bodies of all dialects share: what a table fixes, sampling parameters and answer formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from aura_py.llm.contract import ChatRequest, Sampling
from aura_py.llm.provider_errors import ProviderErrors

Body: TypeAlias = dict[str, Any]


@dataclass(slots=True, frozen=True)
class BodyOptions:
    """What an agent's table fixes for every call. ``additional_params`` are merged last and win.

    ``errors`` names the model and makes the errors for what its API cannot take.
    """

    errors: ProviderErrors
    max_tokens: int | None = None
    temperature: float | None = None
    additional_params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        return self.errors.model

    def sampling(self, request: ChatRequest) -> Sampling:
        """What ``request`` asks for, completed from the table."""
        asked = request.sampling
        return replace(
            asked,
            temperature=self.temperature if asked.temperature is None else asked.temperature,
            max_tokens=self.max_tokens if asked.max_tokens is None else asked.max_tokens,
        )


def sampling_fields(sampling: Sampling, names: Mapping[str, str]) -> Body:
    """The parameters that are set, under the provider's ``names``; a parameter without a name is left out."""
    fields: Body = {}
    for parameter, name in names.items():
        value = getattr(sampling, parameter)
        if value is not None and value != ():
            fields[name] = list(value) if isinstance(value, tuple) else value
    return fields


def answer_format(sampling: Sampling, errors: ProviderErrors, remedy: str, *, json_object: bool) -> Body | None:
    """The ``response_format`` of a request: its ``json_schema`` with a schema, ``{}`` for any JSON object.

    ``None`` is plain text.

    Raises:
        RequestError: It is none of these, or any JSON object where the provider takes schemas only.
    """
    wanted = sampling.response_format
    kind = "text" if wanted is None else wanted.get("type")
    if wanted is None or kind == "text":
        return None
    if kind == "json_object" and json_object:
        return {}
    described = wanted.get("json_schema")
    if kind == "json_schema" and isinstance(described, Mapping) and isinstance(described.get("schema"), Mapping):
        return dict(described)
    raise errors.refuse("response_format", remedy)
