"""Which part a report is about: ids that are used again, attempts that lie aside, two nodes at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from changes import by_test
from following import follow
from ledger import Ledger, carrier_id

from smsgw.core.model import Claimed, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.numbers import tail
from smsgw.core.references import reference_of
from smsgw.core.report_ids import ENOUGH, Spelling
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes.writer import Sweep
from smsgw.platform.channels import queries as channel_queries, service as channels
from smsgw.protocols.smpp.ids import canonical
from smsgw.store.engine.database import connect
from smsgw.store.messages import outcomes, reattempt, report_ids, sweeps
from smsgw.store.messages.outcomes import Answer, Patience, Tally

S = PartState
K = OutcomeKind
NUMBER = "8613800138000"
OTHER = "8613912345678"
PATIENCE = Patience(timedelta(hours=1), timedelta(hours=1), timedelta(hours=1))
ALL = {"recent": 0, "oldest": 0, "newest": 2**63 - 1}


async def sent(ledger: Ledger, id_: str, number: str = NUMBER, **about: object) -> int:
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


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_numbers_of_one_id_have_two_results(ledger: Ledger, order: tuple[int, int], together: bool) -> None:
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


@pytest.mark.parametrize("spelled", ["8613800138000", "013800138000", " 13800138000", "", "138****8000"])
async def test_a_number_is_the_same_however_spelled_and_none_contradicts_nothing(ledger: Ledger, spelled: str) -> None:
    message_id = await sent(ledger, "7")
    await ledger.outcomes.report(report(ledger, "7", spelled))
    assert await ledger.state(message_id) is S.DELIVERED


def test_the_end_of_a_number() -> None:
    for same in ("8613800138000", "+8613800138000", "008613800138000", "013800138000", " 13800138000"):
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


async def sent_again(ledger: Ledger, id_: str = "", *, by_hand: bool = False) -> tuple[int, Claimed]:
    """A message whose answer was lost (``id_``: under an id that we have made), waiting for its second attempt."""
    message_id, (first,) = await ledger.taken(policy="resend")
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
async def test_the_first_attempt_is_delivered_beside_the_second(ledger: Ledger, when: str, by_hand: bool) -> None:
    """An id that we have made (SGIP) is known without an answer."""
    message_id, _ = await sent_again(ledger, "own1", by_hand=by_hand)
    if when != "waiting":
        second = (await ledger.claim_deferred())[0]
        if when == "sent":
            answer(ledger, second, "own2")
    await ledger.outcomes.report(report(ledger, "own1"))
    assert await ledger.ended(message_id) == ([S.DELIVERED], ["delivered"])
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
async def test_a_failure_of_the_second_attempt_does_not_end_the_first(ledger: Ledger, early: bool) -> None:
    message_id, first = await sent_again(ledger)
    second = (await ledger.claim_deferred())[0]
    answer(ledger, second, "second")
    await ledger.outcomes.drain()
    if early:
        await ledger.outcomes.report(report(ledger, "late"))
    await ledger.outcomes.report(report(ledger, "second", code="UNDELIV"))
    assert await ledger.ended(message_id) == ([S.UNCONFIRMED], ["unconfirmed"])
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
    for code in ("UNDELIV", "DELIVRD"):
        await ledger.outcomes.report(report(ledger, "second", code=code))
    assert await ledger.state(message_id) is S.DELIVERED


async def test_a_delivery_whose_message_waits_in_a_pool_is_kept_until_it_can_be_applied(ledger: Ledger) -> None:
    ledger.fleet.served_by = lambda pool: frozenset(ledger.channels.values())
    message_id, claimed = await ledger.taken(parts=2)
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
async def test_an_answer_of_another_node_between_two_statements_loses_no_report(ledger: Ledger, at: int) -> None:
    """After the first statement of the report's transaction, the second, …"""
    message_id, (claimed,) = await ledger.taken()
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
    assert await ledger.ended(message_id) == ([S.DELIVERED], ["delivered"])
    assert await ledger.orphans() == []


@pytest.mark.parametrize("code", ["DELIVRD", "MK:0001"])
async def test_a_part_that_another_node_takes_back_while_its_report_waits(ledger: Ledger, code: str) -> None:
    """The other node's transaction holds the row and makes it wait for a second attempt under another id."""
    message_id = await sent(ledger, "7")
    other = await connect(ledger.dsn, writer=True)
    taking = other.transaction()
    await taking.start()
    await other.execute(
        "INSERT INTO attempt (id, part, attempt, channel_id, carrier_id, code) "
        "SELECT id, part, attempt, channel_id, carrier_id, '' FROM part WHERE id = $1",
        message_id,
    )
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
    assert await ledger.ended(message_id) == ([S.DELIVERED, S.UNDELIVERABLE, S.DELIVERED], ["failed"])
    assert (await kinds(ledger, message_id)).count("by_reference") == 3
    assert await ledger.state(other_id) is S.UNKNOWN


