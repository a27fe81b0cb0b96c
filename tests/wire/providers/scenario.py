"""What a provider says, free of any provider's wire form.

A scenario is a TOML file: a list of ``[[step]]`` tables in the order in which they are sent, and a few keys about the
connection. Fakes turn steps into bytes of their protocol; the contract suite knows what deltas must come out.

Keys of the file::

    packet = 1                 # send the body in packets of this many bytes (default: one packet per step)
    joined = true              # send the whole body in one packet
    then = "plain_text"        # what the second and later requests of the token get instead
    [error]                    # answer with this status instead of a stream
    status = 503
    code = "…"                 # the provider's own code or type
    message = "…"
    headers = { retry-after = "1" }
    times = 2                  # only the first two requests fail (default: all)
    when = "tool_?choice"      # only requests fail whose body has this in it
    body = "<html>…"           # send this body as it is, with `content_type`
    content_type = "text/html"

Keys of a step, exactly one of the kinds each::

    text = "…"                                   # answer text
    reasoning = "…"                              # thinking; `signature` closes the block where a provider has one
    call = 0, id = "…", name = "…", arguments = "…"   # a fragment of call 0; the first carries id and name
    usage = { input = 1, output = 2, cached = 0, cache_write = 0, reasoning = 0 }
    stop = "stop" | "length" | "tool_calls" | "content_filter"
    fail = { status = 529, code = "…", message = "…" }    # an error object inside the stream
    gate = "…"                                   # wait until the test opens this gate
    keepalive = true                             # what the provider sends to keep the connection open
    raw = "…"                                    # these bytes, in no protocol at all
    cut = "reset" | "close" | "end"              # the connection breaks here; `end` ends the HTTP body properly
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent / "scenarios"
Stop = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(slots=True, frozen=True)
class Tokens:
    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(slots=True, frozen=True)
class Failure:
    status: int
    message: str = "scripted failure"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None
    when: str = ""
    body: str | None = None
    content_type: str = "application/json"


@dataclass(slots=True, frozen=True)
class Step:
    text: str | None = None
    reasoning: str | None = None
    signature: str | None = None
    call: int | None = None
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    usage: Tokens | None = None
    stop: Stop | None = None
    fail: Failure | None = None
    gate: str | None = None
    keepalive: bool = False
    raw: str | None = None
    cut: Literal["reset", "close", "end"] | None = None


@dataclass(slots=True, frozen=True)
class Scenario:
    name: str
    steps: tuple[Step, ...] = ()
    error: Failure | None = None
    packet: int = 0
    joined: bool = False
    then: str | None = None


def load(name: str) -> Scenario:
    data = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    steps = tuple(_step(step) for step in data.pop("step", ()))
    error = data.pop("error", None)
    return Scenario(name=name, steps=steps, error=Failure(**error) if error else None, **data)


def _step(table: dict[str, Any]) -> Step:
    if "usage" in table:
        table["usage"] = Tokens(**table["usage"])
    if "fail" in table:
        table["fail"] = Failure(**table["fail"])
    return Step(**table)
