"""The three routing tools: answer, plan, ask (``orchestration.md`` §5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from aura_py.ids import tool_call_id
from aura_py.messages import Json, JsonObject, ToolCall
from aura_py.orchestration.calls_as_text import object_in_text
from aura_py.orchestration.decisions import Clarification, Decision, DecisionSlot, Direct, PlanDecision
from aura_py.orchestration.plan import is_array
from aura_py.orchestration.steps import InvalidPlanError, read_plan
from aura_py.tools.contract import BuiltinTool, CallContext, ToolOutcome, failure, success

RESPOND = "respond_directly"
PLAN = "create_plan"
CLARIFY = "request_clarification"
ROUTING_TOOLS = (RESPOND, PLAN, CLARIFY)


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
            return _written(str(name), written)
    for name, kind, key, others in _DECISIONS:
        if key in found and (found.get("response_type") == kind or any(other in found for other in others)):
            return _written(name, found)
    return None


def _written(name: str, arguments: JsonObject) -> ToolCall:
    given = {"routing_rationale": "written as text", **arguments}
    if "response_summary" in given:
        given["summary"] = given.pop("response_summary")
    return ToolCall(tool_call_id(), name, orjson.dumps(given).decode())


def routing_tools(
    routes: Routes, slot: DecisionSlot, *, query: str, workers: tuple[str, ...]
) -> tuple[BuiltinTool, ...]:
    """The tools of one planning call; each puts its decision into ``slot``."""

    async def respond(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        response = arguments.get("response")
        if not isinstance(response, str) or not response.strip():
            return _refuse(slot, "`response` must be the whole answer as text; it is missing or blank.")
        missing = _missing_rationale(arguments)
        if missing:
            return _refuse(slot, missing)
        summary = arguments.get("summary")
        decision = Direct(
            response, _text(arguments, "routing_rationale"), summary if isinstance(summary, str) else None
        )
        return _record(slot, decision, "The answer is recorded.")

    async def plan(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        missing = _missing_rationale(arguments)
        if missing:
            return _refuse(slot, missing)
        try:
            made = read_plan(arguments, query=query, workers=workers)
        except InvalidPlanError as refusal:
            return _refuse(slot, " ".join(refusal.faults))
        return _record(slot, PlanDecision(made), f"The plan is created, with {len(made)} task{'s' * (len(made) != 1)}.")

    async def clarify(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        if routes.after_iteration and not routes.clarify:
            return _refuse(slot, "asking back is switched off; answer with what you have through `respond_directly`.")
        question = arguments.get("question")
        if not isinstance(question, str) or not question.strip():
            return _refuse(slot, "`question` must be one question as text; it is missing or blank.")
        missing = _missing_rationale(arguments)
        if missing:
            return _refuse(slot, missing)
        options = arguments.get("options")
        listed = [o for o in options if isinstance(o, str) and o.strip()] if is_array(options) else []
        decision = Clarification(question, _text(arguments, "routing_rationale"), tuple(listed))
        return _record(slot, decision, "The question is recorded.")

    tools = {
        RESPOND: BuiltinTool(RESPOND, _respond_text(routes), RESPOND_SCHEMA, respond, "orchestration"),
        PLAN: BuiltinTool(PLAN, _PLAN_TEXT, plan_schema(workers), plan, "orchestration"),
        CLARIFY: BuiltinTool(CLARIFY, _CLARIFY_TEXT[routes.clarify], CLARIFY_SCHEMA, clarify, "orchestration"),
    }
    return tuple(tools[name] for name in routes.names)


def _record(slot: DecisionSlot, decision: Decision, text: str) -> ToolOutcome:
    if slot.offer(decision):
        return success(text)
    return failure(
        "A routing action was already chosen; one per turn. This call changed nothing.", outcome="tool_error"
    )


def _refuse(slot: DecisionSlot, text: str) -> ToolOutcome:
    slot.faults.append(text)
    return failure(f"Not accepted: {text}", outcome="schema_error")


def _missing_rationale(arguments: JsonObject) -> str | None:
    if isinstance(arguments.get("routing_rationale"), str):
        return None
    return "`routing_rationale` must be a short reason as text; it is missing."


def _text(arguments: JsonObject, key: str) -> str:
    value = arguments.get(key)
    return value if isinstance(value, str) else ""


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
