"""When a watchdog must step in; as values, without a process or a clock."""

from __future__ import annotations

from math import inf

import pytest

from gameday.journal import StepRecord
from gameday.rollback.orders import ORDER, Guard, Let, Limits, Lines, Made, Order, Ping, RollingBack, StandDown
from gameday.rollback.vigil import Vigil
from gameday.sdk import Closed, Rank

LIMITS = Limits(max_fault=300, rollback_within=120, settle=10)


def step(id_: str, *, probe: str = "", rank: Rank = Rank.KEY) -> StepRecord:
    return StepRecord(
        run="r",
        id=id_,
        uses="kms.disable_key",
        params={},
        step="disable",
        resource=f"arn:{id_}",
        rank=rank,
        chain=0,
        order=0,
        before={"state": "Enabled"},
        probe=probe,
    )


def watched(*orders: tuple[float, Order]) -> Vigil:
    vigil = Vigil()
    for at, order in ((0.0, LIMITS), *orders):
        vigil = vigil.after(order, at)
    return vigil


FAULT, OTHER = step("fault"), step("other")
CLOSED = Let(step="fault", closed=Closed.RESTORED, detail="Enabled")


@pytest.mark.parametrize(
    ("orders", "due"),
    [
        ([], inf),
        ([(7, Guard(record=FAULT))], 307),
        ([(7, Guard(record=FAULT)), (9, Guard(record=OTHER))], 307),
        ([(7, Guard(record=FAULT)), (100, RollingBack())], 220),
        ([(7, Guard(record=FAULT)), (100, RollingBack()), (110, CLOSED)], inf),
        ([(7, Guard(record=FAULT)), (8, Guard(record=OTHER)), (100, RollingBack()), (110, CLOSED)], 220),
        ([(7, Guard(record=FAULT)), (100, RollingBack()), (110, CLOSED), (115, Guard(record=FAULT))], 220),
        ([(7, Guard(record=step("boot", probe="boot")))], inf),
        ([(7, Guard(record=step("switch", rank=Rank.SWITCH))), (50, Guard(record=FAULT))], 350),
        ([(7, Guard(record=FAULT)), (8, StandDown())], inf),
    ],
    ids=[
        "nothing open",
        "max_fault from the first intent",
        "not from a later one",
        "rollback_within from the rollback's beginning",
        "closed",
        "one still open",
        "opened again while rolling back",
        "an invasive probe breaks nothing",
        "nor does a dead man's switch",
        "abandoned",
    ],
)
def test_the_time_by_which_the_runner_must_have_acted(orders: list[tuple[float, Order]], due: float) -> None:
    assert watched(*orders).due() == due


def test_what_is_closed_is_let_go_of_and_remembered_for_the_journal() -> None:
    vigil = watched((1, Guard(record=FAULT)), (2, Guard(record=OTHER)), (3, CLOSED))
    assert list(vigil.charges) == ["other"]
    assert vigil.closed == {"fault": CLOSED}
    again = vigil.after(Guard(record=FAULT), 4)
    assert (set(again.charges), dict(again.closed)) == ({"fault", "other"}, {})


def test_only_a_call_that_was_answered_cannot_land_any_more() -> None:
    vigil = watched((1, Guard(record=FAULT)), (2, Guard(record=OTHER)), (3, Made(step="fault")))
    assert [charge.over for charge in vigil.charges.values()] == [True, False]
    assert watched((1, Made(step="nobody"))).charges == {}


def test_orders_survive_the_line_in_whatever_pieces_they_come() -> None:
    orders: list[Order] = [Guard(record=FAULT, id=3), Ping(id=4), CLOSED, LIMITS]
    sent = b"".join(order.model_dump_json().encode() + b"\n" for order in orders)
    lines = Lines()
    got = [ORDER.validate_json(line) for byte in sent for line in lines.feed(bytes([byte]))]
    assert got == orders


def test_a_runner_that_began_its_rollback_did_not_end_without_a_word() -> None:
    """It ends with 9 and says what is still changed: the terminal must not contradict it."""
    assert watched((1.0, Guard(record=FAULT))).ended() == "the runner has ended without a word"
    begun = watched((1.0, Guard(record=FAULT)), (2.0, RollingBack()))
    assert begun.ended() == "the runner ended before its rollback was complete"
