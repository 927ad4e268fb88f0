"""Reports find their part however the carrier spells its ids, whenever they come; each message has one end."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from changes import by_test
from ledger import Ledger

from smsgw.core.model import Claimed, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.report_ids import ENOUGH, Spelling
from smsgw.core.states import PartState
from smsgw.platform.channels import queries as channel_queries
from smsgw.platform.channels import service as channels
from smsgw.protocols.smpp.ids import canonical
from smsgw.store.messages import report_ids

S = PartState
FIRST = 0x16FEE0E525

SPELLINGS: dict[str, tuple[Callable[[int], str], Callable[[int], str], Spelling | None]] = {
    "zeros": (lambda n: f"{n:020d}", lambda n: f"{n}", None),
    "case": (lambda n: f"{n:X}", lambda n: f"{n:012x}", None),
    "hex, dec": (lambda n: f"{n:x}", lambda n: f"{n:020d}", Spelling.HEX_DEC),
    "HEX8, dec": (lambda n: f"{n:012X}", lambda n: f"{n}", Spelling.HEX_DEC),
    "dec, HEX": (lambda n: f"{n}", lambda n: f"{n:X}", Spelling.DEC_HEX),
    "octets": (lambda n: f"{n:016x}", lambda n: n.to_bytes(8, "little").hex(), Spelling.SWAPPED),
}


def accept(ledger: Ledger, claimed: Claimed, carrier_id: str) -> None:
    outcome = Outcome(
        claimed.id,
        claimed.part,
        claimed.attempt,
        OutcomeKind.ACCEPTED,
        carrier_id=_canonical(carrier_id),
    )
    ledger.outcomes.answered([outcome], UnknownPolicy.HOLD)


def _canonical(carrier_id: str) -> str:
    """As the mapping of a text protocol does; the eight octets of a binary id stay as they are."""
    return carrier_id if len(carrier_id) == 16 and not carrier_id.isupper() else canonical(carrier_id)


def report(ledger: Ledger, carrier_id: str, number: str = "8613800138000") -> Report:
    return Report(ledger.channels["a"], _canonical(carrier_id), S.DELIVERED, "DELIVRD", "", number, ledger.clock)


@pytest.mark.parametrize("name", SPELLINGS)
async def test_torture(ledger: Ledger, name: str) -> None:
    """Early, reordered, ten times, re-coded: all matched, each final once."""
    in_answer, in_report, spelling = SPELLINGS[name]
    dice = random.Random(7)  # noqa: S311 - a shuffle that can be repeated
    ids = [await ledger.accept() for _ in range(30)]
    claimed = {c.id: c for c in await ledger.claim()}
    numbers = {id_: FIRST + n * 7919 for n, id_ in enumerate(ids)}
    early, late = ids[:10], ids[10:]
    for id_ in early:
        await ledger.outcomes.report(report(ledger, in_report(numbers[id_])))
    for id_ in ids:
        accept(ledger, claimed[id_], in_answer(numbers[id_]))
    copies = [id_ for id_ in late for _ in range(10)]
    dice.shuffle(copies)
    futures = [ledger.outcomes.report(report(ledger, in_report(numbers[id_]))) for id_ in copies]
    for future in futures:
        await future
    await ledger.outcomes.rematch(since=ledger.clock - timedelta(seconds=60))
    assert [await ledger.state(id_) for id_ in ids] == [S.DELIVERED] * len(ids)
    assert await ledger.events() == ["delivered"] * len(ids)
    assert await ledger.orphans() == []
    assert ledger.outcomes.report_ids.spelling(ledger.channels["a"]) is spelling
    assert await report_ids.load(ledger.database) == ({ledger.channels["a"]: spelling} if spelling else {})


async def test_all_reports_before_their_answers_still_teach(ledger: Ledger) -> None:
    ids = [await ledger.accept() for _ in range(ENOUGH)]
    claimed = await ledger.claim()
    for n, _ in enumerate(ids):
        await ledger.outcomes.report(report(ledger, str(FIRST + n)))
    for n, one in enumerate(claimed):
        accept(ledger, one, f"{FIRST + n:x}")
    assert await ledger.outcomes.rematch() == ENOUGH
    assert await ledger.events() == ["delivered"] * ENOUGH


async def test_a_stranger_teaches_nothing(ledger: Ledger) -> None:
    """The number must be that of the part: two bases have many digits in common."""
    ids = [await ledger.accept() for _ in range(5)]
    claimed = await ledger.claim()
    for n, one in enumerate(claimed):
        accept(ledger, one, f"{FIRST + n:x}")
        await ledger.outcomes.report(report(ledger, str(FIRST + n), number="8613900139000"))
    assert [await ledger.state(id_) for id_ in ids] == [S.SENT] * 5
    assert len(await ledger.orphans()) == 5
    assert ledger.outcomes.report_ids.spelling(ledger.channels["a"]) is None


async def test_an_operator_sees_the_proposal_and_adopts_it(ledger: Ledger) -> None:
    message_id = await ledger.accept()
    (claimed,) = await ledger.claim()
    accept(ledger, claimed, f"{FIRST:x}")
    await ledger.outcomes.report(report(ledger, str(FIRST)))
    (line,) = await channel_queries.unmatched_reports(ledger.database, "a", limit=10, oldest=0)
    assert (line["proposed"], line["message_id"]) == ("hex-dec", str(message_id))
    channel_id = await channel_queries.id_of(ledger.database, "a")
    await channels.set_spelling(by_test(ledger.database), channel_id, Spelling.HEX_DEC)
    ledger.outcomes.report_ids._learned.update(await report_ids.load(ledger.database))
    assert await ledger.outcomes.rematch(channel_id) == 1
    assert await ledger.state(message_id) is S.DELIVERED
    # What is spelled as the answer still finds its part.
    second = await ledger.accept()
    (claimed,) = await ledger.claim()
    accept(ledger, claimed, f"{FIRST + 1}")
    await ledger.outcomes.report(report(ledger, str(FIRST + 1)))
    assert await ledger.state(second) is S.DELIVERED