async def test_the_report_comes_before_the_loss_is_noticed(ledger: Ledger) -> None:
    message_id, (claimed,) = await ledger.taken()
    await ledger.outcomes.report(referring(ledger, claimed))
    assert await ledger.state(message_id) is S.SENDING  # its answer may still come
    assert len(await ledger.orphans()) == 1
    before = ledger.outcomes.tally.unmatched_reports
    await ledger.answer(K.UNKNOWN, claimed)
    assert await ledger.ended(message_id) == ([S.DELIVERED], ["delivered"])
    assert len(await ledger.orphans()) == 0
    assert ledger.outcomes.tally.unmatched_reports == before == 1
    # The answer comes after all: the id is known already, and nothing changes.
    await ledger.answer(K.ACCEPTED, claimed)
    assert await ledger.ended(message_id) == ([S.DELIVERED], ["delivered"])


async def test_the_answer_comes_and_the_id_in_the_report_is_another(ledger: Ledger) -> None:
    message_id, (claimed,) = await ledger.taken()
    await ledger.answer(K.ACCEPTED, claimed)
    await ledger.outcomes.report(referring(ledger, claimed))
    assert await ledger.state(message_id) is S.DELIVERED


async def test_references_of_others_are_left_alone(ledger: Ledger) -> None:
    message_id, (claimed,) = await ledger.taken()
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
    assert len(await ledger.orphans()) == 4
    assert await ledger.outcomes.rematch() == 0
    assert len(await ledger.orphans()) == 4


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
    message_id, claimed = await ledger.taken(parts=2)
    for part in claimed:
        await ledger.outcomes.report(stranger(ledger, part, by_number=True))
    await ledger.answer(K.UNKNOWN, *claimed)
    assert await ledger.states(message_id) == [S.UNKNOWN, S.UNKNOWN]
    assert len(await ledger.orphans()) == 2


@pytest.fixture
def reporting_once(ledger: Ledger) -> None:
    """The carrier of channel ``a`` reports long messages once."""
    ledger.fleet.reporting_once = frozenset({ledger.channels["a"]})


async def test_one_report_is_for_all_parts(ledger: Ledger, reporting_once: None) -> None:
    message_id, parts = await ledger.accept(parts=3), await ledger.claim()
    other, others = await ledger.accept(parts=2), await ledger.claim()
    await ledger.answer(K.ACCEPTED, *parts, *others)
    await ledger.outcomes.report(ledger.report(parts[1]))
    assert await ledger.ended(message_id) == ([S.DELIVERED] * 3, ["delivered"])
    # A report of its own that comes after all changes nothing, and of failures all parts fail.
    await ledger.outcomes.report(ledger.report(parts[2]))
    await ledger.outcomes.report(ledger.report(others[0], S.UNDELIVERABLE))
    assert await ledger.ended(other) == ([S.UNDELIVERABLE] * 2, ["failed"])


async def test_a_report_of_its_own_goes_before(ledger: Ledger, reporting_once: None) -> None:
    message_id, parts = await ledger.accept(parts=2), await ledger.claim()
    await ledger.answer(K.ACCEPTED, *parts)
    ledger.outcomes.report(ledger.report(parts[0]))
    await ledger.outcomes.report(ledger.report(parts[1], S.UNDELIVERABLE))
    assert await ledger.ended(message_id) == ([S.DELIVERED, S.UNDELIVERABLE], ["failed"])


async def test_the_report_comes_before_the_other_answers(ledger: Ledger, reporting_once: None) -> None:
    message_id, parts = await ledger.accept(parts=3), await ledger.claim()
    await ledger.answer(K.ACCEPTED, parts[0])
    await ledger.outcomes.report(ledger.report(parts[0]))
    assert await ledger.states(message_id) == [S.DELIVERED, S.SENDING, S.SENDING]
    await ledger.answer(K.ACCEPTED, parts[1])
    # Whether the carrier has the last part is not known: a report does not tell. Its late answer does.
    await ledger.answer(K.UNKNOWN, parts[2])
    assert await ledger.ended(message_id) == ([S.DELIVERED, S.DELIVERED, S.UNKNOWN], [])
    await ledger.answer(K.ACCEPTED, parts[2])
    assert await ledger.ended(message_id) == ([S.DELIVERED] * 3, ["delivered"])


