"""The budget of an agent."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from aura_py.messages import Usage
from aura_py.scratchpad import Budget


def test_the_worked_example_of_the_specification_comes_out() -> None:
    budget = Budget(context_window=128_000, margin=0.20, per_call=100_000, baseline=6300)
    assert budget.usable == 102_400
    budget.seed(700)
    assert (budget.used, budget.remaining) == (7000, 95_400)
    assert budget.check_and_charge(4200) is None
    assert budget.used == 11_200
    budget.observe_turn(Usage(15_800, 300))
    assert budget.used == 16_100
    budget.observe_turn(Usage(12_000, 100))
    assert budget.used == 16_100
    assert budget.check_and_charge(86_301) == "budget"
    assert budget.check_and_charge(86_300) is None
    assert budget.remaining == 0
    assert budget.extracted == 4200 + 86_300


def test_the_per_call_limit_is_tested_first_and_an_exact_fit_is_admitted() -> None:
    budget = Budget(context_window=1000, margin=0, per_call=2000, baseline=0)
    assert budget.check_and_charge(2001) == "per_call"
    assert budget.check_and_charge(1000) is None


def test_the_margin_is_clamped_and_the_hint_names_its_three_numbers() -> None:
    assert Budget(context_window=1000, margin=0.99, per_call=1).usable == 50
    assert Budget(context_window=1000, margin=-1, per_call=1).usable == 1000
    budget = Budget(context_window=102_400, margin=0, per_call=10, baseline=6300)
    budget.seed(2200)
    assert budget.window_hint() == (
        "~93900 tokens remaining (~8500 used: 6300 baseline + 2200 since, of ~102400 usable)"
    )


_moves = st.lists(
    st.one_of(
        st.tuples(st.just("seed"), st.integers(0, 5000)),
        st.tuples(st.just("charge"), st.integers(1, 5000)),
        st.tuples(st.just("error"), st.integers(0, 5000)),
        st.tuples(st.just("turn"), st.integers(0, 20_000)),
        st.tuples(st.just("inline"), st.integers(0, 5000)),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(window=st.integers(1, 20_000), margin=st.floats(0, 0.95), per_call=st.integers(1, 5000), moves=_moves)
def test_the_budget_is_never_negative_and_never_admits_more_than_it_says(
    window: int, margin: float, per_call: int, moves: list[tuple[str, int]]
) -> None:
    budget = Budget(context_window=window, margin=margin, per_call=per_call, baseline=10)
    for kind, tokens in moves:
        said, used = budget.remaining, budget.used
        if kind == "seed":
            budget.seed(tokens)
        elif kind == "turn":
            budget.observe_turn(Usage(tokens, 0))
        elif kind == "inline":
            room = budget.room
            assert budget.admit_inline(tokens) == (tokens <= room)
        elif kind == "error":
            budget.charge_error(tokens)
        elif budget.check_and_charge(tokens) is None:
            assert tokens <= min(said, per_call)
            assert budget.used == used + tokens <= budget.usable
        else:
            assert tokens > min(said, per_call)
            assert budget.used == used
        assert budget.remaining >= 0
        assert budget.room >= 0
        assert budget.used >= used
