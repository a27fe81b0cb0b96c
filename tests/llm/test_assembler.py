"""Tool calls from fragments, as servers really send them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.llm.assembler import ToolCallAssembler

Fragment = tuple[int | None, str | None, str | None, str]


def assembled(*fragments: Fragment) -> list[tuple[str, str]]:
    assembler = ToolCallAssembler()
    for fragment in fragments:
        assembler.add(*fragment)
    return [(ready.call.name, ready.call.arguments) for ready in assembler.finish()]


def ids(*fragments: Fragment) -> list[str]:
    assembler = ToolCallAssembler()
    shown = [assembler.add(*fragment).id for fragment in fragments]
    ready = [item.call.id for item in assembler.finish()]
    assert set(shown) == set(ready)
    return ready


def test_fragments_of_one_call_are_joined() -> None:
    assert assembled((0, "a", "add", ""), (0, None, None, '{"x"'), (0, None, None, ":1}")) == [("add", '{"x":1}')]


def test_parallel_calls_may_be_interleaved() -> None:
    assert assembled(
        (0, "a", "add", ""), (1, "b", "sub", ""), (0, None, None, '{"x":1}'), (1, None, None, '{"y":2}')
    ) == [("add", '{"x":1}'), ("sub", '{"y":2}')]


def test_a_missing_index_continues_the_last_call() -> None:
    assert assembled((None, "a", "add", '{"x"'), (None, None, None, ":1}"), (None, "b", "sub", "{}")) == [
        ("add", '{"x":1}'),
        ("sub", "{}"),
    ]


def test_whole_calls_without_index_and_id_are_told_apart() -> None:
    assert assembled((None, None, "add", '{"x":1}'), (None, None, "add", '{"x":1}')) == [("add", '{"x":1}')] * 2


def test_whole_calls_that_all_claim_index_0_are_told_apart_by_their_ids() -> None:
    assert assembled((0, "a", "add", '{"x":1}'), (0, "b", "add", '{"x":2}')) == [("add", '{"x":1}'), ("add", '{"x":2}')]


def test_an_index_that_counts_fragments_does_not_split_a_call() -> None:
    assert assembled((0, "a", "add", ""), (1, None, None, '{"x"'), (2, None, None, ":1}")) == [("add", '{"x":1}')]


def test_an_id_repeated_with_every_fragment_is_one_call() -> None:
    assert assembled((0, "a", "add", '{"x"'), (0, "a", "add", ":1}")) == [("add", '{"x":1}')]


def test_an_id_that_changes_with_every_fragment_is_one_call() -> None:
    assert assembled((0, "a", "add", '{"x"'), (0, "b", None, ":1}")) == [("add", '{"x":1}')]


def test_a_name_that_comes_in_pieces_is_joined() -> None:
    assert assembled((0, "a", "get_", ""), (0, None, "weather", ""), (0, None, None, "{}")) == [("get_weather", "{}")]


def test_a_call_without_id_gets_one() -> None:
    (id_,) = ids((0, None, "add", "{}"))
    assert id_.startswith("call_")
    assert len(id_) == len("call_") + 24


def test_two_calls_never_share_an_id() -> None:
    first, second = ids((0, "a", "add", "{}"), (1, "a", "sub", "{}"))
    assert first == "a"
    assert second != "a"


def test_calls_without_arguments_get_an_empty_object() -> None:
    assert assembled((0, "a", "now", ""), (1, "b", "now", "")) == [("now", "{}"), ("now", "{}")]


def test_fragments_count_calls_in_order_of_appearance() -> None:
    assembler = ToolCallAssembler()
    assert [assembler.add(7, "a", "x", "").position, assembler.add(3, "b", "y", "").position] == [0, 1]
    assert assembler.add(7, None, None, "{}").position == 0


def test_two_calls_without_arguments_in_one_chunk_are_two_calls() -> None:
    assembler = ToolCallAssembler()
    assembler.add(None, None, "now", "")
    assembler.add(None, None, "now", "", same_chunk=True)
    assert len(assembler.finish()) == 2


@pytest.mark.parametrize("index", [None, 0])
def test_calls_that_share_an_id_are_told_apart(index: int | None) -> None:
    same = [(index, "a", "add", '{"x":1}'), (index, "a", "add", '{"x":2}')]
    assert assembled(*same) == [("add", '{"x":1}'), ("add", '{"x":2}')]
    assert len(set(ids(*same))) == 2


def test_calls_that_share_an_id_and_have_an_index_each_take_their_own_fragments() -> None:
    assert assembled(
        (0, "a", "add", ""), (1, "a", "add", ""), (0, "a", None, '{"x":1}'), (1, "a", None, '{"x":2}')
    ) == [("add", '{"x":1}'), ("add", '{"x":2}')]


def test_whole_calls_that_all_claim_index_0_without_ids_are_told_apart() -> None:
    assert assembled((0, None, "add", '{"x":1}'), (0, None, "add", '{"x":2}')) == [
        ("add", '{"x":1}'),
        ("add", '{"x":2}'),
    ]


@pytest.mark.parametrize("header", [(0, None, None), (0, "a", "add"), (None, "a", "add")])
def test_arguments_repeated_in_full_at_the_end_count_once(header: tuple[int | None, str | None, str | None]) -> None:
    begin, more = (header[0], "a", "add", '{"x"'), (header[0], None, None, ":1}")
    assert assembled(begin, more, (*header, '{"x":1}')) == [("add", '{"x":1}')]


@pytest.mark.parametrize("name", [None, "add"])
def test_an_empty_object_before_the_real_arguments_is_only_a_place_holder(name: str | None) -> None:
    fragments = [(0, "a", "add", "{}"), (0, "a", name, '{"x"'), (0, None, None, ":1}")]
    assembler = ToolCallAssembler()
    assert [assembler.add(*fragment).arguments for fragment in fragments] == ["", '{"x"', ":1}"]
    assert [ready.call.arguments for ready in assembler.finish()] == ['{"x":1}']


def test_an_escape_of_half_a_character_does_not_spoil_the_arguments() -> None:
    assert assembled((0, "a", "f", r'{"x":"\ud83d","y":"\ud83d\ude00","z":"\\ud83d"}')) == [
        ("f", r'{"x":"\ufffd","y":"\ud83d\ude00","z":"\\ud83d"}')
    ]


@dataclass
class Plan:
    name: str
    pieces: list[str]


_piece = st.text(st.characters(exclude_characters="{\\"), max_size=5)
_plans = st.lists(
    st.builds(
        Plan,
        st.sampled_from(["add", "sub", "now"]),
        st.lists(_piece, max_size=6),
    ),
    min_size=1,
    max_size=5,
)


@given(plans=_plans, order=st.randoms(use_true_random=False))
def test_any_interleaving_of_the_fragments_gives_the_same_calls(plans: list[Plan], order: object) -> None:
    import random

    assert isinstance(order, random.Random)
    queues = [
        [(index, f"id{index}", plan.name, "")] + [(index, None, None, piece) for piece in plan.pieces]
        for index, plan in enumerate(plans)
    ]
    assembler = ToolCallAssembler()
    while any(queues):
        index, id_, name, piece = order.choice([queue for queue in queues if queue]).pop(0)
        assembler.add(index, id_, name, piece)
    calls = {ready.call.id: (ready.call.name, ready.call.arguments) for ready in assembler.finish()}
    assert calls == {
        f"id{index}": (plan.name, "".join(plan.pieces).strip() or "{}") for index, plan in enumerate(plans)
    }
