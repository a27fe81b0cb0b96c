"""Tools: their contract, the toolset of one run, and the only executor."""

from aura_py.tools.contract import (
    Annotations,
    BuiltinTool,
    CallContext,
    Invocation,
    Middleware,
    Next,
    Tool,
    ToolOutcome,
    failure,
    success,
)
from aura_py.tools.runner import ToolRunner, parse_arguments
from aura_py.tools.toolset import Toolset, filter_tools, unmatched_patterns

__all__ = [
    "Annotations",
    "BuiltinTool",
    "CallContext",
    "Invocation",
    "Middleware",
    "Next",
    "Tool",
    "ToolOutcome",
    "ToolRunner",
    "Toolset",
    "failure",
    "filter_tools",
    "parse_arguments",
    "success",
    "unmatched_patterns",
]
