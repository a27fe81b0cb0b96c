"""`[mcp]` and its servers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, SecretStr

from aura_py.config.file_report import Location, display
from aura_py.config.maps import EnvironmentVariables, HeaderSources, HeaderValues
from aura_py.config.models.scratchpad import ScratchpadThreshold
from aura_py.config.numbers import Integer
from aura_py.config.tables import Advice, Key, Section, Table, TableMap, Tree, Variant
from aura_py.config.values import GlobText, Url

_USUAL_NAME = re.compile(r"[A-Za-z0-9_-]+")
TRANSPORTS = ("stdio", "http_streamable", "sse")
_WORDS = ", ".join(f"`{word}`" for word in TRANSPORTS)
_TRANSPORT = Key("How the server is reached.", required=True, example='`transport = "stdio"`')


def _thresholds_are_globs(raw: Tree, at: Location) -> None:
    for pattern in raw:
        GlobText().read(pattern, at / pattern)


class McpServerBase(Section):
    misplaced: ClassVar = {
        "command": Advice("`command` is another program's key", 'write `cmd = ["npx"]`: a list, without a shell'),
        "type": Advice("`type` is another program's key", f"write `transport`: one of {_WORDS}"),
        "disabled": Advice("`disabled` is another program's key", "write `enabled = false`"),
    }

    transport: Annotated[str, _TRANSPORT]
    description: Annotated[str | None, Key("What the server is for; shown in overviews only.")] = None
    scratchpad: Annotated[
        Mapping[str, ScratchpadThreshold],
        TableMap(Table(ScratchpadThreshold), _thresholds_are_globs),
        Key("Tool-name glob to threshold: outputs that the scratchpad parks."),
    ] = Field(default_factory=dict)
    enabled: Annotated[bool, Key("`false` leaves the server out.")] = True
    required: Annotated[bool, Key("`true` fails a request when the server is not there.")] = False
    connect_timeout_secs: Annotated[int, Key("Time to connect and list the tools; 0 is unlimited.")] = 30
    tool_timeout_secs: Annotated[int, Key("Time for one tool call, started anew by progress; 0 is unlimited.")] = 0
    max_parallel_tool_calls: Annotated[
        int, Integer(1), Key("Calls of one turn that may run at once on this server; 1 is one by one.")
    ] = 8


class StdioServer(McpServerBase):
    """A server started as a child process."""

    transport: Annotated[Literal["stdio"], _TRANSPORT] = "stdio"
    cmd: Annotated[
        tuple[str, ...],
        Key("Executable and fixed leading arguments; no shell.", example='`cmd = ["npx"]`'),
    ]
    args: Annotated[tuple[str, ...], Key("Further arguments.")] = ()
    env: Annotated[EnvironmentVariables, Key("Variables added to the environment of the process.")] = Field(
        default_factory=dict
    )
    inherit_env: Annotated[bool, Key("`false` hands the process only a minimal environment plus `env`.")] = True

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        command = tree.get("cmd")
        if command is not None and (not command or not command[0].strip()):
            (at / "cmd").error("CFG-M02", f"`cmd` of MCP server `{display(at.name)}` is empty", 'write `cmd = ["npx"]`')


class RemoteServer(McpServerBase):
    url: Annotated[
        SecretStr, Url("CFG-M03", secret=True), Key("Endpoint.", example='`url = "https://example.org/mcp"`')
    ]
    headers: Annotated[HeaderValues, Key("Static headers, and the fallback for mapped ones.")] = Field(
        default_factory=dict
    )
    headers_from_request: Annotated[
        HeaderSources, Key("Outbound header to the header of the current request it is taken from.")
    ] = Field(default_factory=dict)


class HttpServer(RemoteServer):
    """A server over Streamable HTTP."""

    transport: Annotated[Literal["http_streamable"], _TRANSPORT] = "http_streamable"


class SseServer(RemoteServer):
    """A server of the older HTTP+SSE protocol."""

    transport: Annotated[Literal["sse"], _TRANSPORT] = "sse"


McpServer: TypeAlias = Annotated[
    StdioServer | HttpServer | SseServer,
    Field(discriminator="transport"),
    Variant(
        "transport",
        missing_code="CFG-M01",
        unknown_code="CFG-M01",
        foreign_code="CFG-M06",
        suggestions={
            **dict.fromkeys(("http", "https", "streamable_http", "streamable-http"), "http_streamable"),
            **dict.fromkeys(("http-streamable", "streamablehttp", "streamable"), "http_streamable"),
            **dict.fromkeys(("command", "process", "local"), "stdio"),
        },
    ),
]


class Mcp(Section):
    """Servers whose tools the agent may use."""

    misplaced: ClassVar = {
        "mcpServers": Advice("`[mcp.mcpServers.*]` is not read", "rename it to `[mcp.servers.<name>]`"),
        "server": Advice("`[mcp.server.*]` is not read", "rename it to `[mcp.servers.<name>]`"),
    }

    servers: Annotated[Mapping[str, McpServer], Key("One entry per server, connected in file order.")] = Field(
        default_factory=dict
    )
    sanitize_schemas: Annotated[bool, Key("Rewrite tool schemas so that every provider takes them.")] = True

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        for name in tree.get("servers", ()):
            here = at / "servers" / name
            if not name.strip():
                here.error("CFG-M01", "an MCP server has an empty name", "name it in `[mcp.servers.<name>]`")
            elif not _USUAL_NAME.fullmatch(name):
                here.warn(
                    "WARN-MCP01",
                    f"MCP server name `{display(name)}` has characters other than letters, digits, `_` and `-`",
                    "use a plain name",
                )
