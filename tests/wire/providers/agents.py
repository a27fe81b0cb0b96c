"""Agent files whose models are fakes, for tests through the real server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.servers.forking import server_command
from tests.wire.providers.conftest import Fakes
from tests.wire.providers.providers import KEY

_PATHS = {"openai": "/v1", "openrouter": "/api/v1"}
MOCK = '[mcp.servers.mock]\ntransport = "stdio"\n' + "cmd = " + json.dumps(server_command("mock"))


def address(provider: str, fake: str) -> str:
    return fake + _PATHS.get(provider, "")


def llm_table(provider: str, model: str, base_url: str, extra: str = "") -> str:
    """The keys of an LLM table. Bedrock's key stands in the environment (``providers.AWS``)."""
    credential = 'region = "eu-west-1"' if provider == "bedrock" else f'api_key = "{KEY}"'
    return f'provider = "{provider}"\nmodel = "{model}"\nbase_url = "{base_url}"\n{credential}\n{extra}\n'


@dataclass(slots=True, frozen=True)
class FakeAgent:
    """One agent on one scenario; ``name`` is what clients ask for."""

    provider: str
    scenario: str
    fake: str
    name: str
    token: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @classmethod
    def on(cls, fakes: Fakes, provider: str, scenario: str, suffix: str = "") -> FakeAgent:
        return cls(provider, scenario, fakes.address(provider), f"{provider}-{scenario}{suffix}")

    @property
    def model(self) -> str:
        return f"scn.{self.scenario}.{self.token}"

    def llm(self, extra: str = "") -> str:
        return llm_table(self.provider, self.model, address(self.provider, self.fake), extra)

    def file(self, agent: str = "", llm: str = "", rest: str = "") -> str:
        """The TOML: more keys of ``[agent]``, more of ``[agent.llm]``, and what follows."""
        head = f'[agent]\nname = "{self.name}"\nsystem_prompt = "Be brief."\n{agent}\n'
        return f"{head}[agent.llm]\n{self.llm(llm)}{rest}\n"

    def bodies(self) -> list[Mapping[str, Any]]:
        """What the fake was asked, oldest first."""
        with httpx.Client(base_url=self.fake, trust_env=False) as control:
            seen = control.get(f"/__fake__/requests/{self.token}").json()
        return [json.loads(request["body"]) for request in seen]
