"""Another try after a definite failure, against the real ledger: one end, one price, nothing doubled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from changes import by_test
from claiming_sender import Sender
from ledger import BALANCE, LANE, NODE, POOL, Ledger, carrier_id

from smsgw.core.actor import Actor, ActorKind, Scope
from smsgw.core.code_book import CodeBook, Entry, Source
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.model import Claimed, MessageType, Outcome, OutcomeKind, UnknownPolicy
from smsgw.core.numbers import CTCC, CUCC
from smsgw.core.permissions import Permission
from smsgw.core.retry import DEFAULTS, Fault, RetryAction, Rule
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes.writer import Sweep
from smsgw.platform.change import Change
from smsgw.platform.messages import service
from smsgw.platform.routing import queries as routing_queries, service as routing
from smsgw.store.config import retry_rules
from smsgw.store.engine import partitions
from smsgw.store.messages import claiming, reattempt, sweeps
from smsgw.store.messages.claiming import Fence

S = PartState
K = OutcomeKind
OTHER_POOL = 2


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """Both channels serve every pool."""
    ledger.fleet.served_by = lambda pool: frozenset(ledger.channels.values())
    return ledger


async def claim(ledger: Ledger, channel: str, *, pool: int = POOL, again: bool = False) -> list[Claimed]:
    fence = await ledger.fence(channel) if channel not in ledger.leases else None
    lease = ledger.leases[channel]
    fence = fence or Fence(lease.resource, NODE, lease.epoch, ledger.channels[channel])
    return await claiming.claim(ledger.connection, fence, limit=100, queues=[(pool, LANE)], oldest=0, again=again)


async def sent(ledger: Ledger, channel: str = "a", **about: object) -> tuple[int, list[Claimed]]:
    message_id = await ledger.accept(**about)
    claimed = await claim(ledger, channel)
    await ledger.answer(K.ACCEPTED, *claimed)
    return message_id, claimed


async def refuse(ledger: Ledger, fault: Fault, *claimed: Claimed, kind: K = K.REFUSED, code: str = "9") -> None:
    said = [Outcome(c.id, c.part, c.attempt, kind, code=code, cls="CHANNEL", fault=fault) for c in claimed]
    ledger.outcomes.answered(said, UnknownPolicy.HOLD)
    await ledger.outcomes.drain()


async def failed(ledger: Ledger, claimed: Claimed, code: str = "NOROUTE", channel: str = "a") -> None:
    await ledger.outcomes.report(ledger.report(claimed, S.UNDELIVERABLE, channel, code=code))


async def release(ledger: Ledger) -> int:
    return await ledger.outcomes.sweep(Sweep(lambda c, now: reattempt.release(c, now, 0)))


async def test_a_failed_report_goes_to_another_channel_and_the_customer_hears_of_one_end(ledger: Ledger) -> None:
    message_id, (first,) = await sent(ledger)
    await failed(ledger, first)
    assert await ledger.ended(message_id) == ([S.QUEUED], [])
    assert await claim(ledger, "a") == []
    assert await claim(ledger, "a", again=True) == []
    (second,) = await claim(ledger, "b", again=True)
    assert (second.id, second.attempt) == (message_id, 2)
    await ledger.answer(K.ACCEPTED, second)
    await ledger.outcomes.report(ledger.report(second, channel="b"))
    for late in (ledger.report(first, S.UNDELIVERABLE, code="NOROUTE"), ledger.report(first)):
        await ledger.outcomes.report(late)
    assert await ledger.events() == ["delivered"]
    assert await ledger.balance() == BALANCE - 1
    kinds = await ledger.connection.fetch("SELECT kind FROM event WHERE id = $1", message_id)
    assert [row["kind"] for row in kinds] == ["retried"]


async def test_ten_copies_of_a_failure_are_one_failure(ledger: Ledger) -> None:
    message_id, (first,) = await sent(ledger)
    said = ledger.report(first, S.UNDELIVERABLE, code="NOROUTE")
    copies = [ledger.outcomes.report(said) for _ in range(10)]
    for copy in copies:
        await copy
    (second,) = await claim(ledger, "b")
    await ledger.answer(K.ACCEPTED, second)
    await failed(ledger, first)
    assert await ledger.state(message_id) is S.SENT
    assert await ledger.connection.fetchval("SELECT tries FROM part") == 1
    assert ledger.outcomes.tally.duplicate_reports == 10
    assert await ledger.orphans() == []


async def test_a_late_delivery_stops_what_is_not_written_yet(ledger: Ledger) -> None:
    message_id, (first,) = await sent(ledger)
    await failed(ledger, first)
    await ledger.outcomes.report(ledger.report(first))
    assert await ledger.state(message_id) is S.DELIVERED
    assert await claim(ledger, "b") == []
    assert await ledger.events() == ["delivered"]


async def test_a_late_delivery_while_the_second_is_under_way(ledger: Ledger) -> None:
    message_id, (first,) = await sent(ledger)
    await failed(ledger, first)
    (second,) = await claim(ledger, "b")
    await ledger.outcomes.report(ledger.report(first))
    await ledger.answer(K.ACCEPTED, second)
    await failed(ledger, second, "UNDELIV", "b")
    assert await ledger.ended(message_id) == ([S.DELIVERED], ["delivered"])
    assert await ledger.orphans() == []


@pytest.mark.parametrize("code", ["MC:0055", "IC:0001", "TIMEOUT", "MK:0001", "DB:0141", "REJECTD", "QX:77"])
async def test_what_may_have_arrived_or_would_fail_again_is_final(ledger: Ledger, code: str) -> None:
    message_id, (first,) = await sent(ledger)
    await failed(ledger, first, code)
    assert await ledger.ended(message_id) == ([S.UNDELIVERABLE], ["failed"])
    assert ledger.outcomes.retrying.unlisted == (code == "QX:77")
    expected = {ledger.channels["a"]: ["QX:77"]} if code == "QX:77" else {}
    assert ledger.outcomes.retrying.unlisted_codes() == expected


async def test_without_another_channel_a_channels_fault_is_final(ledger: Ledger) -> None:
    ledger.fleet.served_by = lambda pool: frozenset({ledger.channels["a"]})
    message_id, (first,) = await sent(ledger)
    await failed(ledger, first)
    assert await ledger.state(message_id) is S.UNDELIVERABLE
    assert await ledger.balance() == BALANCE - 1


async def test_refused_everywhere_is_refunded_once(ledger: Ledger) -> None:
    message_id = await ledger.accept()
    for channel in "ab":
        (claimed,) = await claim(ledger, channel)
        await refuse(ledger, Fault.CHANNEL, claimed)
        await refuse(ledger, Fault.CHANNEL, claimed)
    assert await ledger.ended(message_id) == ([S.REJECTED], ["failed"])
    assert await ledger.balance() == BALANCE


async def test_what_a_carrier_has_taken_once_is_not_refunded(ledger: Ledger) -> None:
    message_id, (first,) = await sent(ledger)
    await failed(ledger, first)
    (second,) = await claim(ledger, "b")
    await refuse(ledger, Fault.PERMANENT, second)
    assert await ledger.ended(message_id) == ([S.UNDELIVERABLE], ["failed"])
    assert await ledger.balance() == BALANCE - 1


async def test_a_retry_whose_validity_ends_in_the_queue_has_failed(ledger: Ledger) -> None:
    message_id, (first,) = await sent(ledger, valid=timedelta(hours=1))
    await failed(ledger, first)
    ledger.later(hours=2)
    await ledger.outcomes.sweep(Sweep(lambda c, now: sweeps.expire(c, now, 0)))
    assert await ledger.ended(message_id) == ([S.UNDELIVERABLE], ["failed"])
    assert await ledger.balance() == BALANCE - 1


async def test_a_wait_before_another_channel(ledger: Ledger) -> None:
    message_id, (first,) = await sent(ledger)
    await failed(ledger, first, "DB:9001")  # network: 30 s
    assert await ledger.state(message_id) is S.DEFERRED
    assert await release(ledger) == 0
    assert await claim(ledger, "b") == []
    ledger.later(seconds=31)
    assert await release(ledger) == 1
    assert len(await claim(ledger, "b")) == 1


async def test_the_same_channel_after_a_while(ledger: Ledger) -> None:
    message_id, (first,) = await sent(ledger)
    await failed(ledger, first, "MK:0008")  # out of reach: half an hour
    row = await ledger.connection.fetchrow("SELECT * FROM part WHERE id = $1", message_id)
    assert (row["state"], row["channel_id"]) == (S.DEFERRED, ledger.channels["a"])
    assert row["next_at"] == ledger.clock + timedelta(minutes=30)
    kept = await ledger.connection.fetchrow("SELECT * FROM attempt")
    assert (kept["carrier_id"], kept["code"]) == (carrier_id(first), "MK:0008")
    await ledger.outcomes.report(ledger.report(first))
    assert await ledger.events() == ["delivered"]


async def test_the_parts_of_a_message_leave_together(ledger: Ledger) -> None:
    message_id = await ledger.accept(parts=3)
    claimed = await claim(ledger, "a")
    for one in claimed[:2]:
        await refuse(ledger, Fault.CHANNEL, one)
    assert await ledger.states(message_id) == [S.DEFERRED, S.DEFERRED, S.SENDING]
    await refuse(ledger, Fault.CHANNEL, claimed[2])
    assert await ledger.states(message_id) == [S.QUEUED] * 3
    second = await claim(ledger, "b")
    assert [c.part for c in second] == [1, 2, 3]
    await ledger.answer(K.ACCEPTED, *second)
    for one in second:
        await ledger.outcomes.report(ledger.report(one, channel="b"))
    assert await ledger.events() == ["delivered"]


async def test_a_part_whose_siblings_were_taken_stays(ledger: Ledger) -> None:
    message_id = await ledger.accept(parts=2)
    claimed = await claim(ledger, "a")
    await ledger.answer(K.ACCEPTED, claimed[0])
    await refuse(ledger, Fault.CHANNEL, claimed[1])
    assert await ledger.states(message_id) == [S.SENT, S.DEFERRED]
    row = await ledger.connection.fetchrow("SELECT * FROM part WHERE id = $1 AND part = 2", message_id)
    assert row["channel_id"] == ledger.channels["a"]
    assert row["next_at"] == ledger.clock + reattempt.RENDEZVOUS


async def test_throttled_without_end_expires(ledger: Ledger) -> None:
    message_id = await ledger.accept(valid=timedelta(seconds=30))
    (claimed,) = await claim(ledger, "a")
    await refuse(ledger, Fault.THROTTLE, claimed, kind=K.DEFERRED, code="8")
    assert await ledger.state(message_id) is S.DEFERRED
    assert await ledger.connection.fetchval("SELECT count(*) FROM attempt") == 0
    ledger.later(seconds=31)
    await ledger.outcomes.sweep(Sweep(lambda c, now: sweeps.expire(c, now, 0)))
    assert await ledger.state(message_id) is S.EXPIRED
    assert await ledger.balance() == BALANCE


async def test_an_answer_that_an_operator_calls_uncertain_is_unknown(ledger: Ledger) -> None:
    ledger.snapshots.change(codes=CodeBook([Entry(None, Source.ANSWER, "9", "TIMEOUT", Fault.UNCERTAIN)]))
    message_id = await ledger.accept()
    (claimed,) = await claim(ledger, "a")
    await refuse(ledger, Fault.PERMANENT, claimed)
    assert await ledger.state(message_id) is S.UNKNOWN


async def test_what_was_sent_twice_is_not_sent_a_third_time(ledger: Ledger) -> None:
    message_id, (first,) = await sent(ledger)
    await ledger.connection.execute("UPDATE part SET resent = 1 WHERE id = $1", message_id)
    await failed(ledger, first)
    assert await ledger.state(message_id) is S.UNCONFIRMED


async def test_a_ported_number_goes_to_another_carriers_pool(ledger: Ledger) -> None:
    ledger.router.others = {CUCC: OTHER_POOL, CTCC: 3}
    ledger.fleet.served_by = lambda pool: frozenset(
        {ledger.channels["b"]} if pool == OTHER_POOL else {ledger.channels["a"]}
    )
    message_id, (first,) = await sent(ledger)
    await failed(ledger, first, "DB:0126")
    assert await claim(ledger, "b") == []
    (second,) = await claim(ledger, "b", pool=OTHER_POOL)
    assert second.id == message_id
    assert await routing_queries.overrides(ledger.database, "138") == []


async def test_a_code_that_names_the_carrier_teaches_it(ledger: Ledger) -> None:
    entry = Entry(ledger.channels["a"], Source.REPORT, "NP:1243", "CHANNEL", Fault.PORTED, CTCC)
    ledger.snapshots.change(codes=CodeBook([entry]))
    ledger.router.others = {CTCC: OTHER_POOL}
    _, (first,) = await sent(ledger)
    await failed(ledger, first, "NP:1243")
    (learned,) = await routing_queries.overrides(ledger.database, "13800138000")
    assert (learned["carrier"], learned["source"], learned["learned_code"]) == (CTCC, "learned", "NP:1243")
    assert len(await claim(ledger, "b", pool=OTHER_POOL)) == 1


async def test_tables_are_stored_and_reset(ledger: Ledger) -> None:
    cell = (Fault.ABSENT, MessageType.OTP)
    rule = Rule(RetryAction.SAME, tries=2, deadline=600, first=60, most=60)
    await routing.set_rule(by_test(ledger.database), *cell, rule)
    assert (await retry_rules.load_rules(ledger.database))[cell] == rule
    with pytest.raises(Exception, match="不允许重发"):
        await routing.set_rule(by_test(ledger.database), Fault.UNCERTAIN, MessageType.OTP, rule)
    assert await routing.reset_rules(by_test(ledger.database), None, MessageType.OTP) == 1
    assert await retry_rules.load_rules(ledger.database) == DEFAULTS
    admin = by_test(ledger.database)
    await routing.set_code(admin, None, Source.REPORT, "xx:1", "NETWORK", Fault.NETWORK)
    await routing.set_code(admin, "a", Source.REPORT, "XX:1", "HANDSET", Fault.ABSENT)
    await routing.set_code(admin, "a", Source.REPORT, "XX:1", "HANDSET", Fault.PERMANENT)
    book = await retry_rules.load_codes(ledger.database)
    assert book.report(ledger.channels["a"], "XX:1/012").fault is Fault.PERMANENT
    assert book.report(ledger.channels["b"], "xx:1").fault is Fault.NETWORK
    assert await routing.remove_code(by_test(ledger.database), "a", Source.REPORT, "XX:1")
    book = await retry_rules.load_codes(ledger.database)
    assert book.report(ledger.channels["a"], "XX:1").fault is Fault.NETWORK


KIM = Actor.operator("kim")


async def resolve(ledger: Ledger, message_id: int, part: int, decision: str, actor: Actor = KIM) -> int:
    """Decide, and see that the audit log tells of it, or has nothing to tell."""
    change = Change(ledger.database, actor)
    said = "SELECT actor, object, after::text FROM audit WHERE action = 'message.resolve' ORDER BY id"
    before = await ledger.connection.fetch(said)
    done = 0
    try:
        done = await service.resolve(change, ledger.outcomes, message_id, part, decision)
    finally:
        new = (await ledger.connection.fetch(said))[len(before) :]
        entry = (actor.label, f"message/{message_id}", f'{{"parts": {done}, "decision": "{decision}"}}')
        assert [tuple(row) for row in new] == ([entry] if done else [])
    return done


async def unknown(ledger: Ledger, days: float, parts: int = 1) -> int:
    """A message that was accepted so long ago and is UNKNOWN now; its id."""
    await partitions.ensure(ledger.connection, (ledger.clock - timedelta(days=days)).astimezone(CHINA).date())
    ledger.age(days)
    message_id = await ledger.accept(parts=parts, valid=timedelta(days=7))
    ledger.age(0)
    await ledger.answer(OutcomeKind.UNKNOWN, *await ledger.claim())
    assert await ledger.states(message_id) == [S.UNKNOWN] * parts
    return message_id


@pytest.mark.parametrize("days", [0, 10])
async def test_a_resend_is_claimed_and_its_report_finds_it(ledger: Ledger, days: int) -> None:
    message_id = await unknown(ledger, days)
    assert await resolve(ledger, message_id, 0, "resend") == 1
    sender = Sender(ledger, ledger.leases["a"])
    (claimed,) = await sender.take()
    assert (claimed.id, claimed.attempt) == (message_id, 2)
    # Never written after all, it stays with its channel: the first attempt may still arrive there.
    await ledger.answer(OutcomeKind.UNSENT, claimed)
    assert await ledger.state(message_id) is S.DEFERRED
    sender.claims.deferred_in(0.0)
    sender.in_hand.clear()
    (claimed,) = await sender.take()
    await ledger.answer(OutcomeKind.ACCEPTED, claimed)
    ledger.later(days=3.5)
    await ledger.outcomes.report(ledger.report(claimed))
    assert await ledger.state(message_id) is S.DELIVERED
    sender.claims.drop()


async def test_what_cannot_be_sent_again_is_refused_and_stays_unknown(ledger: Ledger) -> None:
    old, resting = await unknown(ledger, 11.5), await unknown(ledger, 0, parts=2)
    await ledger.connection.execute("UPDATE channel SET desired = 'stopped' WHERE name = 'a'")
    for message_id, why in ((old, "已超过 11 天"), (resting, "通道 a")):
        with pytest.raises(Refused, match=why) as refused:
            await resolve(ledger, message_id, 0, "resend")
        assert refused.value.code == "STATE_CONFLICT"
        assert set(await ledger.states(message_id)) == {S.UNKNOWN}
    assert await resolve(ledger, old, 0, "unconfirmed") == 1
    assert await resolve(ledger, resting, 2, "delivered") == 1
    assert await ledger.states(resting) == [S.UNKNOWN, S.DELIVERED]
    with pytest.raises(Refused, match="没有结果未知"):
        await resolve(ledger, old, 0, "delivered")
    with pytest.raises(Invalid, match="可选"):
        await resolve(ledger, resting, 0, "guess")


async def test_nobody_decides_about_another_accounts_message(ledger: Ledger) -> None:
    message_id = await unknown(ledger, 0)
    account_id = await ledger.connection.fetchval("SELECT account_id FROM message WHERE id = $1", message_id)
    rights = frozenset({Permission.MESSAGE_RESOLVE})
    for scope in (Scope((account_id + 1,)), Scope((account_id,), (), "li")):
        stranger = Actor(ActorKind.PERSON, "li", 3, rights, scope)
        with pytest.raises(Refused) as refused:
            await resolve(ledger, message_id, 0, "delivered", stranger)
        assert refused.value.code == "NOT_FOUND"
        assert await ledger.state(message_id) is S.UNKNOWN
    own = Actor(ActorKind.PERSON, "li", 3, rights, Scope((account_id,)))
    assert await resolve(ledger, message_id, 0, "delivered", own) == 1
