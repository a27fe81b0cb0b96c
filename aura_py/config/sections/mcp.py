"""`[mcp]` and its servers (``config.md`` §11)."""

from __future__ import annotations

import re

from aura_py.config import models
from aura_py.config.maps import Environment, HeaderMap, Headers
from aura_py.config.numbers import Flag, Whole
from aura_py.config.problems import At, shown
from aura_py.config.tables import Advice, Key, Shape, Table, TableMap, Tree, Variant
from aura_py.config.values import Choice, GlobText, Strings, Text, Url

_USUAL_NAME = re.compile(r"[A-Za-z0-9_-]+")
TRANSPORTS = ("stdio", "http_streamable", "sse")
_WORDS = ", ".join(f"`{word}`" for word in TRANSPORTS)

_THRESHOLD = Table(
    Shape(
        models.ScratchpadThreshold,
        {"min_tokens": Key(Whole(), "Park an output of at least this many tokens; 0 parks everything.")},
    )
)


def _thresholds_are_globs(raw: Tree, at: At) -> None:
    for pattern in raw:
        GlobText().read(pattern, at / pattern)


_COMMON = {
    "transport": Key(Choice(TRANSPORTS), "How the server is reached.", True, '`transport = "stdio"`'),
    "description": Key(Text(blank="absent"), "What the server is for; shown in overviews only."),
    "scratchpad": Key(
        TableMap(_THRESHOLD, _thresholds_are_globs), "Tool-name glob to threshold: outputs that the scratchpad parks."
    ),
    "enabled": Key(Flag(), "`false` leaves the server out."),
    "required": Key(Flag(), "`true` fails a request when the server is not there."),
    "connect_timeout_secs": Key(Whole(), "Time to connect and list the tools; 0 is unlimited."),
    "tool_timeout_secs": Key(Whole(), "Time for one tool call, started anew by progress; 0 is unlimited."),
    "max_parallel_tool_calls": Key(Whole(1), "Calls of one turn that may run at once on this server; 1 is one by one."),
}
_HTTP = {
    **_COMMON,
    "url": Key(Url("CFG-M03", secret=True), "Endpoint.", True, '`url = "https://example.org/mcp"`'),
    "headers": Key(Headers(), "Static headers, and the fallback for mapped ones."),
    "headers_from_request": Key(HeaderMap(), "Outbound header to the header of the current request it is taken from."),
}


def _command(tree: Tree, at: At) -> None:
    command = tree.get("cmd")
    if command is not None and (not command or not command[0].strip()):
        (at / "cmd").error("CFG-M02", f"`cmd` of MCP server `{shown(at.name)}` is empty", 'write `cmd = ["npx"]`')


_FOREIGN_KEYS = {
    "command": Advice("`command` is another program's key", 'write `cmd = ["npx"]`: a list, without a shell'),
    "type": Advice("`type` is another program's key", f"write `transport`: one of {_WORDS}"),
    "disabled": Advice("`disabled` is another program's key", "write `enabled = false`"),
}

_STDIO = Shape(
    models.StdioServer,
    {
        **_COMMON,
        "cmd": Key(Strings(), "Executable and fixed leading arguments; no shell.", True, '`cmd = ["npx"]`'),
        "args": Key(Strings(), "Further arguments."),
        "env": Key(Environment(), "Variables added to the environment of the process."),
        "inherit_env": Key(Flag(), "`false` hands the process only a minimal environment plus `env`."),
    },
    "A server started as a child process.",
    misplaced=_FOREIGN_KEYS,
    check=_command,
)


def _transport_missing(at: At) -> None:
    (at / "transport").error(
        "CFG-M01", f"missing required key `transport` of MCP server `{shown(at.name)}`", f"add one of {_WORDS}"
    )


_SERVER = Variant(
    "transport",
    {
        "stdio": _STDIO,
        "http_streamable": Shape(models.HttpServer, _HTTP, "A server over Streamable HTTP.", misplaced=_FOREIGN_KEYS),
        "sse": Shape(models.SseServer, _HTTP, "A server of the older HTTP+SSE protocol.", misplaced=_FOREIGN_KEYS),
    },
    _transport_missing,
    unknown_code="CFG-M01",
    foreign_code="CFG-M06",
    suggestions={
        **dict.fromkeys(("http", "https", "streamable_http", "streamable-http", "http-streamable"), "http_streamable"),
        **dict.fromkeys(("streamablehttp", "streamable"), "http_streamable"),
        **dict.fromkeys(("command", "process", "local"), "stdio"),
    },
)


def _server_names(raw: Tree, at: At) -> None:
    for name in raw:
        if not name.strip():
            (at / name).error("CFG-M01", "an MCP server has an empty name", "name it in `[mcp.servers.<name>]`")
        elif not _USUAL_NAME.fullmatch(name):
            (at / name).warn(
                "WARN-MCP01",
                f"MCP server name `{shown(name)}` has characters other than letters, digits, `_` and `-`",
                "use a plain name",
            )


MCP = Table(
    Shape(
        models.Mcp,
        {
            "servers": Key(TableMap(_SERVER, _server_names), "One entry per server, connected in file order."),
            "sanitize_schemas": Key(Flag(), "Rewrite tool schemas so that every provider takes them."),
        },
        "Servers whose tools the agent may use.",
        misplaced={
            "mcpServers": Advice("`[mcp.mcpServers.*]` is not read", "rename it to `[mcp.servers.<name>]`"),
            "server": Advice("`[mcp.server.*]` is not read", "rename it to `[mcp.servers.<name>]`"),
        },
    )
)
