"""Which part a report is about: ids that are used again, attempts that lie aside, two nodes at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from following import follow
from ledger import Ledger, carrier_id

from smsgw.core.model import Claimed, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.numbers import tail
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes.writer import Sweep
from smsgw.store.engine.database import connect
from smsgw.store.messages import outcomes, reattempt, sweeps
from smsgw.store.messages.outcomes import Answer, Patience, Tally

S = PartState
K = OutcomeKind
NUMBER = "8613800138000"
OTHER = "8613912345678"
PATIENCE = Patience(timedelta(hours=1), timedelta(hours=1), timedelta(hours=1))
ALL = {"recent": 0, "oldest": 0, "newest": 2**63 - 1}


async def sent(ledger: Ledger, id_: str, number: str = NUMBER, **about: object) -> int:
    """A message to a number that the carrier has taken under an id."""
    message_id = await ledger.accept(**about)
    await ledger.connection.execute("UPDATE message SET number = $2 WHERE id = $1", message_id, number)
    for claimed in await ledger.claim():
        answer(ledger, claimed, id_)
    await ledger.outcomes.drain()
    return message_id


def answer(ledger: Ledger, claimed: Claimed, id_: str) -> None:
    outcome = Outcome(claimed.id, claimed.part, claimed.attempt, K.ACCEPTED, carrier_id=id_)
    ledger.outcomes.answered([outcome], UnknownPolicy.HOLD)


def report(ledger: Ledger, id_: str, number: str = NUMBER, code: str = "DELIVRD") -> Report:
    state = S.DELIVERED if code == "DELIVRD" else S.UNDELIVERABLE
    return Report(ledger.channels["a"], id_, state, code, "", number, ledger.clock)


# --- ids that are used again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_numbers_under_one_id_have_each_its_own_result(
    ledger: Ledger, order: tuple[int, int], together: bool
) -> None:
    first = await sent(ledger, "7")
    second = await sent(ledger, "7", OTHER)
    said = [report(ledger, "7", NUMBER, "MK:0001"), report(ledger, "7", OTHER)]
    futures = []
    for n in order:
        futures.append(ledger.outcomes.report(said[n]))
        if not together:
            await futures[-1]
    await asyncio.gather(*futures)
    assert [await ledger.state(first), await ledger.state(second)] == [S.UNDELIVERABLE, S.DELIVERED]
    assert await ledger.orphans() == []


@pytest.mark.parametrize("code", ["DELIVRD", "MK:0001", "NOROUTE"])
async def test_a_report_about_another_number_is_not_applied(ledger: Ledger, code: str) -> None:
    """Also not where a failure would be tried again."""
    ledger.fleet.served_by = lambda pool: frozenset(ledger.channels.values())
    message_id = await sent(ledger, "7")
    await ledger.outcomes.report(report(ledger, "7", OTHER, code))
    assert await ledger.state(message_id) is S.SENT
    assert await ledger.orphans() == [OTHER]
    assert ledger.outcomes.tally.unmatched_reports == 1
    await ledger.outcomes.report(report(ledger, "7"))
    assert await ledger.state(message_id) is S.DELIVERED


async def test_a_report_of_another_channel_under_the_same_id_waits_on(ledger: Ledger) -> None:
    """Carriers number their messages each for themselves."""
    elsewhere = Report(ledger.channels["b"], "7", S.UNDELIVERABLE, "MK:0001", "", NUMBER, ledger.clock)
    await ledger.outcomes.report(elsewhere)
    message_id = await sent(ledger, "7")
    assert await ledger.state(message_id) is S.SENT
    assert await ledger.orphans() == [NUMBER]
    await ledger.outcomes.report(report(ledger, "7"))
    assert await ledger.state(message_id) is S.DELIVERED
    assert await ledger.orphans() == [NUMBER]


async def test_reports_about_two_numbers_wait_for_two_answers_under_one_id(ledger: Ledger) -> None:
    await asyncio.gather(*(ledger.outcomes.report(report(ledger, "7", n)) for n in (NUMBER, OTHER)))
    assert await ledger.orphans() == [NUMBER, OTHER]
    first = await sent(ledger, "7")
    assert await ledger.orphans() == [OTHER]
    second = await sent(ledger, "7", OTHER)
    assert [await ledger.state(first), await ledger.state(second)] == [S.DELIVERED] * 2


@pytest.mark.parametrize(
    "spelled",
    [
        *("8613800138000", "13800138000", "+8613800138000", "008613800138000", "013800138000", " 13800138000"),
        *("", "0", "138****8000", "6" * 32, "1"),
    ],
)
async def test_a_number_is_the_same_however_it_is_spelled_and_none_contradicts_nothing(
    ledger: Ledger, spelled: str
) -> None:
    message_id = await sent(ledger, "7")
    await ledger.outcomes.report(report(ledger, "7", spelled))
    assert await ledger.state(message_id) is S.DELIVERED


def test_the_end_of_a_number() -> None:
    for same in ("8613800138000", "+86 13800138000".replace(" ", ""), "0086 13800138000".replace(" ", "")):
        assert tail(same) == "00138000"
    assert tail("85291234567") == tail("0085291234567") == tail("+85291234567") == "91234567"
    assert tail("5215512345678") == tail("525512345678"), "Mexico, with and without its 1"
    for nothing in ("", "0", "000000", "12345", "138****8000", "1380013800a", "9" * 16, "１３８００１３８０００"):
        assert tail(nothing) == ""


async def test_a_copy_of_the_newests_report_is_not_taken_for_the_olders(ledger: Ledger) -> None:
    """A report without a number says nothing but the id: the newest has it."""
    older = await sent(ledger, "7")
    newer = await sent(ledger, "7", OTHER)
    for _ in range(3):
        await ledger.outcomes.report(report(ledger, "7", ""))
    assert [await ledger.state(older), await ledger.state(newer)] == [S.SENT, S.DELIVERED]
    assert ledger.outcomes.tally.duplicate_reports == 2


async def test_two_reports_of_one_breath_for_two_messages_to_one_number_under_one_id(ledger: Ledger) -> None:
    both = [await sent(ledger, "7"), await sent(ledger, "7")]
    await asyncio.gather(*(ledger.outcomes.report(report(ledger, "7")) for _ in range(2)))
    assert [await ledger.state(one) for one in both] == [S.DELIVERED] * 2
    await ledger.outcomes.report(report(ledger, "7"))
    assert ledger.outcomes.tally.duplicate_reports == 1


# --- attempts that lie aside -----------------------------------------------------------------------------------------


async def sent_again(ledger: Ledger, id_: str = "", *, by_hand: bool = False) -> tuple[int, Claimed]:
    """A message whose answer was lost (``id_``: under an id that we have made), waiting for its second attempt."""
    message_id = await ledger.accept(policy="resend")
    (first,) = await ledger.claim()
    lost = Outcome(first.id, 1, 1, K.UNKNOWN, carrier_id=id_, code="TIMEOUT")
    ledger.outcomes.answered([lost], UnknownPolicy.HOLD)
    await ledger.outcomes.drain()
    ledger.later(seconds=301)

    async def decide(connection: asyncpg.Connection, now: Any) -> list[asyncpg.Record]:
        return await sweeps.decide_unknown(connection, message_id, 0, int(S.DEFERRED), ledger.clock, "OPERATOR", "me")

    run = decide if by_hand else lambda c, now: sweeps.resolve_unknown(c, now, 0)
    assert await ledger.outcomes.sweep(Sweep(run)) == 1  # type: ignore[arg-type]
    assert await ledger.state(message_id) is S.DEFERRED
    return message_id, first


@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("when", ["waiting", "sending", "sent"])
async def test_the_first_attempt_is_delivered_while_the_second_is_under_way(
    ledger: Ledger, when: str, by_hand: bool
) -> None:
    """An id that we have made (SGIP) is known without an answer."""
    message_id, _ = await sent_again(ledger, "own1", by_hand=by_hand)
    if when != "waiting":
        second = (await ledger.claim_deferred())[0]
        if when == "sent":
            answer(ledger, second, "own2")
    await ledger.outcomes.report(report(ledger, "own1"))
    assert await ledger.state(message_id) is S.DELIVERED
    assert await ledger.events() == ["delivered"]
    assert await ledger.orphans() == []


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("when", ["waiting", "sending", "sent", "unconfirmed"])
async def test_an_answer_after_the_resend_leads_its_report_home(ledger: Ledger, when: str, early: bool) -> None:
    message_id, first = await sent_again(ledger)
    if when != "waiting":
        second = (await ledger.claim_deferred())[0]
        if when == "sent":
            answer(ledger, second, "second")
        if when == "unconfirmed":
            await ledger.answer(K.REFUSED, second)
    if early:
        await ledger.outcomes.report(report(ledger, "late"))
        assert await ledger.orphans() == [NUMBER]
    answer(ledger, first, "late")
    await ledger.outcomes.drain()
    if not early:
        await ledger.outcomes.report(report(ledger, "late"))
    assert await ledger.state(message_id) is S.DELIVERED
    assert await ledger.orphans() == []
    assert (await ledger.events())[-1] == "delivered"


@pytest.mark.parametrize("early", [False, True])
async def test_a_failed_report_of_the_second_attempt_does_not_end_what_the_first_may_have_delivered(
    ledger: Ledger, early: bool
) -> None:
    message_id, first = await sent_again(ledger)
    second = (await ledger.claim_deferred())[0]
    answer(ledger, second, "second")
    await ledger.outcomes.drain()
    if early:
        await ledger.outcomes.report(report(ledger, "late"))
    await ledger.outcomes.report(report(ledger, "second", code="UNDELIV"))
    assert await ledger.state(message_id) is S.UNCONFIRMED
    assert await ledger.events() == ["unconfirmed"]
    await ledger.outcomes.report(report(ledger, "second", code="UNDELIV"))
    assert ledger.outcomes.tally.duplicate_reports == 1
    assert await ledger.events() == ["unconfirmed"], "said twice, told once"
    answer(ledger, first, "late")
    await ledger.outcomes.drain()
    if not early:
        await ledger.outcomes.report(report(ledger, "late"))
    assert await ledger.state(message_id) is S.DELIVERED
    assert (await ledger.events())[-1] == "delivered"
    assert await ledger.orphans() == []


async def test_a_delivery_by_the_second_attempt_after_its_failure_is_its_end(ledger: Ledger) -> None:
    message_id, _ = await sent_again(ledger)
    answer(ledger, (await ledger.claim_deferred())[0], "second")
    await ledger.outcomes.drain()
    await ledger.outcomes.report(report(ledger, "second", code="UNDELIV"))
    await ledger.outcomes.report(report(ledger, "second"))
    assert await ledger.state(message_id) is S.DELIVERED


async def test_a_delivery_of_an_attempt_whose_message_waits_in_a_pool_is_kept_until_it_can_be_applied(
    ledger: Ledger,
) -> None:
    ledger.fleet.served_by = lambda pool: frozenset(ledger.channels.values())
    message_id = await ledger.accept(parts=2)
    claimed = await ledger.claim()
    await ledger.answer(K.ACCEPTED, *claimed)
    for one in claimed:
        await ledger.outcomes.report(report(ledger, carrier_id(one), code="NOROUTE"))
    ledger.later(seconds=6)
    await ledger.outcomes.sweep(Sweep(lambda c, now: reattempt.release(c, now, 0)))
    assert await ledger.states(message_id) == [S.QUEUED] * 2
    await ledger.outcomes.report(report(ledger, carrier_id(claimed[1])))
    assert await ledger.states(message_id) == [S.QUEUED] * 2
    assert await ledger.orphans() == [NUMBER]
    assert len(await ledger.claim("b")) == 2
    assert await ledger.outcomes.rematch() == 1
    assert await ledger.states(message_id) == [S.SENDING, S.DELIVERED]


# --- two nodes at once -----------------------------------------------------------------------------------------------


class Between:
    """A connection that lets something happen after each of its statements."""

    def __init__(self, connection: asyncpg.Connection, then: Any) -> None:
        self._connection = connection
        self._then = then

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in ("fetch", "fetchval", "fetchrow", "execute"):
            return found

        async def run(*args: Any, **options: Any) -> Any:
            result = await found(*args, **options)
            await self._then()
            return result

        return run


@pytest.mark.parametrize("at", range(4))
async def test_an_answer_that_another_node_commits_between_two_statements_loses_no_report(
    ledger: Ledger, at: int
) -> None:
    """After the first statement of the report's transaction, the second, …"""
    message_id = await ledger.accept()
    (claimed,) = await ledger.claim()
    seen = 0
    other = await connect(ledger.dsn, writer=True)

    async def then() -> None:
        nonlocal seen
        if seen == at:
            said = Answer(Outcome(claimed.id, 1, 1, K.ACCEPTED, carrier_id="7"), ledger.clock, ledger.clock)
            async with other.transaction():
                rows, early = await outcomes.commit_answers(other, [said], Tally(), PATIENCE)
            assert (len(rows), early) == (1, [])
        seen += 1

    tally = Tally()
    async with ledger.connection.transaction():
        between: Any = Between(ledger.connection, then)
        rows, unmatched = await outcomes.match_reports(between, [report(ledger, "7")], tally, **ALL)
        await outcomes.park(between, unmatched, tally)
        await follow(ledger.connection, rows, ledger.ids.next)
    if seen <= at:
        pytest.skip("fewer statements than that")
    await other.close()
    assert tally.duplicate_reports == 0
    await ledger.outcomes.rematch()  # as maintenance does
    assert await ledger.state(message_id) is S.DELIVERED
    assert await ledger.events() == ["delivered"]
    assert await ledger.orphans() == []


@pytest.mark.parametrize("code", ["DELIVRD", "MK:0001"])
async def test_a_part_that_another_node_takes_back_while_its_report_waits_for_the_row(
    ledger: Ledger, code: str
) -> None:
    """The other node's transaction holds the row and makes it wait for a second attempt under another id."""
    message_id = await sent(ledger, "7")
    other = await connect(ledger.dsn, writer=True)
    taking = other.transaction()
    await taking.start()
    await other.execute(
        "INSERT INTO attempt (id, part, attempt, channel_id, carrier_id, code) "
        "SELECT id, part, attempt, channel_id, carrier_id, '' FROM part WHERE id = $1", message_id
    )  # fmt: skip
    await other.execute("UPDATE part SET carrier_id = '8', attempt = 2 WHERE id = $1", message_id)
    waiting = ledger.outcomes.report(report(ledger, "7", code=code))
    await ledger.until_blocked()
    await taking.commit()
    await other.close()
    await waiting
    await ledger.outcomes.rematch()
    # A delivery is the message's end, whichever attempt it was; a failure is that of the attempt which lies aside.
    assert await ledger.state(message_id) is (S.DELIVERED if code == "DELIVRD" else S.SENT)
    assert await ledger.orphans() == []
