"""Routing: what a coordinator may decide (answer, plan, ask) and the tools that record its decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from aura_py.ids import tool_call_id
from aura_py.messages import Json, JsonObject, ToolCall
from aura_py.orchestration.plan import Plan, is_array, step_json
from aura_py.orchestration.plan_reader import InvalidDecisionError, read_plan
from aura_py.orchestration.text import object_in_text
from aura_py.tools.contract import BuiltinTool, CallContext, ToolOutcome, failure, success

RESPOND = "respond_directly"
PLAN = "create_plan"
CLARIFY = "request_clarification"
ROUTING_TOOLS = (RESPOND, PLAN, CLARIFY)


@dataclass(slots=True, frozen=True)
class DirectDecision:
    """An answer. ``streamed`` says that its text is already on its way to the client."""

    response: str
    rationale: str = ""
    summary: str | None = None
    streamed: bool = False
    cut: bool = False
    """The model stopped in the middle of it."""


@dataclass(slots=True, frozen=True)
class ClarificationDecision:
    question: str
    rationale: str = ""
    options: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class PlanDecision:
    plan: Plan


Decision: TypeAlias = DirectDecision | ClarificationDecision | PlanDecision


@dataclass(slots=True)
class DecisionSlot:
    """Holds the first decision of one planning attempt; later ones change nothing."""

    decision: Decision | None = None
    faults: list[str] = field(default_factory=list)
    """Why routing calls were refused, for the correction message of the next attempt."""

    @property
    def is_set(self) -> bool:
        return self.decision is not None

    def record(self, decision: Decision) -> bool:
        if self.decision is not None:
            return False
        self.decision = decision
        return True


def decision_json(decision: Decision) -> str:
    """The decision as the coordinator's own words in its conversation and on disk."""
    return orjson.dumps(_fields(decision)).decode()


def _fields(decision: Decision) -> dict[str, Json]:
    if isinstance(decision, DirectDecision):
        value: dict[str, Json] = {
            "response_type": "direct",
            "response": decision.response,
            "routing_rationale": decision.rationale,
        }
        if decision.summary is not None:
            value["response_summary"] = decision.summary
        return value
    if isinstance(decision, ClarificationDecision):
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


_DECISIONS = (
    (PLAN, "steps_plan", "steps", ("goal", "planning_summary", "routing_rationale")),
    (RESPOND, "direct", "response", ("routing_rationale",)),
    (CLARIFY, "clarification", "question", ("routing_rationale",)),
)
"""Name, type of the decision's own JSON, the key that it must have, and those of which one tells a call by itself."""


