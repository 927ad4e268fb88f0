"""What a restored database sends by itself: nothing that a carrier may have had; and how it is decided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio
from changes import by_test
from databases import admin, owner
from ledger import LANE, NODE, Ledger
from standins import AnyFleet, NoLists

from smsgw.core.errors import Reason, SmsgwError, Temporary
from smsgw.core.model import MessageType, OutcomeKind, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.node import stale_state
from smsgw.platform.backups import restore
from smsgw.platform.backups.restore import Plan, Target
from smsgw.platform.messages import service, undecided
from smsgw.runtime import aio
from smsgw.store.engine import dumps, leases, migrate, nodes, restoring
from smsgw.store.engine.database import MARKED, BeingRestored, Database
from smsgw.store.engine.dumps import DumpError
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import claiming, restored, sweeps

S = PartState


END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'smsgw' AND datname = $1"


async def settled(ledger: Ledger) -> dict[str, int]:
    """What a restore does with the rows, done to those of a test."""
    async with restoring.owned(owner(ledger.dsn)) as connection, connection.transaction():
        done = await restored.settle(connection, ledger.clock)
        await restoring.part_with_the_past(connection, ledger.ids.next())
    return done


class Lists(NoLists):
    def __init__(self, *numbers: str) -> None:
        self.numbers = numbers

    def refusal(self, number: str, account_id: int, type_: MessageType, sign: str) -> Reason | None:
        return ("NUMBER_OPTED_OUT", {}) if number in self.numbers else None


async def decide(
    ledger: Ledger, decision: str, extend: timedelta = timedelta(), lists: NoLists | None = None, **which: object
) -> int:
    of = undecided.which(**which)  # type: ignore[arg-type]
    parts, after = 0, 0
    while True:
        done = await undecided.decide(
            by_test(ledger.database), ledger.outcomes, AnyFleet(), lists or NoLists(), of, decision, after=after,
            extend=extend,
        )  # fmt: skip
        parts += done.parts
        if done.after is None:
            return parts
        after = done.after


async def numbers(ledger: Ledger, within: timedelta = timedelta(days=9)) -> list[undecided.Undecided]:
    return await undecided.numbers(ledger.database, by_test(ledger.database).actor, undecided.which(), within)


@pytest_asyncio.fixture
async def each(ledger: Ledger) -> AsyncIterator[dict[PartState, int]]:
    """A message in each state, as a backup finds them."""
    found: dict[PartState, int] = {}
    for state in (S.DEFERRED, S.SENDING, S.SENT, S.UNKNOWN, S.DELIVERED):
        found[state] = await ledger.accept()
    claimed = {one.id: one for one in await ledger.claim()}
    await ledger.answer(OutcomeKind.DEFERRED, claimed[found[S.DEFERRED]])
    await ledger.answer(OutcomeKind.UNKNOWN, claimed[found[S.UNKNOWN]], policy=UnknownPolicy.RESEND)
    await ledger.answer(OutcomeKind.ACCEPTED, claimed[found[S.SENT]], claimed[found[S.DELIVERED]])
    await ledger.connection.execute("UPDATE part SET state = 40, final_at = now() WHERE id = $1", found[S.DELIVERED])
    found[S.QUEUED] = await ledger.accept(parts=2)
    for state, at in ((S.HELD, None), (S.SCHEDULED, -1)):
        found[state] = await ledger.accept(state=state)
        if at is not None:
            await ledger.connection.execute(
                "UPDATE part SET next_at = $2 WHERE id = $1", found[state], ledger.clock + timedelta(hours=at)
            )
    yield found


async def test_nothing_that_may_have_been_sent_is_sent(ledger: Ledger, each: dict[PartState, int]) -> None:
    later = await ledger.accept(state=S.SCHEDULED)
    await ledger.connection.execute(
        "UPDATE part SET next_at = $2 WHERE id = $1", later, ledger.clock + timedelta(hours=1)
    )
    done = await settled(ledger)
    ledger.leases.clear()
    assert done == {
        f"RESTORED_{what}": n
        for what, n in {"HELD": 1, "SCHEDULED": 1, "QUEUED": 2, "DEFERRED": 1, "CLAIMED": 1, "UNCERTAIN": 1}.items()
    }
    for state, id_ in each.items():
        assert set(await ledger.states(id_)) == {state if state in (S.SENT, S.DELIVERED) else S.UNKNOWN}
    assert await ledger.state(later) == S.SCHEDULED
    resent = await ledger.connection.fetchval("SELECT resent FROM part WHERE id = $1", each[S.SENT])
    assert resent == 1, "a failure that is reported later is not tried again"
    ledger.later(days=30)
    assert await ledger.claim() == []
    fence = await ledger.fence()
    assert await claiming.claim_deferred(ledger.connection, fence, now=ledger.clock, limit=100, oldest=0) == []
    assert await sweeps.resolve_unknown(ledger.connection, ledger.clock, 0) == [], "no policy decides"
    assert [row["id"] for row in await sweeps.release_scheduled(ledger.connection, ledger.clock, 0)] == [later]


async def test_no_epoch_comes_again_and_nobody_owns_anything(ledger: Ledger) -> None:
    before = await leases.acquire(ledger.database, "channel/9", NODE)
    await settled(ledger)
    assert await leases.renew(ledger.database, [before]) == [before], "it is over"
    after = await leases.acquire(ledger.database, "channel/9", NODE + 1)
    assert after.epoch - before.epoch > 10**8


async def test_they_are_sent_again_whole_and_once(ledger: Ledger, each: dict[PartState, int]) -> None:
    await settled(ledger)
    ledger.leases.clear()
    lines = await numbers(ledger)
    assert {one.was: (one.parts, one.messages) for one in lines} == {
        "held": (1, 1), "scheduled": (1, 1), "queued": (2, 1), "deferred": (1, 1), "claimed": (1, 1),
        "uncertain": (1, 1)}  # fmt: skip
    assert await decide(ledger, "resend", account="nobody") == 0
    assert await decide(ledger, "resend", lanes=["marketing" if LANE != 3 else "otp"]) == 0
    assert await decide(ledger, "resend", was=["queued"]) == 2
    assert await decide(ledger, "resend") == 4, "but for the one that waited for a reviewer"
    assert await decide(ledger, "resend") == 0
    again = await ledger.claim()
    assert sorted(one.id for one in again) == sorted(
        [each[S.QUEUED], *(each[one] for one in (S.QUEUED, S.SCHEDULED, S.DEFERRED, S.SENDING, S.UNKNOWN))]
    )
    assert await ledger.state(each[S.HELD]) == S.UNKNOWN
    await ledger.answer(OutcomeKind.ACCEPTED, *again)
    assert {s for id_ in each.values() for s in await ledger.states(id_)} == {S.SENT, S.DELIVERED, S.UNKNOWN}
    assert await decide(ledger, "expired") == 1


async def test_what_is_over_is_sent_only_where_it_is_said(ledger: Ledger) -> None:
    id_ = await ledger.accept(valid=timedelta(hours=1))
    await settled(ledger)
    for within, too_old in ((9, 0), (-1, 1)):
        assert [one.too_old for one in await numbers(ledger, timedelta(days=within))] == [too_old]
    ledger.later(hours=2)
    assert await decide(ledger, "resend") == 0
    assert await decide(ledger, "resend", extend=timedelta(hours=1)) == 1
    assert await ledger.state(id_) == S.QUEUED


async def test_what_waited_for_its_account_or_its_task_may_be_sent(ledger: Ledger) -> None:
    held = {why: await ledger.accept(state=S.HELD) for why in ("account", "task")}
    for why, id_ in held.items():
        await ledger.connection.execute("UPDATE part SET held_for = $2 WHERE id = $1", id_, why)
    assert await settled(ledger) == {"RESTORED_STOPPED": 1, "RESTORED_PAUSED": 1}
    assert await settled(ledger) == {"RESTORED_STOPPED": 1, "RESTORED_PAUSED": 1}, "again it is the same"
    assert await decide(ledger, "resend") == 2
    assert await ledger.connection.fetchval("SELECT count(*) FROM part WHERE held_for IS NOT NULL") == 0


async def test_whoever_has_opted_out_since_is_left_alone(ledger: Ledger) -> None:
    out, other = await ledger.accept(), await ledger.accept()
    await ledger.connection.execute("UPDATE message SET number = '8613800000000' WHERE id = $1", out)
    await settled(ledger)
    assert await decide(ledger, "resend", lists=Lists("8613800000000")) == 1
    assert (await ledger.state(out), await ledger.state(other)) == (S.UNKNOWN, S.QUEUED)
    assert [one.parts for one in await numbers(ledger)] == [1]


async def test_one_by_one_it_is_refused_in_words(ledger: Ledger) -> None:
    id_ = await ledger.accept()
    await settled(ledger)
    with pytest.raises(SmsgwError, match="unknown restored"):
        await service.resolve(by_test(ledger.database), ledger.outcomes, id_, 0, "resend")
    assert await service.resolve(by_test(ledger.database), ledger.outcomes, id_, 0, "unconfirmed") == 1


async def test_codes_of_links_are_given_to_nobody_again(ledger: Ledger) -> None:
    made = """INSERT INTO short_link (account_id, name, kind, origin, domain, serial, codes, used, target, state,
        passed, made_by) VALUES ($1, 'l', $2, 'api', 'l.example', $3, $4, $5, 'https://x.example/', 'active', 1, 't')
        RETURNING id"""
    personal = await ledger.connection.fetchval(made, ledger.account_id, "personal", 10, 100, 7)
    await ledger.connection.fetchval(made, ledger.account_id, "shared", 200, 1, 0)
    assert await settled(ledger) == {"links_used_up": 1}
    assert await ledger.connection.fetchval("SELECT used FROM short_link WHERE id = $1", personal) == 100


async def test_what_was_never_sent_is_paid_back_and_what_may_have_been_is_not(ledger: Ledger) -> None:
    before = await ledger.balance()
    never, may = await ledger.accept(), await ledger.accept(state=S.HELD)
    await settled(ledger)
    assert await decide(ledger, "expired", was=["queued"]) == 1
    assert await decide(ledger, "unconfirmed") == 1
    assert (await ledger.state(never), await ledger.state(may)) == (S.EXPIRED, S.UNCONFIRMED)
    assert await ledger.events() == ["expired", "unconfirmed"]
    assert await ledger.balance() == before - 1
    entries = await ledger.connection.fetch("SELECT after->>'decision' AS d FROM audit WHERE action = 'message.decide'")
    assert [row["d"] for row in entries] == ["expired", "unconfirmed"]


async def test_a_step_is_not_the_whole(ledger: Ledger) -> None:
    await ledger.store(*(ledger.call(messages=700) for _ in range(3)))
    await settled(ledger)
    assert await decide(ledger, "resend", was=["queued"]) == 2100
    await ledger.connection.execute("UPDATE part SET state = 31, code = 'RESTORED_QUEUED'")
    assert await decide(ledger, "unconfirmed") == 2100


async def test_a_spooled_call_from_before_is_entered_undecided(ledger: Ledger) -> None:
    call = restored.doubted(ledger.call(parts=2), ledger.clock)
    held = restored.doubted(ledger.call(state=S.HELD), ledger.clock)
    await ledger.store(call, held)
    assert await ledger.states(call.batch_id) == [S.UNKNOWN] * 2
    assert {one.was: one.parts for one in await numbers(ledger)} == {"spooled": 2, "held": 1}
    assert await decide(ledger, "unconfirmed", was=["held"]) == 1
    assert await decide(ledger, "resend") == 2
    assert len(await ledger.claim()) == 2


async def test_tasks_jobs_and_chains_rest(ledger: Ledger) -> None:
    task = """INSERT INTO task (id, account_id, name, state, origin, submitter, type, sign, content, ext, extend_code,
        mapping, one_each, review, windows, next_at, self_paused, paused_from)
        VALUES ($1, $2, 't', $3, 'api', 'x', 'notice', '', '', '', '', '{}', 'number', false, '[]', $4, $5, $6)"""
    past, future = ledger.clock - timedelta(hours=1), ledger.clock + timedelta(hours=1)
    for id_, state, at, by_rule, came in (
        (1, "running", None, False, None), (2, "scheduled", past, False, None), (3, "scheduled", future, False, None),
        (4, "paused", None, True, "running"), (5, "importing", None, False, None), (6, "finished", None, False, None),
        (7, "paused", None, False, "running"), (8, "review", future, False, None), (9, "review", past, False, None),
    ):  # fmt: skip
        await ledger.connection.execute(task, id_, ledger.account_id, state, at, by_rule, came)
    await ledger.connection.execute(
        "INSERT INTO job (kind, submitter, expires_at) VALUES ('export', 'x', now() + interval '1 day')"
    )
    await ledger.connection.execute(
        "INSERT INTO fallback_watch (base_id, ids, account_id, chain, hop, reviewed, open, until, look_at) "
        "VALUES (1, '{1}', 1, '{}', 0, false, '{1}', now(), now())"
    )
    done = await settled(ledger)
    assert done == {"tasks_paused": 4, "tasks_failed": 2, "tasks_reviewed": 1, "jobs_failed": 1, "chains_ended": 1}
    rows = await ledger.connection.fetch("SELECT id, state, reason, paused_from, self_paused FROM task ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (1, "paused", "RESTORED", "running", False), (2, "paused", "RESTORED", "scheduled", False),
        (3, "paused", "RESTORED", "scheduled", False), (4, "paused", "RESTORED", "running", False),
        (5, "failed", "RESTORED", None, False), (6, "finished", "", None, False), (7, "paused", "", "running", False),
        (8, "review", "RESTORED", "scheduled", False), (9, "failed", "RESTORED", None, False),
    ]  # fmt: skip


async def test_a_database_that_is_being_restored_is_used_by_nobody(dsn: str, tmp_path: Path) -> None:
    kept = await dumps.dump(owner(dsn), tmp_path / "smsgw-1.dump", migrate.SCHEMA_VERSION, dumps.Written(), 0)
    place = Target(dsn, owner(dsn), None)
    with pytest.raises(SmsgwError, match="空库"):
        await restore.fits(restore.plan(tmp_path / "smsgw-1.dump"), place)
    async with restore.alone(place) as claim:
        await claim.mark(loads=True)
    for use in (migrate.migrate(owner(dsn), application=dsn), migrate.look(dsn, 1)):
        with pytest.raises(BeingRestored, match="run it again"):
            await use
    async with restore.alone(place) as claim:
        with pytest.raises(DumpError, match="no database to be used"):
            await claim.open_parts()
        assert await restore.fits(restore.plan(tmp_path / "smsgw-1.dump"), place), "what an earlier one has left goes"
        assert await restore.load(restore.plan(tmp_path / "smsgw-1.dump"), place, claim, lambda _: None) == 0
        change = by_test(Database(dsn, size=2, unfinished=True))
        await change.database.open()
        done = await restore.settle(
            change, restore.plan(tmp_path / "smsgw-1.dump"), claim, Sealer(bytes(32)), 0.0, 0, lost_key=False
        )
    assert (done.rows, done.tables, done.done) == (sum(kept.counts.values()), len(kept.counts), {})
    assert await migrate.migrate(owner(dsn), application=dsn) == 0
    (entry,) = await change.database.fetch("SELECT after FROM audit WHERE action = 'backup.restore'")
    assert kept.sha256 in entry["after"]
    await change.database.close()


async def test_who_went_on_running_stays_outside(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "_GONE", 1.0)
    place, node = Target(dsn, owner(dsn), None), Database(dsn, size=2)
    await node.open()
    async with restore.alone(place) as claim:
        with pytest.raises(DumpError, match=r"1 other connection.*smsgw"):
            await claim.mark(loads=True)
        assert await node.fetchval("SELECT 1") == 1, "it is as before"
        with pytest.raises(DumpError, match="another restore"):
            async with restore.alone(place):
                """There is one."""
        monkeypatch.setattr(restoring, "_GONE", 60.0)
        marking = aio.spawn(claim.mark(loads=True), name="mark")
        connection = await asyncpg.connect(admin(dsn))
        while not await connection.fetchval(MARKED):  # noqa: ASYNC110 - it is in the database
            await asyncio.sleep(0.05)
        await connection.execute(END, *urlsplit(dsn).path.split("/")[1:])
        await connection.close()
        await marking
        for _ in range(3):
            with pytest.raises(Temporary):
                await node.fetchval("SELECT 1")
        await claim.finish()
        with pytest.raises(DumpError, match="meanwhile"):
            await claim.finish()
    assert await node.fetchval("SELECT 1") == 1
    await node.close()


async def test_what_another_tool_has_put_back_is_settled(dsn: str, tmp_path: Path) -> None:
    await dumps.dump(owner(dsn), tmp_path / "smsgw-1.dump", migrate.SCHEMA_VERSION, dumps.Written(), 0)
    place = Target(dsn, owner(dsn), None)
    async with restore.alone(place) as claim:
        assert await claim.open_parts() == {}
        await restore.take(place, claim, lambda _: None)
    with pytest.raises(SmsgwError, match="空库"):  # broken off: what is there is worth something
        await restore.fits(restore.plan(tmp_path / "smsgw-1.dump"), place)
    async with restore.alone(place) as claim:
        await claim.open_parts()
        await restore.take(place, claim, lambda _: None)
        change = by_test(Database(dsn, size=2, unfinished=True))
        await change.database.open()
        await restore.settle(change, None, claim, Sealer(bytes(32)), 0.0, 0, lost_key=False)
        await change.database.close()
    used = Database(dsn, size=2)
    await used.open()
    assert len(await restoring.life(used)) == 32
    await used.close()


async def test_a_spool_that_was_carried_here_is_doubted(ledger: Ledger, tmp_path: Path) -> None:
    who = nodes.identity(tmp_path)
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "000000000003.spool").touch()
    await stale_state.part_with(ledger.database, who)
    assert not list((tmp_path / "spool").glob("*.restored")), "the database was never restored"
    await ledger.connection.execute(
        "INSERT INTO restoration (life, file, sha256, host, made_by, seconds, done) "
        "VALUES ($1, '', '', '', '', 0, '{}')", "a" * 32)  # fmt: skip
    await stale_state.part_with(ledger.database, who)
    assert [one.name for one in (tmp_path / "spool").glob("*.restored")] == ["000000000003.restored"]
    assert nodes.identity(tmp_path).life == "a" * 32


async def test_another_key_file_is_found_before_anything_is_loaded(dsn: str, tmp_path: Path) -> None:
    sealer, file = Sealer(bytes(32)), tmp_path / "smsgw-1.dump"
    kept = await dumps.dump(owner(dsn), file, migrate.SCHEMA_VERSION, dumps.Written(), 0)
    restore.opens(Plan(file, kept), sealer)  # nothing was signed yet: it does not say
    restore.opens(Plan(file, replace(kept, key=sealer.ids[0])), sealer)
    with pytest.raises(SmsgwError, match="旧的密钥文件"):
        restore.opens(Plan(file, replace(kept, key="another")), sealer)


async def test_other_contents_are_found_though_there_are_as_many_rows(dsn: str, tmp_path: Path) -> None:
    kept = await dumps.dump(owner(dsn), tmp_path / "smsgw-1.dump", migrate.SCHEMA_VERSION, dumps.Written(), 0)
    connection = await asyncpg.connect(owner(dsn))
    async with connection.transaction():
        assert dumps.differing(kept, await dumps.held(connection)) == {}
    await connection.execute("UPDATE pool SET name = 'other' WHERE name = 'CBN'")
    async with connection.transaction():
        assert dumps.differing(kept, await dumps.held(connection))["public.pool"] == "other contents"
    await connection.close()
