"""What an operator has sent again is sent again, however old it is, or refused with a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest
from claiming_sender import Sender
from ledger import Ledger

from smsgw.core.actor import Actor, ActorKind, Scope
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.model import OutcomeKind, Report
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.platform.change import Change
from smsgw.platform.messages import service
from smsgw.store.engine import partitions

S = PartState
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
    report = Report(
        ledger.channels["a"],
        f"{message_id}-1-{claimed.attempt}",
        S.DELIVERED,
        "DELIVRD",
        "",
        "8613800138000",
        ledger.clock,
    )
    await ledger.outcomes.report(report)
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
