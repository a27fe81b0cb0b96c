"""Retries, deadlines and the fallback chain."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from aura_py.errors import (
    AuraError,
    ContextOverflow,
    FirstChunkTimeout,
    InactivityTimeout,
    ProviderAuthError,
    ProviderNotFound,
    ProviderOverloaded,
    ProviderProtocolError,
    ProviderRejected,
    ProviderUnreachable,
    RequestError,
)
from aura_py.llm.contract import (
    ChatRequest,
    Delta,
    Finish,
    Sampling,
    Text,
    Thinking,
    ToolCallFragment,
    UsageReport,
)
from aura_py.llm.resilience import ResilientModel, RetryPolicy
from aura_py.messages import Usage, user
from tests.llm.fakes import Says, Script, Sleeper, answer, overloaded

ASK = ChatRequest((user("hi"),))


async def collect(model: ResilientModel, request: ChatRequest = ASK) -> list[Delta]:
    return [delta async for batch in model.stream(request) for delta in batch]


def around(*models: Says, clock: Sleeper | None = None, **policy: Any) -> ResilientModel:
    return ResilientModel(
        models[0],
        models[1:],
        agent="tester",
        policy=RetryPolicy(**policy),
        clock=clock or Sleeper(),
        chance=random.Random(1),
    )


async def test_a_failure_before_the_first_delta_is_tried_again() -> None:
    model = Says((overloaded(),), (overloaded(),), answer())
    assert await collect(around(model)) == [Text("fine"), Finish("stop")]
    assert len(model.requests) == 3


async def test_attempts_are_counted_and_the_last_failure_is_raised() -> None:
    model = Says((overloaded(),))
    with pytest.raises(ProviderOverloaded, match="busy"):
        await collect(around(model, attempts=4))
    assert len(model.requests) == 4


async def test_waits_grow_and_are_jittered() -> None:
    clock = Sleeper()
    with pytest.raises(ProviderOverloaded):
        await collect(around(Says((overloaded(),)), clock=clock, attempts=5, base=1, cap=4))
    for waited, most in zip(clock.slept, (1, 2, 4, 4), strict=True):
        assert most / 2 <= waited <= most
    assert len({round(waited, 6) for waited in clock.slept}) == 4


async def test_the_provider_s_wish_to_wait_is_honoured() -> None:
    clock = Sleeper()
    await collect(around(Says((overloaded(7),), answer()), clock=clock, base=0.5))
    assert 7 <= clock.slept[0] <= 7.25


async def test_a_wish_beyond_patience_is_not_waited_for() -> None:
    clock = Sleeper()
    with pytest.raises(ProviderOverloaded):
        await collect(around(Says((overloaded(3600),)), clock=clock))
    assert clock.slept == []


@pytest.mark.parametrize(
    "visible", [Text("so"), Thinking("hm"), ToolCallFragment(0, "call_1", "add", "")], ids=["text", "thinking", "call"]
)
async def test_nothing_is_tried_again_after_the_first_visible_delta(visible: Delta) -> None:
    model, other = Says(([visible], overloaded())), Says(answer())
    with pytest.raises(ProviderOverloaded):
        await collect(around(model, other))
    assert len(model.requests) == 1
    assert other.requests == []


async def test_usage_alone_is_not_visible_and_comes_with_what_is() -> None:
    early = UsageReport(Usage(5, 0))
    model = Says(([early], overloaded()), ([early], [Text("a")], [Finish("stop")]))
    batches = [batch async for batch in around(model).stream(ASK)]
    assert batches == [[early, Text("a")], [Finish("stop")]]


@pytest.mark.parametrize("error", [ProviderAuthError, ProviderRejected, ProviderNotFound, ContextOverflow])
async def test_what_would_fail_again_is_neither_tried_again_nor_elsewhere(error: type[AuraError]) -> None:
    model, other = Says((error("no"),)), Says(answer())
    with pytest.raises(error):
        await collect(around(model, other))
    assert len(model.requests) == 1
    assert other.requests == []


@pytest.mark.parametrize(
    "error",
    [overloaded(), ProviderProtocolError("empty"), ProviderUnreachable("gone")],
    ids=["overload", "no answer", "connection"],
)
async def test_the_next_model_of_the_chain_answers(error: AuraError) -> None:
    first, second, third = Says((error,)), Says((error,)), Says(answer("third"))
    assert await collect(around(first, second, third, attempts=2)) == [Text("third"), Finish("stop")]
    tries = 1 if isinstance(error, ProviderUnreachable) else 2
    assert [len(model.requests) for model in (first, second, third)] == [tries, tries, 1]


async def test_the_next_model_takes_over_within_half_a_second_of_an_overload() -> None:
    clock = Sleeper()
    assert await collect(around(Says((overloaded(),)), Says(answer()), clock=clock)) == [Text("fine"), Finish("stop")]
    assert sum(clock.slept) <= 0.5


async def test_a_wish_to_wait_is_left_to_the_last_model_of_the_chain() -> None:
    clock = Sleeper()
    first = Says((overloaded(3),))
    assert await collect(around(first, Says(answer()), clock=clock)) == [Text("fine"), Finish("stop")]
    assert (len(first.requests), clock.slept) == (1, [])


async def test_a_fallback_that_cannot_take_the_request_is_passed_over() -> None:
    unfit, third = Says((RequestError("no seed"),)), Says(answer("third"))
    assert await collect(around(Says((overloaded(),)), unfit, third)) == [Text("third"), Finish("stop")]
    with pytest.raises(ProviderOverloaded):
        await collect(around(Says((overloaded(),)), Says((RequestError("no seed"),))))


async def test_no_request_exceeds_the_cap_of_the_model_that_answers() -> None:
    first, second = Says((overloaded(),)), Says(answer())
    chain = ResilientModel(first, [second], agent="tester", caps=[None, 50], clock=Sleeper())
    await collect(chain, ChatRequest((user("hi"),), sampling=Sampling(max_tokens=100)))
    assert (first.requests[0].sampling.max_tokens, second.requests[0].sampling.max_tokens) == (100, 50)


async def test_what_the_first_model_cannot_take_is_the_caller_s_to_mend() -> None:
    other = Says(answer())
    with pytest.raises(RequestError):
        await collect(around(Says((RequestError("no seed"),)), other))
    assert other.requests == []


async def test_the_last_model_s_failure_is_the_one_reported() -> None:
    with pytest.raises(ProviderUnreachable, match="gone"):
        await collect(around(Says((overloaded(),)), Says((ProviderUnreachable("gone"),)), attempts=1))


async def test_a_silent_model_is_left_for_the_next_one() -> None:
    silent = Says((asyncio.Event(), []))
    request = ChatRequest((user("hi"),), first_delta_timeout=0.05)
    deltas = await collect(around(silent, Says(answer("awake"))), request)
    assert deltas == [Text("awake"), Finish("stop")]
    assert (len(silent.requests), silent.closed) == (1, 1)


async def test_a_silent_model_without_fallback_is_a_first_chunk_timeout() -> None:
    request = ChatRequest((user("hi"),), first_delta_timeout=0.05)
    with pytest.raises(FirstChunkTimeout, match=r"`tester`.*`fake`.*`parrot`"):
        await collect(around(Says((asyncio.Event(),))), request)


async def test_usage_alone_does_not_count_as_the_first_delta() -> None:
    request = ChatRequest((user("hi"),), first_delta_timeout=0.05)
    with pytest.raises(FirstChunkTimeout):
        await collect(around(Says(([UsageReport(Usage(5, 0))], asyncio.Event()))), request)


async def test_the_first_deadline_spans_the_retries() -> None:
    request = ChatRequest((user("hi"),), first_delta_timeout=5)
    model = Says((overloaded(60),), answer())
    with pytest.raises(ProviderOverloaded):
        await collect(around(model, patience=100), request)
    assert len(model.requests) == 1


async def test_silence_after_a_delta_is_an_inactivity_timeout() -> None:
    model = Says(([Text("well")], asyncio.Event()))
    request = ChatRequest((user("hi"),), first_delta_timeout=30, inactivity_timeout=0.05)
    stream = around(model).stream(request)
    assert await anext(stream) == [Text("well")]
    with pytest.raises(InactivityTimeout):
        await anext(stream)
    assert model.closed == 1


async def test_a_slow_reader_is_not_the_model_s_silence() -> None:
    go_on = asyncio.Event()
    model = Says(([Text("a")], go_on, [Text("b")], [Finish("stop")]))
    request = ChatRequest((user("hi"),), inactivity_timeout=0.05)
    got: list[Delta] = []
    async for batch in around(model).stream(request):
        got += batch
        if not go_on.is_set():
            go_on.set()
            await asyncio.wait({asyncio.ensure_future(asyncio.Event().wait())}, timeout=0.1)
    assert got == [Text("a"), Text("b"), Finish("stop")]


async def test_a_sign_of_life_holds_off_the_first_deadline_and_is_not_visible() -> None:
    script: Script = ([], overloaded())
    model = Says(script, answer())
    assert await collect(around(model), ChatRequest((user("hi"),), first_delta_timeout=30)) == [
        Text("fine"),
        Finish("stop"),
    ]


async def test_closing_the_stream_closes_the_model_s() -> None:
    model = Says(([Text("a")], asyncio.Event()))
    stream = around(model).stream(ASK)
    await anext(stream)
    await stream.aclose()
    assert model.closed == 1


async def test_closing_closes_every_model_of_the_chain() -> None:
    models = Says(answer()), Says(answer())
    await around(*models).aclose()
    assert [model.closed for model in models] == [100, 100]
