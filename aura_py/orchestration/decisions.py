"""What a coordinator decided, and the slot in which a call's first decision lands (``orchestration.md`` §5, §8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from aura_py.messages import Json
from aura_py.orchestration.plan import Plan, step_json


@dataclass(slots=True, frozen=True)
class Direct:
    """``streamed`` says that the text is already on its way to the client."""

    response: str
    rationale: str = ""
    summary: str | None = None
    streamed: bool = False
    cut: bool = False
    """The model stopped in the middle of it."""


@dataclass(slots=True, frozen=True)
class Clarification:
    question: str
    rationale: str = ""
    options: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class PlanDecision:
    plan: Plan


Decision: TypeAlias = Direct | Clarification | PlanDecision


@dataclass(slots=True)
class DecisionSlot:
    """Holds the first decision of one planning attempt; later ones change nothing."""

    decision: Decision | None = None
    faults: list[str] = field(default_factory=list)
    """Why routing calls were refused, for the correction message of the next attempt."""

    @property
    def taken(self) -> bool:
        return self.decision is not None

    def offer(self, decision: Decision) -> bool:
        if self.decision is not None:
            return False
        self.decision = decision
        return True


def decision_json(decision: Decision) -> str:
    """The decision as the coordinator's own words in its conversation and on disk (§8.4)."""
    return orjson.dumps(_fields(decision)).decode()


def _fields(decision: Decision) -> dict[str, Json]:
    if isinstance(decision, Direct):
        value: dict[str, Json] = {
            "response_type": "direct",
            "response": decision.response,
            "routing_rationale": decision.rationale,
        }
        if decision.summary is not None:
            value["response_summary"] = decision.summary
        return value
    if isinstance(decision, Clarification):
        return {
            "response_type": "clarification",
            "question": decision.question,
            "options": list(decision.options),
            "routing_rationale": decision.rationale,
        }
    plan = decision.plan
    return {
        "response_type": "steps_plan",
        "goal": plan.goal,
        "steps": [step_json(step) for step in plan.steps],
        "routing_rationale": plan.rationale,
        "planning_summary": plan.summary,
    }
