"""Reports under ids that no answer has told: they find their part by our reference, or by number if that is allowed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ledger import Ledger

from smsgw.core.model import Claimed, OutcomeKind, Report
from smsgw.core.references import reference_of
from smsgw.core.states import PartState

S = PartState
K = OutcomeKind


def stranger(ledger: Ledger, claimed: Claimed, **about: Any) -> Report:
    """A report under an id that nobody has told."""
    known = Report(ledger.channels["a"], f"strange-{claimed.id}-{claimed.part}", S.DELIVERED, "DELIVRD", "",
                   claimed.number, ledger.clock)  # fmt: skip
    return replace(known, **about)


def referring(ledger: Ledger, claimed: Claimed, **about: Any) -> Report:
    return stranger(ledger, claimed, reference=reference_of(claimed.id, claimed.part), **about)


async def kinds(ledger: Ledger, message_id: int) -> list[str]:
    rows = await ledger.connection.fetch("SELECT kind FROM event WHERE id = $1 ORDER BY at, kind", message_id)
    return [row["kind"] for row in rows]


async def parked(ledger: Ledger) -> int:
    found: int = await ledger.connection.fetchval("SELECT count(*) FROM receipt_orphan")
    return found


async def test_a_reference_settles_what_lost_answers_left_open(ledger: Ledger) -> None:
    message_id = await ledger.accept(parts=3)
    other_id = await ledger.accept()
    claimed = {(c.id, c.part): c for c in await ledger.claim()}
    await ledger.answer(K.UNKNOWN, *claimed.values())
    for part in (3, 1):
        await ledger.outcomes.report(referring(ledger, claimed[message_id, part]))
    assert await ledger.states(message_id) == [S.DELIVERED, S.UNKNOWN, S.DELIVERED]
    # The same again, and once more under yet another id: nothing follows.
    await ledger.outcomes.report(referring(ledger, claimed[message_id, 1]))
    await ledger.outcomes.report(referring(ledger, claimed[message_id, 1], carrier_id="third"))
    failed = referring(ledger, claimed[message_id, 2], state=S.UNDELIVERABLE, code="UNDELIV")
    await ledger.outcomes.report(failed)
    assert await ledger.states(message_id) == [S.DELIVERED, S.UNDELIVERABLE, S.DELIVERED]
    assert await ledger.events(message_id) == ["failed"]
    assert (await kinds(ledger, message_id)).count("by_reference") == 3
    assert await ledger.state(other_id) is S.UNKNOWN


@pytest.mark.parametrize("together", [False, True])
async def test_the_report_comes_before_the_loss_is_noticed(ledger: Ledger, together: bool) -> None:
    message_id = await ledger.accept()
    (claimed,) = await ledger.claim()
    await ledger.outcomes.report(referring(ledger, claimed))
    assert await ledger.state(message_id) is S.SENDING  # its answer may still come
    assert await parked(ledger) == 1
    before = ledger.outcomes.tally.unmatched_reports
    await ledger.answer(K.UNKNOWN, claimed)
    assert await ledger.state(message_id) is S.DELIVERED
    assert await ledger.events(message_id) == ["delivered"]
    assert await parked(ledger) == 0
    assert ledger.outcomes.tally.unmatched_reports == before == 1
    # The answer comes after all: the id is known already, and nothing changes.
    await ledger.answer(K.ACCEPTED, claimed)
    assert await ledger.state(message_id) is S.DELIVERED
    assert await ledger.events(message_id) == ["delivered"]


async def test_the_answer_comes_and_the_id_in_the_report_is_another(ledger: Ledger) -> None:
    message_id = await ledger.accept()
    (claimed,) = await ledger.claim()
    await ledger.answer(K.ACCEPTED, claimed)
    await ledger.outcomes.report(referring(ledger, claimed))
    assert await ledger.state(message_id) is S.DELIVERED


async def test_references_of_others_are_left_alone(ledger: Ledger) -> None:
    message_id = await ledger.accept()
    (claimed,) = await ledger.claim()
    await ledger.answer(K.UNKNOWN, claimed)
    wrong = reference_of(claimed.id, 1) ^ 1
    for report in (
        stranger(ledger, claimed),
        stranger(ledger, claimed, reference=wrong, carrier_id="1"),
        referring(ledger, claimed, number="8613800138001", carrier_id="2"),
        referring(ledger, claimed, channel_id=ledger.channels["b"], carrier_id="3"),
    ):
        await ledger.outcomes.report(report)
    assert await ledger.state(message_id) is S.UNKNOWN
    assert await parked(ledger) == 4
    assert await ledger.outcomes.rematch() == 0
    assert await parked(ledger) == 4


async def test_a_number_settles_only_what_is_certain(ledger: Ledger) -> None:
    first, second = await ledger.accept(), await ledger.accept()
    one, two = await ledger.claim()
    ledger.later(seconds=30)  # parts are claimed by the database's clock
    await ledger.answer(K.UNKNOWN, one)
    await ledger.outcomes.report(stranger(ledger, one, by_number=True))
    assert await ledger.state(first) is S.UNKNOWN  # it might be the second one's
    await ledger.answer(K.ACCEPTED, two)
    assert await ledger.outcomes.rematch() == 0  # it might be, under another spelling
    await ledger.outcomes.report(stranger(ledger, two, carrier_id=f"{two.id}-{two.part}-{two.attempt}"))
    assert await ledger.state(second) is S.DELIVERED
    assert await ledger.outcomes.rematch() == 1
    assert await ledger.state(first) is S.DELIVERED
    assert "inferred" in await kinds(ledger, first)
    assert await ledger.events() == ["delivered", "delivered"]


async def test_two_lost_answers_to_one_number_stay_unknown(ledger: Ledger) -> None:
    message_id = await ledger.accept(parts=2)
    claimed = await ledger.claim()
    for part in claimed:
        await ledger.outcomes.report(stranger(ledger, part, by_number=True))
    await ledger.answer(K.UNKNOWN, *claimed)
    assert await ledger.states(message_id) == [S.UNKNOWN, S.UNKNOWN]
    assert await parked(ledger) == 2