@dataclass(slots=True, frozen=True)
class Routes:
    """Which routes a planning call leaves open. ``after_iteration`` changes what an answer is for."""

    direct: bool = True
    plan: bool = True
    clarify: bool = True
    after_iteration: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The tools offered: a route that the file switches off is described as such, never taken away."""
        return tuple(name for name in ROUTING_TOOLS if self.plan or name != PLAN)


def route_in_text(text: str) -> ToolCall | None:
    """The routing call that a model wrote as text, in the form of a call or of a decision in its own conversation.

    JSON that is only about a plan or an answer, such as one that the user asked for, is none.
    """
    found = object_in_text(text)
    if found is None:
        return None
    for name, arguments in ((found.get("name"), key) for key in ("arguments", "parameters")):
        written = found.get(arguments)
        if name in ROUTING_TOOLS and isinstance(written, Mapping):
            return _call_from_text(str(name), written)
    for name, kind, key, others in _DECISIONS:
        if key in found and (found.get("response_type") == kind or any(other in found for other in others)):
            return _call_from_text(name, found)
    return None


def _call_from_text(name: str, arguments: JsonObject) -> ToolCall:
    given = {"routing_rationale": "written as text", **arguments}
    if "response_summary" in given:
        given["summary"] = given.pop("response_summary")
    return ToolCall(tool_call_id(), name, orjson.dumps(given).decode())


def routing_tools(
    routes: Routes, slot: DecisionSlot, *, query: str, workers: tuple[str, ...]
) -> tuple[BuiltinTool, ...]:
    """The tools of one planning call; each records its decision in ``slot``."""

    def read_answer(arguments: JsonObject) -> Decision:
        response = _text(arguments, "response", "the whole answer as text")
        rationale, summary = _rationale(arguments), arguments.get("summary")
        return DirectDecision(response, rationale, summary if isinstance(summary, str) else None)

    def read_steps(arguments: JsonObject) -> Decision:
        _rationale(arguments)
        return PlanDecision(read_plan(arguments, query=query, workers=workers))

    def read_question(arguments: JsonObject) -> Decision:
        if routes.after_iteration and not routes.clarify:
            raise InvalidDecisionError(
                ["asking back is switched off; answer with what you have through `respond_directly`."]
            )
        question = _text(arguments, "question", "one question as text")
        rationale, options = _rationale(arguments), arguments.get("options")
        listed = [o for o in options if isinstance(o, str) and o.strip()] if is_array(options) else []
        return ClarificationDecision(question, rationale, tuple(listed))

    def tool(name: str, description: str, schema: JsonObject, read: Callable[[JsonObject], Decision]) -> BuiltinTool:
        async def handle(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
            try:
                decision = read(arguments)
            except InvalidDecisionError as refusal:
                text = " ".join(refusal.faults)
                slot.faults.append(text)
                return failure(f"Not accepted: {text}", outcome="schema_error")
            if slot.record(decision):
                return success(_confirmation(decision))
            text = "A routing action was already chosen; one per turn. This call changed nothing."
            return failure(text, outcome="tool_error")

        return BuiltinTool(name, description, schema, handle, "orchestration")

    tools = {
        RESPOND: tool(RESPOND, _respond_text(routes), RESPOND_SCHEMA, read_answer),
        PLAN: tool(PLAN, _PLAN_TEXT, plan_schema(workers), read_steps),
        CLARIFY: tool(CLARIFY, _CLARIFY_TEXT[routes.clarify], CLARIFY_SCHEMA, read_question),
    }
    return tuple(tools[name] for name in routes.names)


def _confirmation(decision: Decision) -> str:
    if isinstance(decision, PlanDecision):
        tasks = len(decision.plan)
        return f"The plan is created, with {tasks} task{'s' * (tasks != 1)}."
    return f"The {'answer' if isinstance(decision, DirectDecision) else 'question'} is recorded."


def _text(arguments: JsonObject, key: str, what: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InvalidDecisionError([f"`{key}` must be {what}; it is missing or blank."])
    return value


def _rationale(arguments: JsonObject) -> str:
    value = arguments.get("routing_rationale")
    if not isinstance(value, str):
        raise InvalidDecisionError(["`routing_rationale` must be a short reason as text; it is missing."])
    return value


# --- what the model sees -------------------------------------------------------------------------------------------

_RATIONALE: JsonObject = {"type": "string", "description": "One short sentence: why this route."}

RESPOND_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "routing_rationale": _RATIONALE,  # first, so that it is known when the answer begins
        "response": {
            "type": "string",
            "description": "The complete answer. It is the only text the user will see, so put every concrete name, "
            "value and finding into it.",
        },
        "summary": {
            "type": "string",
            "description": "One or two sentences for the session history; give it when the answer is long.",
        },
    },
    "required": ["response", "routing_rationale"],
}

CLARIFY_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "description": "One question to the user."},
        "options": {"type": "array", "items": {"type": "string"}, "description": "Answers to choose from, if any."},
        "routing_rationale": _RATIONALE,
    },
    "required": ["question", "routing_rationale"],
}


def _respond_text(routes: Routes) -> str:
    if routes.after_iteration:
        return (
            "Give the user the final answer, made out of the results of the tasks. Workers' results are not shown to "
            "the user: whatever matters must stand in `response`."
        )
    if not routes.direct:
        return "Switched off for the first decision: use `create_plan`. Available once a plan has been carried out."
    return "Answer the user yourself. Only for questions that need no tool and no external data."


_PLAN_TEXT = (
    "Hand work to the workers: for everything that needs tools, data or several steps. Steps run one after another "
    "unless they stand in a group of type `parallel`."
)
_CLARIFY_TEXT = {
    True: "Ask the user one question. Only when the request is truly ambiguous; otherwise plan on the most sensible "
    "reading.",
    False: "Switched off: act on the most sensible reading instead.",
}


def plan_schema(workers: tuple[str, ...]) -> JsonObject:
    """``create_plan``'s parameters; both permitted levels of groups are written out, without ``$ref``."""
    worker: dict[str, Json] = {"type": "string", "description": "The name of the worker who does it."}
    if workers:
        worker["enum"] = list(workers)
    task: dict[str, Json] = {
        "type": "string",
        "description": "What to do, complete in itself: the worker sees no conversation and no other task, so resolve "
        "every reference and state every value, time range and name.",
    }

    def level(depth: int) -> JsonObject:
        kinds = ["task", "parallel", "chain"] if depth else ["task"]
        properties: dict[str, Json] = {"type": {"type": "string", "enum": kinds}, "task": task, "worker": worker}
        if depth:
            inner: JsonObject = {"type": "array", "items": level(depth - 1)}
            properties["items"] = {**inner, "description": "Members of a `parallel` group; they start together."}
            properties["steps"] = {**inner, "description": "Steps of a `chain`, one after another."}
        return {"type": "object", "required": ["type"], "properties": properties}

    return {
        "type": "object",
        "properties": {
            "goal": {"type": "string", "description": "What the plan achieves."},
            "steps": {
                "type": "array",
                "items": level(2),
                "description": "In order. Each has a `type`: `task` (with `task` and `worker`), `parallel` (with "
                "`items`), or `chain` (with `steps`, useful inside `parallel`).",
            },
            "routing_rationale": _RATIONALE,
            "planning_summary": {
                "type": "string",
                "minLength": 1,
                "description": "Which steps, in which order, and what comes out of them.",
            },
        },
        "required": ["goal", "steps", "routing_rationale", "planning_summary"],
    }