async def test_the_report_comes_before_all_answers(ledger: Ledger, reporting_once: None) -> None:
    message_id, parts = await ledger.accept(parts=2), await ledger.claim()
    await ledger.outcomes.report(ledger.report(parts[0]))
    await ledger.answer(K.ACCEPTED, *parts)
    assert await ledger.ended(message_id) == ([S.DELIVERED] * 2, ["delivered"])


async def test_other_channels_report_each_part(ledger: Ledger, reporting_once: None) -> None:
    message_id, parts = await ledger.accept(parts=2), await ledger.claim("b")
    await ledger.answer(K.ACCEPTED, *parts)
    await ledger.outcomes.report(ledger.report(parts[0], channel="b"))
    assert await ledger.states(message_id) == [S.DELIVERED, S.SENT]


FIRST = 0x16FEE0E525

SPELLINGS: dict[str, tuple[Callable[[int], str], Callable[[int], str], Spelling | None]] = {
    "zeros": (lambda n: f"{n:020d}", lambda n: f"{n}", None),
    "case": (lambda n: f"{n:X}", lambda n: f"{n:012x}", None),
    "hex, dec": (lambda n: f"{n:x}", lambda n: f"{n:020d}", Spelling.HEX_DEC),
    "HEX8, dec": (lambda n: f"{n:012X}", lambda n: f"{n}", Spelling.HEX_DEC),
    "dec, HEX": (lambda n: f"{n}", lambda n: f"{n:X}", Spelling.DEC_HEX),
    "octets": (lambda n: f"{n:016x}", lambda n: n.to_bytes(8, "little").hex(), Spelling.SWAPPED),
}


def _canonical(carrier_id: str) -> str:
    """As the mapping of a text protocol does; the eight octets of a binary id stay as they are."""
    return carrier_id if len(carrier_id) == 16 and not carrier_id.isupper() else canonical(carrier_id)


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
        await ledger.outcomes.report(report(ledger, _canonical(in_report(numbers[id_]))))
    for id_ in ids:
        answer(ledger, claimed[id_], _canonical(in_answer(numbers[id_])))
    copies = [id_ for id_ in late for _ in range(10)]
    dice.shuffle(copies)
    futures = [ledger.outcomes.report(report(ledger, _canonical(in_report(numbers[id_])))) for id_ in copies]
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
        await ledger.outcomes.report(report(ledger, _canonical(str(FIRST + n))))
    for n, one in enumerate(claimed):
        answer(ledger, one, _canonical(f"{FIRST + n:x}"))
    assert await ledger.outcomes.rematch() == ENOUGH
    assert await ledger.events() == ["delivered"] * ENOUGH


async def test_a_stranger_teaches_nothing(ledger: Ledger) -> None:
    """The number must be that of the part: two bases have many digits in common."""
    ids = [await ledger.accept() for _ in range(5)]
    claimed = await ledger.claim()
    for n, one in enumerate(claimed):
        answer(ledger, one, _canonical(f"{FIRST + n:x}"))
        await ledger.outcomes.report(report(ledger, _canonical(str(FIRST + n)), number="8613900139000"))
    assert [await ledger.state(id_) for id_ in ids] == [S.SENT] * 5
    assert len(await ledger.orphans()) == 5
    assert ledger.outcomes.report_ids.spelling(ledger.channels["a"]) is None


async def test_an_operator_sees_the_proposal_and_adopts_it(ledger: Ledger) -> None:
    message_id, (claimed,) = await ledger.taken()
    answer(ledger, claimed, _canonical(f"{FIRST:x}"))
    await ledger.outcomes.report(report(ledger, _canonical(str(FIRST))))
    (line,) = await channel_queries.unmatched_reports(ledger.database, "a", limit=10, oldest=0)
    assert (line["proposed"], line["message_id"]) == ("hex-dec", str(message_id))
    channel_id = await channel_queries.id_of(ledger.database, "a")
    await channels.set_spelling(by_test(ledger.database), channel_id, Spelling.HEX_DEC)
    ledger.outcomes.report_ids._learned.update(await report_ids.load(ledger.database))
    assert await ledger.outcomes.rematch(channel_id) == 1
    assert await ledger.state(message_id) is S.DELIVERED
    # What is spelled as the answer still finds its part.
    second, (claimed,) = await ledger.taken()
    answer(ledger, claimed, _canonical(f"{FIRST + 1}"))
    await ledger.outcomes.report(report(ledger, _canonical(str(FIRST + 1))))
    assert await ledger.state(second) is S.DELIVERED
