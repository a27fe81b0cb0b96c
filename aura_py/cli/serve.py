"""`aura serve`. A flag wins over the environment, which wins over `.env`, which wins over the default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from aura_py.cli.terminal import ConfigPath, verbosity


@dataclass(slots=True, frozen=True)
class Flag:
    """A server setting as a flag. Its value is checked where variables are checked, in ``config.settings``.

    ``default`` is what the help says. A ``switch`` may stand without a value.
    """

    name: str
    field: str
    variable: str
    kind: str
    default: str
    text: str
    short: str | None = None
    switch: bool = False

    def option(self, function: Callable[..., int]) -> Callable[..., int]:
        decorate = click.option(
            *([self.short] if self.short else []),
            self.name,
            self.field,
            metavar=f"[{self.kind}]" if self.switch else self.kind,
            is_flag=False,
            flag_value="true" if self.switch else None,
            default=None,
            help=f"{self.text}  [env: {self.variable}; default: {self.default}]",
        )
        return decorate(function)


FLAGS = (
    Flag("--host", "host", "HOST", "ADDRESS", "127.0.0.1", "Address to listen on."),
    Flag("--port", "port", "PORT", "NUMBER", "8080", "Port to listen on; 0 takes a free one.", "-p"),
    Flag(
        "--default-agent",
        "default_agent",
        "DEFAULT_AGENT",
        "NAME",
        "none",
        "Agent that answers requests without a model.",
    ),
    Flag(
        "--tool-result-mode",
        "tool_result_mode",
        "TOOL_RESULT_MODE",
        "none|open-web-ui|aura",
        "none",
        "How streams show tools that Aura ran itself.",
    ),
    Flag(
        "--tool-result-max-length",
        "tool_result_max_length",
        "TOOL_RESULT_MAX_LENGTH",
        "BYTES",
        "1000",
        "Longest tool result in a stream; 0 is no limit.",
    ),
    Flag(
        "--streaming-buffer-size",
        "streaming_buffer_size",
        "STREAMING_BUFFER_SIZE",
        "NUMBER",
        "400",
        "Events that may wait for a slow client before the run does.",
    ),
    Flag(
        "--aura-custom-events",
        "custom_events",
        "AURA_CUSTOM_EVENTS",
        "BOOL",
        "false",
        "Send the named aura.* events to every client.",
        switch=True,
    ),
    Flag(
        "--aura-emit-reasoning",
        "emit_reasoning",
        "AURA_EMIT_REASONING",
        "BOOL",
        "false",
        "Send aura.reasoning as well; needs custom events.",
        switch=True,
    ),
    Flag(
        "--debug-provider-errors",
        "debug_provider_errors",
        "AURA_DEBUG_PROVIDER_ERRORS",
        "BOOL",
        "false",
        "Show clients what a model's provider said; for development only.",
        switch=True,
    ),
    Flag(
        "--streaming-timeout-secs",
        "streaming_timeout_secs",
        "STREAMING_TIMEOUT_SECS",
        "SECONDS",
        "900",
        "Longest run; 0 is no limit.",
    ),
    Flag(
        "--first-chunk-timeout-secs",
        "first_chunk_timeout_secs",
        "FIRST_CHUNK_TIMEOUT_SECS",
        "SECONDS",
        "90",
        "Longest silence of a model before its first delta; 0 is no limit.",
    ),
    Flag(
        "--stream-inactivity-timeout-secs",
        "stream_inactivity_timeout_secs",
        "STREAM_INACTIVITY_TIMEOUT_SECS",
        "SECONDS",
        "0",
        "Longest silence of a model after its first delta; 0 is no limit.",
    ),
    Flag(
        "--shutdown-timeout-secs",
        "shutdown_timeout_secs",
        "SHUTDOWN_TIMEOUT_SECS",
        "SECONDS",
        "30",
        "How long running requests may go on when the server stops.",
    ),
    Flag(
        "--heartbeat-secs",
        "heartbeat_secs",
        "AURA_HEARTBEAT_SECS",
        "SECONDS",
        "10",
        "Silence of a stream before a comment keeps it alive, at most 25.",
    ),
    Flag(
        "--stall-secs",
        "stall_secs",
        "AURA_STALL_SECS",
        "SECONDS",
        "60",
        "How long a client may leave a full buffer unread before it is dropped.",
    ),
    Flag("--max-body-bytes", "max_body_bytes", "AURA_MAX_BODY_BYTES", "BYTES", "16777216", "Largest request body."),
    Flag(
        "--cors-origins",
        "cors_origins",
        "AURA_CORS_ORIGINS",
        "ORIGINS",
        "none",
        "Origins that browsers may call from, separated by commas, or *.",
    ),
    Flag(
        "--api-keys-file",
        "api_keys_file",
        "AURA_API_KEYS_FILE",
        "FILE",
        "none",
        "File with the digests of API keys; AURA_API_KEYS holds keys themselves.",
    ),
    Flag(
        "--server-url",
        "server_url",
        "AURA_SERVER_URL",
        "URL",
        "from host and port",
        "Public origin of this server.",
    ),
    Flag(
        "--enable-a2a",
        "enable_a2a",
        "AURA_ENABLE_A2A",
        "BOOL",
        "false",
        "Mount the A2A routes; not built yet.",
        switch=True,
    ),
    Flag(
        "--reload",
        "reload",
        "AURA_RELOAD",
        "BOOL",
        "false",
        "Watch the agents' files and reload them when they change.",
        switch=True,
    ),
    Flag(
        "--strict",
        "config_strict",
        "AURA_CONFIG_STRICT",
        "BOOL",
        "false",
        "Unknown keys of agent files are errors.",
        switch=True,
    ),
)


def _flags(function: Callable[..., int]) -> Callable[..., int]:
    for flag in reversed(FLAGS):
        function = flag.option(function)
    return function


@click.command("serve", short_help="Serve a file or a directory of agents behind an OpenAI-compatible API.")
@click.argument("path", type=ConfigPath(), required=False)
@click.option(
    "-c",
    "--config",
    type=ConfigPath(),
    help="The same as PATH.  [env: CONFIG_PATH; default: config.toml]",
)
@_flags
@verbosity
def command(path: Path | None, config: Path | None, verbose: bool, debug: bool, **flags: str | None) -> int:
    """Serve the agents of PATH, a file or a directory, behind an OpenAI-compatible API.

    Every file is validated first; if anything is wrong, every problem is printed and nothing is served. A switch may
    stand alone or with a value: --reload, --reload=false.
    """
    if path is not None and config is not None and path != config:
        raise click.UsageError("PATH and --config name different places; give one of them.")

    from aura_py.cli.serving import serve_agents

    return serve_agents({"config_path": path or config, **flags}, verbose=verbose, debug=debug)
