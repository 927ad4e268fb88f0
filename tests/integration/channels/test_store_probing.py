"""Probes: when a channel gets one, what it costs and tells, and the verdict."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from ledger import Ledger, carrier_id

from smsgw.channels import profiles
from smsgw.channels.probing import AGAIN_AFTER_FAILURE, REPORT_PATIENCE, VALID, Probing
from smsgw.channels.profiles import Profile
from smsgw.core.errors import Invalid
from smsgw.core.model import PROBE_ACCOUNT, ChannelSpec, Claimed, OutcomeKind, Report
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes.writer import Sweep
from smsgw.store.messages import claiming, sweeps

S, K = PartState, OutcomeKind
WEEK = timedelta(days=7)


@dataclass
class Seen:
    spec: ChannelSpec
    profile: Profile
    delivered_at: float = float("-inf")
    well: bool = True
    looked: int = 0

    def healthy(self) -> bool:
        return self.well

    def look_for_deferred(self) -> None:
        self.looked += 1


EXPIRE = Sweep(lambda connection, now: sweeps.expire(connection, now, 0))


class Trier:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        profile = {"probe_number": "13900000000"}
        spec = ChannelSpec(
            id=ledger.channels["a"], name="a", protocol="cmpp20", host="h", port=1, username="u", password="p",
            access_code="1069", profile=profile,
        )  # fmt: skip
        self.channel = Seen(spec, profiles.parse(profile))
        self.probing = Probing(ledger.database, ledger.ids, lambda: ledger.clock)

    async def look(self) -> tuple[str, str]:
        await self.probing.follow()
        await self.probing.step([self.channel])  # type: ignore[list-item]
        await self.probing.follow()
        return self.probing.verdict(self.channel.spec)

    async def claimed(self) -> list[Claimed]:
        fence = await self.ledger.fence("a")
        await self.ledger.connection.execute("UPDATE part SET next_at = now() WHERE state = 11")
        return await claiming.claim_deferred(self.ledger.connection, fence, now=datetime.now(UTC), limit=10, oldest=0)

    async def delivered(self, state: S = S.DELIVERED) -> None:
        (claimed,) = await self.claimed()
        await self.ledger.answer(K.ACCEPTED, claimed)
        told = state, state.name, "", claimed.number, self.ledger.clock
        await self.ledger.outcomes.report(Report(self.channel.spec.id, carrier_id(claimed), *told))


async def test_a_probe_is_for_its_channel_and_costs_and_tells_nobody_anything(ledger: Ledger) -> None:
    trier = Trier(ledger)
    money = await ledger.balance()
    assert await trier.look() == ("under way", "")
    assert trier.channel.looked == 1
    assert await ledger.claim("b") == []
    fence = await ledger.fence("b")
    now = datetime.now(UTC)
    assert await claiming.claim_deferred(ledger.connection, fence, now=now, limit=10, oldest=0) == []
    with pytest.raises(Invalid, match="上一次探测"):
        await trier.probing.send(trier.channel, "13900000000")  # type: ignore[arg-type]
    await trier.delivered()
    assert await trier.look() == ("ok", "")
    assert (await ledger.events(), await ledger.balance()) == ([], money)
    counted = await ledger.connection.fetch("SELECT account_id, metric FROM stat_minute ORDER BY metric")
    assert [tuple(row) for row in counted] == [(PROBE_ACCOUNT, "probe_delivered"), (PROBE_ACCOUNT, "probe_submitted")]
    with pytest.raises(asyncpg.CheckViolationError):
        await ledger.connection.execute("UPDATE message SET price = 1 WHERE account_id = -2")


async def test_it_is_due_after_a_week_without_a_delivery(ledger: Ledger) -> None:
    trier = Trier(ledger)
    trier.channel.well = False
    assert await trier.look() == ("", "")  # not logged in: another alarm says so
    trier.channel.well = True
    await trier.look()
    await trier.delivered()
    await trier.look()
    ledger.clock += WEEK - timedelta(seconds=1)
    await trier.look()
    assert await trier.claimed() == []
    ledger.clock += timedelta(seconds=1)
    assert await trier.look() == ("ok", "")  # the verdict stands while the next probe is under way
    assert len(await trier.claimed()) == 1


async def test_failures_are_tried_again_soon_and_forgotten_with_the_next_delivery(ledger: Ledger) -> None:
    trier = Trier(ledger)
    await trier.look()
    await trier.delivered(S.UNDELIVERABLE)
    assert await trier.look() == ("failed", "undeliverable UNDELIVERABLE")
    ledger.clock += timedelta(seconds=AGAIN_AFTER_FAILURE)
    assert (await trier.look())[0] == "failed"
    (claimed,) = await trier.claimed()
    await ledger.answer(K.ACCEPTED, claimed)
    ledger.clock += REPORT_PATIENCE + timedelta(seconds=1)
    assert await trier.look() == ("failed", "no report in 10 min")
    ledger.clock += timedelta(seconds=10)
    trier.channel.delivered_at = asyncio.get_running_loop().time()  # of some other message
    assert await trier.look() == ("ok", "delivers again")


@pytest.mark.parametrize(
    ("answer", "verdict"), [(K.UNSENT, ("", "not written")), (K.DEFERRED, ("failed", "expired x"))]
)
async def test_what_is_not_taken_in_time_has_failed_if_it_was_written(
    ledger: Ledger, answer: OutcomeKind, verdict: tuple[str, str]
) -> None:
    trier = Trier(ledger)
    await trier.look()
    (claimed,) = await trier.claimed()
    await ledger.answer(answer, claimed)
    assert await ledger.claim("b") == []  # it waits in a pool that nobody pulls from
    ledger.clock += VALID + timedelta(seconds=1)
    assert await trier.look() == verdict
    assert await ledger.state(claimed.id) is S.EXPIRED


async def test_whose_number_was_taken_away_is_not_probed(ledger: Ledger) -> None:
    trier = Trier(ledger)
    await trier.look()
    trier.channel.spec = replace(trier.channel.spec, profile={})
    assert await trier.look() == ("", "")


async def test_a_probe_of_a_channel_that_is_no_more_ends_and_its_day_can_go(ledger: Ledger) -> None:
    """Nobody judges it; an unfinished part would keep the day of all that was sent beside it."""
    trier = Trier(ledger)
    await trier.look()
    other = await ledger.accept()
    await ledger.change("UPDATE channel SET removed_at = now(), desired = 'stopped' WHERE name = 'a'")
    probe = await ledger.connection.fetchval("SELECT message_id FROM channel_probe")
    ledger.later(minutes=4)
    assert await ledger.outcomes.sweep(EXPIRE) == 0
    ledger.later(minutes=2)
    assert await ledger.outcomes.sweep(EXPIRE) == 1
    assert await ledger.state(probe) is S.EXPIRED
    assert await ledger.state(other) is S.QUEUED
    assert await ledger.outcomes.sweep(EXPIRE) == 0
    # One that was given back, and overtaken by another one since.
    await ledger.change(
        "ALTER TABLE part DISABLE TRIGGER USER",
        f"UPDATE part SET state = 10, channel_id = NULL, final_at = NULL WHERE id = {probe}",  # noqa: S608
        "ALTER TABLE part ENABLE TRIGGER USER",
        "UPDATE channel_probe SET message_id = 1",
    )
    assert await ledger.outcomes.sweep(EXPIRE) == 1
    assert await ledger.state(probe) is S.EXPIRED


async def test_a_probe_that_the_sweep_has_ended_says_nothing_about_its_channel(ledger: Ledger) -> None:
    trier = Trier(ledger)
    await trier.look()
    ledger.later(minutes=6)
    assert await ledger.outcomes.sweep(EXPIRE) == 1
    ledger.clock += VALID + timedelta(seconds=1)
    assert await trier.look() == ("", "not written")
