"""What a fallback chain remembers of models that did not answer."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest
from pydantic import SecretStr

from aura_py.config.models import OpenAILLM, ScriptedLLM, ScriptRule
from aura_py.errors import (
    AuraError,
    ContextOverflow,
    ProviderAuthError,
    ProviderOverloaded,
    ProviderUnreachable,
    RequestError,
)
from aura_py.llm.circuit import FIRST_SECONDS, LONGEST_SECONDS, LONGEST_WISH_SECONDS, Circuit, circuit_of
from aura_py.llm.contract import ChatRequest, Text
from aura_py.llm.resilience import ResilientModel
from aura_py.messages import user
from tests.llm.fakes import Says, Sleeper, answer, overloaded

ASK = ChatRequest((user("hi"),))
GONE = ProviderUnreachable("gone")


class Chain:
    """A chain on a clock of its own; the names of the models that were asked, in order."""

    def __init__(self, *models: Says, circuits: tuple[Circuit, ...] = ()) -> None:
        self.clock = Sleeper()
        self.models = models
        self._counted = [0] * len(models)
        self.model = ResilientModel(
            models[0],
            models[1:],
            agent="tester",
            circuits=circuits,
            clock=self.clock,
            chance=random.Random(1),
        )

    async def ask(self, request: ChatRequest = ASK) -> str:
        batches = [batch async for batch in self.model.stream(request)]
        return "".join(delta.text for batch in batches for delta in batch if isinstance(delta, Text))

    def asked(self) -> list[int]:
        """How often each model was asked since the last time."""
        before, self._counted = self._counted, [len(model.requests) for model in self.models]
        return [now - then for now, then in zip(self._counted, before, strict=True)]


# --- the order of a chain ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [overloaded(), GONE], ids=["overload", "connection"])
async def test_a_model_that_failed_is_not_asked_first_while_it_cools_down(error: AuraError) -> None:
    chain = Chain(Says((error,)), Says(answer("second")))
    assert await chain.ask() == "second"
    assert chain.asked()[0] > 0
    chain.clock.passed += FIRST_SECONDS * 0.9
    assert await chain.ask() == "second"
    assert chain.asked() == [0, 1]


async def test_a_silent_model_costs_its_deadline_once() -> None:
    chain = Chain(Says((asyncio.Event(),)), Says(answer("second")))
    request = ChatRequest((user("hi"),), first_delta_timeout=0.05)
    assert [await chain.ask(request) for _ in range(3)] == ["second"] * 3
    assert chain.asked() == [1, 3]


async def test_after_the_cool_down_the_model_is_tried_in_its_place_and_stays_there() -> None:
    chain = Chain(Says((GONE,), answer("first")), Says(answer("second")))
    await chain.ask()
    chain.clock.passed += FIRST_SECONDS
    assert [await chain.ask() for _ in range(2)] == ["first", "first"]


async def test_each_trial_that_fails_doubles_the_cool_down_up_to_a_limit() -> None:
    chain = Chain(Says((GONE,)), Says(answer("second")))
    await chain.ask()
    seconds = FIRST_SECONDS
    for _ in range(7):
        chain.clock.passed += seconds * 0.9
        await chain.ask()
        chain.clock.passed += seconds * 0.2
        await chain.ask()
        seconds = min(LONGEST_SECONDS, seconds * 2)
    assert seconds == LONGEST_SECONDS
    assert chain.asked() == [8, 15]


def test_a_model_may_be_dead_for_weeks() -> None:
    circuit = Circuit()
    for failures in range(2000):
        assert circuit.failed(failures, failures * LONGEST_SECONDS, waited=1, wish=None)
    assert circuit.failed(2000, 1e9, waited=1, wish=None) == LONGEST_SECONDS


async def test_a_failure_that_took_long_is_not_tried_again_soon() -> None:
    chain = Chain(Says((lambda: pass_(90), GONE)), Says(answer("second")))

    def pass_(seconds: float) -> None:
        chain.clock.passed += seconds

    await chain.ask()
    pass_(80)
    await chain.ask()
    assert chain.asked() == [1, 2]
    pass_(20)
    await chain.ask()
    assert chain.asked() == [1, 1]


async def test_an_answer_forgets_the_failures_before_it() -> None:
    chain = Chain(Says((GONE,), (GONE,), answer(), (GONE,), answer()), Says(answer("second")))
    for wait in (0, FIRST_SECONDS, FIRST_SECONDS * 2, 0, FIRST_SECONDS):
        chain.clock.passed += wait
        await chain.ask()
    assert chain.asked()[0] == 5


@pytest.mark.parametrize(("wish", "seconds"), [(2, 2), (45, 45), (86_400, LONGEST_WISH_SECONDS)])
async def test_the_provider_s_wish_is_the_cool_down(wish: float, seconds: float) -> None:
    chain = Chain(Says((overloaded(wish),)), Says(answer("second")))
    await chain.ask()
    chain.clock.passed += seconds * 0.9
    await chain.ask()
    assert chain.asked() == [1, 2]
    chain.clock.passed += seconds * 0.2
    await chain.ask()
    assert chain.asked() == [1, 1]


async def test_one_call_at_a_time_tries_a_model_again() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    chain = Chain(Says((GONE,), (begun.set, go_on, *answer("first"))), Says(answer("second")))
    await chain.ask()
    chain.clock.passed += FIRST_SECONDS
    async with asyncio.TaskGroup() as group:
        trial = group.create_task(chain.ask())
        await begun.wait()
        assert await chain.ask() == "second"
        go_on.set()
    assert trial.result() == "first"
    assert chain.asked() == [2, 2]


async def test_a_trial_whose_caller_left_decides_nothing() -> None:
    begun = asyncio.Event()
    chain = Chain(Says((GONE,), (begun.set, asyncio.Event()), answer("first")), Says(answer("second")))
    await chain.ask()
    chain.clock.passed += FIRST_SECONDS
    trial = asyncio.get_running_loop().create_task(chain.ask())
    await begun.wait()
    trial.cancel()
    await asyncio.wait({trial})
    assert await chain.ask() == "first"


async def test_calls_that_fail_together_are_one_failure() -> None:
    all_here = asyncio.Event()

    def arrive() -> None:
        if len(chain.models[0].requests) == 5:
            all_here.set()

    chain = Chain(Says((arrive, all_here, GONE)), Says(answer("second")))
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(chain.ask())
    assert chain.asked() == [5, 5]
    chain.clock.passed += FIRST_SECONDS
    await chain.ask()
    assert chain.asked() == [1, 1]


# --- availability is never worse than without a memory ---------------------------------------------------------------


async def test_a_model_that_cools_down_is_still_asked_when_the_others_fail() -> None:
    chain = Chain(Says((GONE,), answer("first")), Says(answer("second"), (GONE,)))
    await chain.ask()
    assert await chain.ask() == "first"


@pytest.mark.parametrize("refusal", [ProviderAuthError("no"), ContextOverflow("full"), RequestError("no seed")])
async def test_what_a_fallback_refuses_is_no_verdict_while_the_first_model_cools_down(refusal: AuraError) -> None:
    chain = Chain(Says((GONE,), answer("first")), Says(answer("second"), (refusal,)))
    await chain.ask()
    assert await chain.ask() == "first"


async def test_when_all_cool_down_they_are_asked_in_their_order() -> None:
    chain = Chain(Says((GONE,), answer("first")), Says((overloaded(60),), answer("second")))
    with pytest.raises(ProviderOverloaded):
        await chain.ask()
    assert await chain.ask() == "first"


async def test_a_single_model_is_always_asked() -> None:
    chain = Chain(Says((overloaded(60),), answer("only")))
    with pytest.raises(ProviderOverloaded):
        await chain.ask()
    assert await chain.ask() == "only"


@pytest.mark.parametrize("refusal", [ProviderAuthError("no"), ContextOverflow("full"), RequestError("no seed")])
async def test_what_the_first_model_refuses_is_no_reason_to_avoid_it(refusal: AuraError) -> None:
    chain = Chain(Says((refusal,), answer("first")), Says(answer("second")))
    with pytest.raises(type(refusal)):
        await chain.ask()
    assert await chain.ask() == "first"


async def test_a_failure_after_visible_text_is_no_reason_to_avoid_the_model() -> None:
    chain = Chain(Says(([Text("so")], GONE), answer("first")), Says(answer("second")))
    with pytest.raises(ProviderUnreachable):
        await chain.ask()
    assert await chain.ask() == "first"


async def test_the_log_tells_for_how_long_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    chain = Chain(Says((GONE,), answer("first")), Says(answer("second")))
    await chain.ask()
    chain.clock.passed += FIRST_SECONDS
    await chain.ask()
    assert "model `parrot`, is asked after the others of its chain for 10 s." in caplog.text
    assert "model `parrot`, answers again." in caplog.text


# --- who shares it ---------------------------------------------------------------------------------------------------


async def test_agents_with_the_same_model_learn_from_each_other() -> None:
    circuit = Circuit()
    one = Chain(Says((GONE,)), Says(answer("second")), circuits=(circuit,))
    other = Chain(Says(answer("first")), Says(answer("second")), circuits=(circuit,))
    await one.ask()
    assert await other.ask() == "second"


def table(**other: object) -> OpenAILLM:
    return OpenAILLM.model_validate({"model": "m", "api_key": "k", "base_url": "http://127.0.0.1:9/v1", **other})


def test_tables_that_ask_the_same_model_share_a_memory_whatever_else_they_say() -> None:
    kept = circuit_of(table())
    assert circuit_of(table(temperature=0.5, max_tokens=9)) is kept


@pytest.mark.parametrize(
    "other", [{"model": "n"}, {"base_url": "http://127.0.0.1:8/v1"}, {"api_key": SecretStr("l")}], ids=str
)
def test_another_model_address_or_key_has_a_memory_of_its_own(other: dict[str, object]) -> None:
    kept = circuit_of(table())
    assert circuit_of(table(**other)) is not kept


def test_two_scripts_are_two_models() -> None:
    one, two = (ScriptedLLM(model="demo", rules=(ScriptRule(say=text),)) for text in ("a", "b"))
    kept = circuit_of(one)
    assert circuit_of(two) is not kept
    assert circuit_of(one) is kept
