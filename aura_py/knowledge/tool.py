"""``vector_search_<name>``: a store as a tool."""

from __future__ import annotations

from typing import Final

from aura_py.knowledge.base import KnowledgeBase
from aura_py.knowledge.contract import KnowledgeError
from aura_py.knowledge.results import as_json, as_text
from aura_py.messages import Json, JsonObject
from aura_py.tools.contract import BuiltinTool, CallContext, Tool, ToolOutcome, failure, success

MOST_RESULTS: Final = 20
RESULTS: Final = 5
_LONGEST_QUERY: Final = 8_000


def search_tool(base: KnowledgeBase) -> Tool:
    """The tool that searches ``base``."""

    async def call(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        try:
            query = _query(arguments, base)
            limit = round(_number(arguments, "limit", 1, MOST_RESULTS) or RESULTS)
            min_score = _number(arguments, "min_score", 0, 1) if base.scores_vectors else None
            filters = _filters(arguments.get("label_filters")) if base.filters else ()
        except ValueError as error:
            return failure(f"ToolCallError: {error}", outcome="schema_error")
        try:
            matches = await base.search(query, limit=limit, min_score=min_score, filters=filters)
        except KnowledgeError as error:
            reason = str(error).rstrip(".")
            if f"`{base.name}`" not in reason:
                reason = f"the vector store `{base.name}` cannot be searched: {reason}"
            return failure(f"ToolCallError: {reason}.", outcome="tool_error")
        return success(as_text(query, matches, base.note), structured=as_json(query, matches, base.note))

    return BuiltinTool(base.tool_name, _description(base), _parameters(base), call, "knowledge")


def _description(base: KnowledgeBase) -> str:
    parts = [f"Searches the documents of `{base.name}` and returns the passages that fit best, with their sources."]
    if base.config.context_prefix:
        parts.append(f"It holds: {base.config.context_prefix.strip().rstrip('.')}. Use it for questions about that.")
    if base.filters:
        parts.append("Give `label_filters` only when the user asked to narrow the search; never guess them.")
    return " ".join(parts)


def _parameters(base: KnowledgeBase) -> JsonObject:
    properties: dict[str, Json] = {
        "query": {"type": "string", "description": "What to look for, in the words a document would use."},
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_RESULTS,
            "description": f"Most results; {RESULTS} by default.",
        },
    }
    if base.scores_vectors:
        properties["min_score"] = {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "Smallest cosine similarity of a result.",
        }
    if base.filters:
        pair: JsonObject = {
            "type": "object",
            "properties": {"key": {"type": "string"}, "value": {"type": "string"}},
            "required": ["key", "value"],
            "additionalProperties": False,
        }
        properties["label_filters"] = {
            "type": "array",
            "items": pair,
            "description": "Labels that every result must have.",
        }
    return {"type": "object", "properties": properties, "required": ["query"], "additionalProperties": False}


def _query(arguments: JsonObject, base: KnowledgeBase) -> str:
    properties = _parameters(base)["properties"]
    known = list(properties) if isinstance(properties, dict) else []
    unknown = sorted(set(arguments).difference(known))
    if unknown:
        raise ValueError(
            f"there is no argument `{unknown[0][:80]}`; there are {', '.join(f'`{each}`' for each in known)}."
        )
    query = arguments.get("query")
    if not isinstance(query, str) or not query.strip():
        raise ValueError("`query` must be a text to look for.")
    # surrogates come from broken escapes in a model's JSON; no store takes them
    return query.strip()[:_LONGEST_QUERY].encode("utf-8", "replace").decode().replace("\0", " ")


def _number(arguments: JsonObject, key: str, least: float, most: float) -> float | None:
    """The number, held within its bounds; models overstep them often and mean the bound."""
    value = arguments.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise ValueError(f"`{key}` must be a number from {least:g} to {most:g}.")
    return min(most, max(least, value))


def _filters(value: Json) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    found: list[tuple[str, str]] = []
    for each in value if isinstance(value, list) else [None]:
        key, wanted = (each.get("key"), each.get("value")) if isinstance(each, dict) else (None, None)
        if not isinstance(key, str) or not isinstance(wanted, str | int | float):
            raise ValueError('`label_filters` must be a list of objects such as {"key": "team", "value": "db"}.')
        text = str(wanted).lower() if isinstance(wanted, bool) else str(wanted)
        found.append((key, text))
    return tuple(found)
