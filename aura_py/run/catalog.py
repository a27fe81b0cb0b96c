"""One validated, built set of agents, and how a request finds its own in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from aura_py.agent.contract import Runnable
from aura_py.config import Diagnostic, load
from aura_py.config.models import AgentConfig
from aura_py.errors import MissingModel, ModelNotFound

if TYPE_CHECKING:
    from aura_py.run.services import Services


@dataclass(slots=True, frozen=True)
class ServedAgent:
    """An agent as it is served."""

    config: AgentConfig
    runnable: Runnable

    @property
    def id(self) -> str:
        return self.config.id


class Catalog:
    """Agents in load order. Immutable; a reload makes another one."""

    def __init__(self, served: Sequence[ServedAgent], warnings: Sequence[Diagnostic] = ()) -> None:
        self.served = tuple(served)
        self.warnings = tuple(warnings)
        self._by_id = {agent.id: agent for agent in self.served}

    @classmethod
    def load(cls, path: Path, services: Services) -> Self:
        """Loads and builds every agent below ``path``.

        Raises:
            InvalidConfiguration: With all problems of all files; nothing was built.
        """
        settings = services.settings
        loaded = load(
            path,
            strict=settings.config_strict,
            default_agent=settings.default_agent,
            settings=settings,
            skip_broken_skills=True,
        )
        try:
            served = [ServedAgent(config, services.build(config)) for config in loaded.agents]
        except BaseException:
            services.forget(loaded.agents)
            raise
        return cls(served, loaded.warnings)

    @property
    def configs(self) -> tuple[AgentConfig, ...]:
        return tuple(agent.config for agent in self.served)

    @property
    def visible(self) -> tuple[ServedAgent, ...]:
        """Agents that lists show."""
        return tuple(agent for agent in self.served if not agent.config.agent.hidden)

    def get(self, agent_id: str) -> ServedAgent | None:
        return self._by_id.get(agent_id)

    def select(self, model: str | None, default_agent: str | None = None) -> ServedAgent:
        """The agent of a request.

        Raises:
            ModelNotFound: ``model`` names no agent.
            MissingModel: Several agents, no ``model`` and no default.
        """
        if len(self.served) == 1:
            return self.served[0]
        name = default_agent if model is None else model
        if name is None:
            raise missing_model()
        agent = self._by_id.get(name)
        if agent is None:
            raise ModelNotFound(f"The model `{name}` does not exist or you do not have access to it.", param="model")
        return agent


def missing_model() -> MissingModel:
    return MissingModel("you must provide a model parameter; `GET /v1/models` lists the agents.", param="model")
