"""What `aura serve` adds to a provider's stream: CPU per chunk and per request, latency, the wait for the first token.

The same load goes through three relays that take turns: a raw one (a byte copy on uvloop), a minimal one (Starlette and
aiohttp, bytes untouched) and Aura; what the clients see without any relay is subtracted from their waits. Each relay is
pinned to one core and everything else to another where the system lets us. A figure is the median of its rounds, and a
ratio the median of the ratios of single rounds, so that a busy neighbour disturbs none more than the others.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import psutil

from benchmarks.processes import free_port, running
from benchmarks.relay_load import Plan, Seen, load, percentile
from benchmarks.report import Row

ROUNDS: Final = int(os.environ.get("BENCHMARK_ROUNDS", "5"))
_FIRST_MS: Final = 50

_AGENT = """
[agent]
name = "relay"
system_prompt = "Answer."

[agent.llm]
provider = "openai"
model = "fake"
api_key = "none"
base_url = "http://127.0.0.1:{port}/v1"
"""


@dataclass(slots=True, frozen=True)
class Load:
    """What clients do in one round."""

    clients: int
    plan: Plan
    times: int = 1

    @property
    def chunks(self) -> int:
        return self.clients * self.times * self.plan.chunks

    @property
    def requests(self) -> int:
        return self.clients * self.times


@dataclass(slots=True)
class Rounds:
    """One relay's rounds of one load: its process's CPU seconds and what the clients saw."""

    cpu: list[float] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def age(self, share: float) -> list[float]:
        return [percentile(each.ages, share) for each in self.seen]

    def first(self) -> list[float]:
        return [median(each.first) for each in self.seen]


PACED: Final = {
    "20 streams at 20 ms": Load(20, Plan(200, 20)),
    "200 streams at 20 ms": Load(200, Plan(150, 20)),
    "20 streams at 5 ms": Load(20, Plan(400, 5)),
    "1 stream at 20 ms": Load(1, Plan(200, 20)),
}
BULK: Final = {
    "1 stream": Load(1, Plan(20_000)),
    "20 streams": Load(20, Plan(1_000)),
    "200 streams": Load(200, Plan(100)),
}
REQUESTS: Final = {"1 in flight": Load(1, Plan(3), 200), "20 in flight": Load(20, Plan(3), 15)}
FIRST: Final = {
    "1 in flight": Load(1, Plan(3, 0, _FIRST_MS), 20),
    "20 in flight": Load(20, Plan(3, 0, _FIRST_MS), 10),
    "100 in flight": Load(100, Plan(3, 0, _FIRST_MS), 4),
}
_CPU_PER_CHUNK: Final = {"20 streams at 20 ms": 1.7, "200 streams at 20 ms": 2.1}
_LATENCY: Final = {"20 streams at 20 ms": (1.0, 5.0), "20 streams at 5 ms": (5.0, 10.0)}
_REQUEST_RATIO: Final = 1.8


def measure() -> list[Row]:
    with _relays() as relays:
        return _paced(relays) + _bulk(relays) + _requests(relays) + _first_tokens(relays)


def _paced(relays: Mapping[str, _Relay]) -> list[Row]:
    rows: list[Row] = []
    for name, each in PACED.items():
        rounds = _take_turns(relays, each, ("direct", "raw", "aura"))
        limit = _CPU_PER_CHUNK.get(name)
        rows.append(_cpu_row(f"relay: CPU per chunk, {name}", rounds, "raw", "R", each.chunks, 1e6, limit))
        limits = _LATENCY.get(name)
        if limits is not None:
            rows += [
                _latency_row(f"relay: added latency per event, {name}, p{share * 100:.0f}", rounds, share, most)
                for share, most in zip((0.5, 0.99), limits, strict=True)
            ]
    return rows


def _bulk(relays: Mapping[str, _Relay]) -> list[Row]:
    return [
        _cpu_row(
            f"relay: CPU per chunk as fast as possible, {name}",
            _take_turns(relays, each, ("raw", "aura")),
            "raw",
            "R",
            each.chunks,
            1e6,
            None,
        )
        for name, each in BULK.items()
    ]


def _requests(relays: Mapping[str, _Relay]) -> list[Row]:
    return [
        _cpu_row(
            f"relay: CPU per request, {name}",
            _take_turns(relays, each, ("minimal", "aura")),
            "minimal",
            "S",
            each.requests,
            1e3,
            _REQUEST_RATIO,
        )
        for name, each in REQUESTS.items()
    ]


def _first_tokens(relays: Mapping[str, _Relay]) -> list[Row]:
    rows: list[Row] = []
    for name, each in FIRST.items():
        rounds = _take_turns(relays, each, ("minimal", "aura"))
        pairs = zip(rounds["aura"].first(), rounds["minimal"].first(), strict=True)
        ratio = median((aura - _FIRST_MS) / (minimal - _FIRST_MS) for aura, minimal in pairs)
        rows.append(
            Row(
                f"relay: wait for the first token beyond the provider's {_FIRST_MS} ms, {name}, p50",
                f"{median(rounds['aura'].first()) - _FIRST_MS:.1f} ms",
                f"S {median(rounds['minimal'].first()) - _FIRST_MS:.1f} ms",
                ratio,
                f"<= {_REQUEST_RATIO} x S",
                ratio <= _REQUEST_RATIO,
            )
        )
    return rows


def _cpu_row(
    name: str, rounds: Mapping[str, Rounds], base: str, letter: str, count: int, unit: float, limit: float | None
) -> Row:
    aura, beside = rounds["aura"].cpu, rounds[base].cpu
    ratio = median(ours / max(theirs, 1e-6) for ours, theirs in zip(aura, beside, strict=True))
    shown = "µs" if unit == 1e6 else "ms"
    return Row(
        name,
        f"{median(aura) / count * unit:.3g} {shown}",
        f"{letter} {median(beside) / count * unit:.3g} {shown}",
        ratio,
        "" if limit is None else f"<= {limit} x {letter}",
        None if limit is None else ratio <= limit,
    )


def _latency_row(name: str, rounds: Mapping[str, Rounds], share: float, most: float) -> Row:
    added, raw = (
        median(max(0.0, with_it - without) for with_it, without in zip(ages, rounds["direct"].age(share), strict=True))
        for ages in (rounds["aura"].age(share), rounds["raw"].age(share))
    )
    return Row(name, f"{added:.2f} ms", f"R {raw:.2f} ms", None, f"<= {most:g} ms", added <= most)


# --- the relays ----------------------------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class _Relay:
    port: int
    process: psutil.Process


@contextmanager
def _relays() -> Iterator[dict[str, _Relay]]:
    """An upstream (``direct``) and the three relays in front of it; warm."""
    with ExitStack() as stack:
        here, there = _cores()

        def start(core: int | None, arguments: Callable[[str], list[str]]) -> _Relay:
            port = free_port()
            process = stack.enter_context(running(arguments(str(port)), port))
            _pin(process, core)
            return _Relay(port, process)

        upstream = start(there, lambda port: ["-m", "benchmarks.relay_upstream", port])
        agent = Path(stack.enter_context(tempfile.TemporaryDirectory()), "agent.toml")
        agent.write_text(_AGENT.format(port=upstream.port))
        behind = str(upstream.port)
        relays = {
            "direct": upstream,
            "raw": start(here, lambda port: ["-m", "benchmarks.relay_raw", port, behind]),
            "minimal": start(here, lambda port: ["-m", "benchmarks.relay_minimal", port, behind]),
            "aura": start(here, lambda port: ["-m", "aura_py", "serve", str(agent), "--port", port]),
        }
        stack.enter_context(_pinned_here(there))
        for relay in relays.values():  # connections, imports, caches
            load(relay.port, 20, Plan(20, 5), 10)
        yield relays


def _take_turns(relays: Mapping[str, _Relay], each: Load, names: Sequence[str]) -> dict[str, Rounds]:
    rounds = {name: Rounds() for name in names}
    for number in range(ROUNDS):
        for name in names if number % 2 else names[::-1]:
            relay = relays[name]
            before = relay.process.cpu_times()
            rounds[name].seen.append(load(relay.port, each.clients, each.plan, each.times))
            after = relay.process.cpu_times()
            rounds[name].cpu.append(after.user + after.system - before.user - before.system)
    return rounds


def _cores() -> tuple[int | None, int | None]:
    """A core for the relays and one for everything else; nothing where processes cannot be pinned."""
    if not sys.platform.startswith("linux"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def _pin(process: psutil.Process, core: int | None) -> None:
    if core is not None and sys.platform.startswith("linux"):
        process.cpu_affinity([core])


@contextmanager
def _pinned_here(core: int | None) -> Iterator[None]:
    if core is None or not sys.platform.startswith("linux"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
