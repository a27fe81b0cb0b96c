"""Settings of the server: flag, then environment (``.env`` included), then default."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from aura_py.config import variables
from aura_py.config.diagnostics import Diagnostic, InvalidConfiguration, errors
from aura_py.config.values import is_url
from aura_py.config.variables import FALSE_WORDS, TRUE_WORDS, is_blank

WORKER_VARIABLE = "_AURA_WORKER_PROCESS"
"""Set by the parent of several processes on one port; begins with the number of the process."""
_BOOLEAN_WORDS = "`true` or `false` (also 1, t, yes, y, on and 0, f, no, n, off)"
_LONGEST_HEARTBEAT = 25
_SHORTEST_SECRET = 32
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(slots=True, frozen=True)
class Setting:
    """How a setting is called from outside, and what it may be. ``lenient``: a bad value is warned about, not fatal."""

    variable: str = ""
    flag: str = ""
    allowed: str = ""
    doc: str = ""
    lenient: bool = False
    secret: bool = False


def _boolean(value: object) -> object:
    word = str(value).strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError("not a boolean word")


def _whole(value: object) -> object:
    if isinstance(value, str):
        text = value.strip()
        if not text.isascii() or not text.isdecimal() or len(text) > 18:
            raise ValueError("not a whole number")
        return int(text)
    return value


def _listed(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _header_names(value: object) -> object:
    names = _listed(value)
    if isinstance(names, tuple) and not all(_HEADER_NAME.fullmatch(name) for name in names):
        raise ValueError("not a header name")
    return tuple(name.lower() for name in names) if isinstance(names, tuple) else names


def _origin(value: object) -> object:
    if not isinstance(value, str) or not is_url(value.strip()):
        raise ValueError("not an absolute URL")
    return value.strip().rstrip("/")


Boolean = Annotated[bool, BeforeValidator(_boolean)]
Listed = Annotated[tuple[str, ...], BeforeValidator(_listed)]
WholeNumber = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=10**15)]


def _setting(default: Any, variable: str, doc: str, allowed: str, *, flag: str | bool = "", **more: Any) -> Any:
    """A setting; ``flag=True`` is a flag that is called like the variable."""
    if flag is True:
        flag = "--" + variable.lower().replace("_", "-").removeprefix("aura-")
    about = {name: more.pop(name) for name in ("lenient", "secret") if name in more}
    extra: Any = {"setting": Setting(variable, flag or "", allowed, doc, **about)}
    return Field(default, json_schema_extra=extra, **more)


def _switch(default: bool, variable: str, doc: str, **more: Any) -> Any:
    return _setting(default, variable, doc, _BOOLEAN_WORDS, **more)


def _seconds(default: int, variable: str, doc: str, **more: Any) -> Any:
    return _setting(default, variable, doc, "a whole number of seconds, at least 0", **more)


def _count(default: int, variable: str, doc: str, **more: Any) -> Any:
    return _setting(default, variable, doc, "a whole number, at least 0", **more)


def _limit(default: int, variable: str, doc: str, **more: Any) -> Any:
    return _setting(default, variable, doc, "a whole number, at least 1", ge=1, **more)


class ServerSettings(BaseModel):
    """What belongs to the deployment and never to an agent's file. Build it with :meth:`resolve`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    config_path: Path = _setting(
        Path("config.toml"), "CONFIG_PATH", "File or directory of agent files.", "a path", flag="--config"
    )
    host: str = _setting("127.0.0.1", "HOST", "Address to listen on.", "a host name or address", flag=True)
    port: WholeNumber = _setting(
        8080, "PORT", "Port to listen on; 0 takes a free one.", "0 to 65535", flag=True, le=65535
    )
    workers: WholeNumber = _setting(
        1, "AURA_WORKERS", "Processes that serve the port.", "1 to 64", flag=True, ge=1, le=64
    )
    default_agent: str | None = _setting(
        None, "DEFAULT_AGENT", "Agent of requests that name none.", "an agent's id", flag=True
    )
    tool_result_mode: Literal["none", "open-web-ui", "aura"] = _setting(
        "none",
        "TOOL_RESULT_MODE",
        "How streams show tools that Aura ran itself.",
        "`none`, `open-web-ui` or `aura`",
        flag=True,
    )
    tool_result_max_length: WholeNumber = _count(
        1000, "TOOL_RESULT_MAX_LENGTH", "Bytes of a tool's result in a stream; 0 is no limit.", flag=True
    )
    streaming_buffer_size: WholeNumber = _limit(
        400, "STREAMING_BUFFER_SIZE", "Events that may wait for a slow client before the run does.", flag=True
    )
    custom_events: Boolean = _switch(
        False, "AURA_CUSTOM_EVENTS", "Send the named `aura.*` events to every client.", flag="--aura-custom-events"
    )
    emit_reasoning: Boolean = _switch(
        False, "AURA_EMIT_REASONING", "Send `aura.reasoning`; needs custom events.", flag="--aura-emit-reasoning"
    )
    debug_provider_errors: Boolean = _switch(
        False, "AURA_DEBUG_PROVIDER_ERRORS", "Show clients what the provider said; for development only.", flag=True
    )
    streaming_timeout_secs: WholeNumber = _seconds(
        900, "STREAMING_TIMEOUT_SECS", "Longest run; 0 is no limit.", flag=True
    )
    first_chunk_timeout_secs: WholeNumber = _seconds(
        90, "FIRST_CHUNK_TIMEOUT_SECS", "Wait for the model's first delta; 0 is off.", flag=True
    )
    stream_inactivity_timeout_secs: WholeNumber = _seconds(
        0, "STREAM_INACTIVITY_TIMEOUT_SECS", "Silence of a model after its first delta; 0 is off.", flag=True
    )
    shutdown_timeout_secs: WholeNumber = _seconds(
        30, "SHUTDOWN_TIMEOUT_SECS", "How long running requests may go on when the server stops.", flag=True
    )
    server_url: Annotated[str, BeforeValidator(_origin)] | None = _setting(
        None,
        "AURA_SERVER_URL",
        "Public origin, told at start; absent: host and port.",
        "an absolute http or https URL",
        flag=True,
    )
    enable_a2a: Boolean = _switch(False, "AURA_ENABLE_A2A", "Mount the A2A routes; not built yet.", flag=True)
    reload: Boolean = _switch(
        False, "AURA_RELOAD", "Watch the agents' files and reload them when they change.", flag=True
    )
    max_body_bytes: WholeNumber = _limit(16 * 1024 * 1024, "AURA_MAX_BODY_BYTES", "Largest request body.", flag=True)
    max_messages: WholeNumber = _limit(10_000, "AURA_MAX_MESSAGES", "Most `messages` of a chat completion.")
    max_parts: WholeNumber = _limit(50_000, "AURA_MAX_PARTS", "Most content parts of a request, over all messages.")
    max_tools: WholeNumber = _limit(1_000, "AURA_MAX_TOOLS", "Most `tools` of a request.")
    max_input_items: WholeNumber = _limit(10_000, "AURA_MAX_INPUT_ITEMS", "Most items of a response's `input`.")
    cors_origins: Listed = _setting(
        (),
        "AURA_CORS_ORIGINS",
        "Origins that browsers may call from, separated by commas, or `*`.",
        "origins separated by commas, or `*`",
        flag=True,
    )
    api_keys: SecretStr | None = _setting(
        None, "AURA_API_KEYS", "Keys that requests must carry one of.", "keys separated by commas", secret=True
    )
    api_keys_file: Path | None = _setting(
        None,
        "AURA_API_KEYS_FILE",
        "File with the digests of API keys; `AURA_API_KEYS` holds keys themselves.",
        "a path",
        flag=True,
    )
    heartbeat_secs: Annotated[float, Field(ge=1, le=_LONGEST_HEARTBEAT)] = _setting(
        10.0,
        "AURA_HEARTBEAT_SECS",
        "Silence of a stream before a comment keeps it alive, at most 25.",
        f"a number from 1 to {_LONGEST_HEARTBEAT}",
        flag=True,
    )
    stall_secs: Annotated[float, Field(ge=1, le=86_400)] = _setting(
        60.0,
        "AURA_STALL_SECS",
        "How long a client may leave a full buffer unread before it is dropped.",
        "a number from 1 to 86400",
        flag=True,
    )
    retry_grace_secs: Annotated[float, Field(ge=0, le=3600)] = _setting(
        10.0,
        "AURA_RETRY_GRACE_SECS",
        "How long a run waits for a client that counts its retries and left before it was sent anything.",
        "a number from 0 to 3600",
    )
    allowed_hosts: Listed = _setting(
        (),
        "AURA_ALLOWED_HOSTS",
        "Names under which pages in browsers may reach a loopback server that asks for no keys.",
        "host names separated by commas",
    )
    session_headers: Annotated[tuple[str, ...], BeforeValidator(_header_names)] = _setting(
        (),
        "AURA_SESSION_HEADERS",
        "Further headers that may hold the session's id, after the usual ones.",
        "header names separated by commas",
    )
    task_model: str | None = _setting(
        None,
        "AURA_TASK_MODEL",
        "Requests for this model are side requests of chat clients: titles, tags, follow-ups.",
        "a model's name",
    )
    openwebui_jwt_secret: Annotated[SecretStr, Field(min_length=_SHORTEST_SECRET)] | None = _setting(
        None,
        "AURA_OPENWEBUI_JWT_SECRET",
        "Verifies `X-OpenWebUI-User-Jwt`, which names the end user.",
        f"at least {_SHORTEST_SECRET} characters",
        secret=True,
    )
    responses_tools: Literal["mcp_call", "function_call"] = _setting(
        "mcp_call",
        "AURA_RESPONSES_TOOLS",
        "The items that show Aura's own tools in `/v1/responses`; frameworks run a `function_call` themselves.",
        "`mcp_call` or `function_call`",
    )
    strict_requests: Boolean = _switch(
        False, "AURA_STRICT_REQUESTS", "Refuse `n` above 1, `logprobs` and audio output, which are ignored otherwise."
    )
    watch_loop: Boolean = _switch(
        False, "AURA_WATCH_LOOP", "Log what holds the event loop for over 200 ms; for development.", lenient=True
    )
    prompt_journal: Boolean = _switch(
        False, "AURA_PROMPT_JOURNAL", "Write the prompts of orchestrations to the run directory.", lenient=True
    )
    emit_scratchpad_tool_events: Boolean = _switch(
        False, "AURA_EMIT_SCRATCHPAD_TOOL_EVENTS", "Show the scratchpad's tools in streams.", lenient=True
    )
    escape_hatch: Boolean = _switch(
        True, "AURA_ESCAPE_HATCH", "Tell the coordinator to plan around missing tools.", lenient=True
    )
    config_strict: Boolean = _switch(
        False, "AURA_CONFIG_STRICT", "Unknown keys of agent files are errors.", flag="--strict", lenient=True
    )
    disable_dotenv: Boolean = _switch(False, "AURA_DISABLE_DOTENV", "Read no `.env` file.", lenient=True)
    warnings: tuple[Diagnostic, ...] = Field(default=(), exclude=True, repr=False)
    """What was met while resolving; not a setting."""

    @classmethod
    def resolve(cls, flags: Mapping[str, object] | None = None, env: Mapping[str, str] | None = None) -> Self:
        """Settings from flags (by field name; ``None`` is not given) over variables over defaults.

        Raises:
            InvalidConfiguration: A value is not allowed (exit status 2), or asks for what is not built.
        """
        env = os.environ if env is None else env
        warnings = variables.unused_variables(env)
        found = variables.check(env)
        values: dict[str, Any] = {name: value for name, value in (flags or {}).items() if not is_blank(value)}
        for name, info in cls.model_fields.items():
            setting = setting_of(info)
            if setting is None or name in values or is_blank(env.get(setting.variable)):
                continue
            word = env[setting.variable].strip()
            if setting.lenient and word.lower() not in TRUE_WORDS | FALSE_WORDS:
                warnings.append(_ignored(setting, info.default))
            else:
                values[name] = word
        try:
            settings = cls.model_validate({**values, "warnings": tuple(warnings)})
        except ValidationError as error:
            wrong = dict.fromkeys(str(each["loc"][0]) for each in error.errors(include_input=False, include_url=False))
            found += [_refused(cls.model_fields[name], values[name]) for name in wrong]
            raise InvalidConfiguration([*warnings, *found]) from None
        if settings.enable_a2a:
            fix = "leave out `--enable-a2a` and unset `AURA_ENABLE_A2A`"
            found.append(Diagnostic("CFG-N01", "A2A is not built yet", fix))
        if errors(found):
            raise InvalidConfiguration([*warnings, *found])
        return settings


def setting_of(info: FieldInfo) -> Setting | None:
    """How a field of ``ServerSettings`` is called from outside."""
    extra = info.json_schema_extra
    found = extra.get("setting") if isinstance(extra, dict) else None
    return found if isinstance(found, Setting) else None


def _ignored(setting: Setting, default: object) -> Diagnostic:
    message = f"`{setting.variable}` is not a boolean; the default `{str(default).lower()}` is used"
    fix = f"use {_BOOLEAN_WORDS}"
    return Diagnostic("WARN-ENV03", message, fix, "warning", key=setting.variable)


def _refused(info: FieldInfo, value: object) -> Diagnostic:
    setting = setting_of(info)
    assert setting is not None
    names = " or ".join(f"`{word}`" for word in (setting.flag, setting.variable) if word)
    shown = "" if setting.secret else f": `{str(value)[:80]}`"
    message = f"{names} has a value that is not allowed{shown}"
    return Diagnostic("CFG-D01", message, f"allowed: {setting.allowed}", key=setting.variable)
