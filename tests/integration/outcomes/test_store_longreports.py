"""A long message that its carrier reports once."""

from __future__ import annotations

import pytest
from ledger import Ledger

from smsgw.core.model import OutcomeKind
from smsgw.core.states import PartState

S, K = PartState, OutcomeKind


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """The carrier of channel ``a`` reports long messages once."""
    ledger.fleet.reporting_once = frozenset({ledger.channels["a"]})
    return ledger


async def test_one_report_is_for_all_parts(ledger: Ledger) -> None:
    message_id, parts = await ledger.accept(parts=3), await ledger.claim()
    other, others = await ledger.accept(parts=2), await ledger.claim()
    await ledger.answer(K.ACCEPTED, *parts, *others)
    await ledger.outcomes.report(ledger.report(parts[1]))
    assert await ledger.states(message_id) == [S.DELIVERED] * 3
    assert await ledger.events(message_id) == ["delivered"]
    # A report of its own that comes after all changes nothing, and of failures all parts fail.
    await ledger.outcomes.report(ledger.report(parts[2]))
    await ledger.outcomes.report(ledger.report(others[0], S.UNDELIVERABLE))
    assert await ledger.states(other) == [S.UNDELIVERABLE] * 2
    assert await ledger.events(other) == ["failed"]


async def test_a_report_of_its_own_goes_before(ledger: Ledger) -> None:
    message_id, parts = await ledger.accept(parts=2), await ledger.claim()
    await ledger.answer(K.ACCEPTED, *parts)
    ledger.outcomes.report(ledger.report(parts[0]))
    await ledger.outcomes.report(ledger.report(parts[1], S.UNDELIVERABLE))
    assert await ledger.states(message_id) == [S.DELIVERED, S.UNDELIVERABLE]
    assert await ledger.events(message_id) == ["failed"]


async def test_the_report_comes_before_the_other_answers(ledger: Ledger) -> None:
    message_id, parts = await ledger.accept(parts=3), await ledger.claim()
    await ledger.answer(K.ACCEPTED, parts[0])
    await ledger.outcomes.report(ledger.report(parts[0]))
    assert await ledger.states(message_id) == [S.DELIVERED, S.SENDING, S.SENDING]
    await ledger.answer(K.ACCEPTED, parts[1])
    # Whether the carrier has the last part is not known: a report does not tell. Its late answer does.
    await ledger.answer(K.UNKNOWN, parts[2])
    assert await ledger.states(message_id) == [S.DELIVERED, S.DELIVERED, S.UNKNOWN]
    assert await ledger.events(message_id) == []
    await ledger.answer(K.ACCEPTED, parts[2])
    assert await ledger.states(message_id) == [S.DELIVERED] * 3
    assert await ledger.events(message_id) == ["delivered"]


async def test_the_report_comes_before_all_answers(ledger: Ledger) -> None:
    message_id, parts = await ledger.accept(parts=2), await ledger.claim()
    await ledger.outcomes.report(ledger.report(parts[0]))
    await ledger.answer(K.ACCEPTED, *parts)
    assert await ledger.states(message_id) == [S.DELIVERED] * 2
    assert await ledger.events(message_id) == ["delivered"]


async def test_other_channels_report_each_part(ledger: Ledger) -> None:
    message_id, parts = await ledger.accept(parts=2), await ledger.claim("b")
    await ledger.answer(K.ACCEPTED, *parts)
    await ledger.outcomes.report(ledger.report(parts[0], channel="b"))
    assert await ledger.states(message_id) == [S.DELIVERED, S.SENT]
