"""A script's tool calls written as text, in the formats that the text-call parser accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import orjson

from aura_py.config.models import ScriptCall

TextFormat: TypeAlias = Literal["json", "hermes", "pythonic", "qwen"]


def as_text(calls: Sequence[ScriptCall], format_: TextFormat) -> str:
    if format_ == "pythonic":
        return "[" + ", ".join(_pythonic(call) for call in calls) + "]"
    return "\n".join(_one(call, format_) for call in calls)


def _one(call: ScriptCall, format_: TextFormat) -> str:
    if format_ == "qwen":
        parameters = "".join(f"<parameter={name}>{_plain(value)}</parameter>" for name, value in call.arguments.items())
        return f"<function={call.name}>{parameters}</function>"
    body = orjson.dumps({"name": call.name, "arguments": call.arguments}).decode()
    return body if format_ == "json" else f"<tool_call>\n{body}\n</tool_call>"


def _pythonic(call: ScriptCall) -> str:
    return f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
