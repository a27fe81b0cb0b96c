"""Repair of a conversation that a client sends back.

Providers reject a call without its result and a result without its call; clients produce both.
"""

from __future__ import annotations

from collections.abc import Sequence

from aura_py.messages import Message, TextPart, tool_result

_NO_RESULT = "This call was executed by the server; its result is not available any more."


def repaired(messages: Sequence[Message]) -> tuple[Message, ...]:
    """``messages`` in their order, every call directly followed by its result, orphaned results left out."""
    results = {m.tool_call_id: m for m in messages if m.role == "tool" and m.tool_call_id}
    kept: list[Message] = []
    for message in messages:
        if message.role == "tool":
            continue
        if message.role == "assistant" and not (message.content or message.tool_calls):
            continue
        kept.append(message)
        for call in message.tool_calls:
            result = results.pop(call.id, None)
            if result is None:
                kept.append(tool_result(call, (TextPart(_NO_RESULT),)))
            else:
                kept.append(tool_result(call, result.content, is_error=result.is_error))
    return tuple(kept)
