"""Messages that wait follow an account or a signature that is given to another channel, and leave a channel that is
gone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from changes import by_test
from ledger import LANE, POOL, Ledger
from standins import NoComplaints

from smsgw.core.model import OutcomeKind
from smsgw.core.states import PartState
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.upkeep import failover, rerouting
from smsgw.pipeline.upkeep.maintenance import Maintenance
from smsgw.platform.routing import service as routing
from smsgw.runtime.config import Config
from smsgw.store.config import routes
from smsgw.store.config.channels import load_pools
from smsgw.store.engine.database import connect
from smsgw.store.messages import claiming, holding, rerouting as store, sweeps

S = PartState
OWN = {"pool": [{"name": "own", "channels": ["b"]}], "rule": [{"name": "all", "account": ["shop"], "pool": "own"}]}


async def where(ledger: Ledger) -> dict[int, set[str]]:
    rows = await ledger.connection.fetch("SELECT p.id, o.name FROM part p JOIN pool o ON o.id = p.pool_id")
    pools: dict[int, set[str]] = {}
    for row in rows:
        pools.setdefault(row["id"], set()).add(row["name"])
    return pools


async def follow(ledger: Ledger) -> rerouting.Followed:
    table, pools = await routes.load(ledger.database), await load_pools(ledger.database)
    return await rerouting.follow_queued(ledger.database, table, pools)


async def test_what_is_queued_follows_a_move_and_comes_back_with_its_pool(
    ledger: Ledger, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_QUEUED", store._QUEUED.replace("LIMIT 1000", "LIMIT 3"))
    monkeypatch.setattr(rerouting, "STEP", 3)
    mine = [await ledger.accept(parts=1 + n % 2) for n in range(10)]
    taken = await ledger.accept()
    await ledger.connection.execute("UPDATE part SET state = 20 WHERE id = $1", taken)
    theirs = await ledger.accept()
    await ledger.connection.execute("UPDATE message SET sign = '别家' WHERE id = $1", theirs)
    await ledger.connection.execute("UPDATE message SET sign = '小店' WHERE id <> $1", theirs)
    assert await follow(ledger) == rerouting.Followed()
    await routing.move(by_test(ledger.database), "sign", "小店", "b", "")
    busy = await connect(dsn)
    transaction = busy.transaction()
    await transaction.start()
    await busy.execute("SELECT 1 FROM part WHERE id = $1 FOR UPDATE", mine[0])
    assert await follow(ledger) == rerouting.Followed(9, 1)
    await transaction.rollback()
    await busy.close()
    assert await follow(ledger) == rerouting.Followed(1, 0)
    assert await follow(ledger) == rerouting.Followed()
    assert await where(ledger) == {**{i: {"only-b"} for i in mine}, taken: {"CMCC"}, theirs: {"CMCC"}}
    # The account as a whole is of another mind: its rule comes first.
    await routing.move(by_test(ledger.database), "account", "shop", "a", "")
    assert await follow(ledger) == rerouting.Followed(11, 0)
    assert (await where(ledger))[theirs] == {"only-a"}
    # Without the rules their pools are no more: nothing stays where nobody looks.
    await routing.rollback(by_test(ledger.database), 0)
    assert await follow(ledger) == rerouting.Followed(11, 0)
    assert set().union(*(await where(ledger)).values()) == {"CMCC"}
    kinds = await ledger.connection.fetch("SELECT kind FROM event WHERE id = $1", mine[1])
    assert [row["kind"] for row in kinds] == ["rerouted"] * 3


async def test_a_new_table_leaves_the_others_where_they_are(ledger: Ledger) -> None:
    message_id = await ledger.accept()
    await routing.publish(by_test(ledger.database), OWN, "")
    assert await follow(ledger) == rerouting.Followed()
    assert await where(ledger) == {message_id: {"CMCC"}}


@pytest.mark.parametrize("state", [S.SCHEDULED, S.HELD])
async def test_what_waits_for_something_follows_when_it_is_released(ledger: Ledger, state: PartState) -> None:
    message_id = await ledger.accept(parts=2, state=state)
    await ledger.connection.execute("UPDATE part SET next_at = now(), held_for = 'account'")
    await routing.move(by_test(ledger.database), "account", "shop", "b", "")
    assert await follow(ledger) == rerouting.Followed()
    table, pools = await routes.load(ledger.database), await load_pools(ledger.database)
    now = datetime.now(UTC)
    if state is S.SCHEDULED:
        rows = await sweeps.release_scheduled(ledger.connection, now, 0)
        ids = sorted({row["id"] for row in rows})
    else:
        rows = await holding.resume(ledger.connection, ledger.account_id, now, 0)
        ids = [id_ for row in rows for id_ in row["ids"]]
    assert ids == [message_id]
    wanted, moved = await rerouting.follow(ledger.connection, table, pools, ids, now)
    assert (wanted, {(r["pool_id"], r["part"]) for r in moved}) == (1, {(pools["only-b"], n) for n in (1, 2)})
    assert await where(ledger) == {message_id: {"only-b"}}


async def in_force(ledger: Ledger) -> None:
    table, pools = await routes.load(ledger.database), await load_pools(ledger.database)
    ledger.snapshots.change(table=table, pools=pools)


async def test_what_a_dying_channel_gives_back_follows_its_account(ledger: Ledger) -> None:
    message_id = await ledger.accept(parts=2)
    claimed = await ledger.claim("a")
    await routing.move(by_test(ledger.database), "account", "shop", "b", "")
    await in_force(ledger)
    assert await follow(ledger) == rerouting.Followed(), "its channel has it in hand"
    await ledger.answer(OutcomeKind.UNSENT, *claimed)
    assert await ledger.states(message_id) == [S.QUEUED, S.QUEUED]
    assert await where(ledger) == {message_id: {"only-b"}}


@pytest.mark.parametrize("kind", ["account", "sign"])
@pytest.mark.parametrize("served", [True, False])
async def test_what_waited_for_a_gone_channel_follows_its_account(ledger: Ledger, kind: str, served: bool) -> None:
    message_id, theirs = await ledger.accept(), await ledger.accept()
    await ledger.connection.execute("UPDATE message SET sign = '别家' WHERE id = $1", theirs)
    await ledger.connection.execute("UPDATE message SET sign = '小店' WHERE id = $1", message_id)
    await ledger.answer(OutcomeKind.DEFERRED, *await ledger.claim("a"))
    await ledger.connection.execute("UPDATE part SET class = 'FREQ_CARRIER'")
    await routing.move(by_test(ledger.database), kind, "小店" if kind == "sign" else "shop", "b", "")
    await in_force(ledger)
    gone, b = {ledger.channels["a"]}, ledger.channels["b"]
    own = ledger.snapshots.current.pools["only-b"]
    serving = [(own, b), *([(POOL, b)] if served else [])]
    queues = await failover.free(ledger.outcomes, ledger.snapshots.current, gone, serving)
    assert (own, LANE) in queues
    assert await ledger.state(message_id) is S.QUEUED
    found = await where(ledger)
    assert found[message_id] == {"only-b"}
    assert found[theirs] == ({"only-b"} if kind == "account" else {"CMCC"})
    assert await ledger.state(theirs) is S.QUEUED


async def test_what_waits_for_a_channel_of_a_pool_that_is_no_more_goes_by_the_rules_again(ledger: Ledger) -> None:
    await routing.move(by_test(ledger.database), "account", "shop", "a", "")
    message_id = await ledger.accept()
    assert (await follow(ledger)).moved == 1
    await in_force(ledger)
    own = ledger.snapshots.current.pools["only-a"]
    claimed = await claiming.claim(ledger.connection, await ledger.fence("a"), limit=10, queues=[(own, LANE)], oldest=0)
    await ledger.answer(OutcomeKind.DEFERRED, *claimed)
    await ledger.connection.execute("UPDATE part SET class = 'FREQ_CARRIER'")
    await routing.restore(by_test(ledger.database), "account", "shop", "")
    await in_force(ledger)
    serving = [(POOL, ledger.channels["b"])]
    await failover.free(ledger.outcomes, ledger.snapshots.current, {ledger.channels["a"]}, serving)
    assert await ledger.state(message_id) is S.QUEUED
    assert await where(ledger) == {message_id: {"CMCC"}}


async def test_what_is_accepted_for_a_pool_that_is_no_more_is_led_on_by_and_by(ledger: Ledger) -> None:
    """Another node, or a spool, may know the table of before for a while."""
    await routing.publish(by_test(ledger.database), OWN, "")
    own = (await load_pools(ledger.database))["own"]
    await routing.rollback(by_test(ledger.database), 0)
    await in_force(ledger)
    late, other = await ledger.accept(), await ledger.accept()
    await ledger.connection.execute("UPDATE part SET pool_id = $1 WHERE id = $2", own, late)
    upkeep = Maintenance(
        ledger.database, ledger.outcomes, ledger.snapshots, ledger.hub, ledger.ids, Config(),
        Fleet(ledger.snapshots, NoComplaints()),
    )  # fmt: skip
    work = {one.name: one for one in upkeep.periodics()}
    assert work["follow"].every <= 30
    await work["follow"].step()
    assert await where(ledger) == {late: {"CMCC"}, other: {"CMCC"}}


async def free(ledger: Ledger, *, gone: str = "a", well: str = "b") -> set[tuple[int, int]]:
    serving = [(POOL, ledger.channels[name]) for name in well]
    return await failover.free(ledger.outcomes, ledger.snapshots.current, {ledger.channels[gone]}, serving)


async def states(ledger: Ledger, message_id: int) -> list[tuple[PartState, int | None]]:
    rows = await ledger.connection.fetch("SELECT state, channel_id FROM part WHERE id = $1 ORDER BY part", message_id)
    return [(S(row["state"]), row["channel_id"]) for row in rows]


async def test_what_a_channel_had_deferred_is_taken_by_another(ledger: Ledger) -> None:
    message_id = await ledger.accept()
    claimed = await ledger.claim()
    await ledger.answer(OutcomeKind.DEFERRED, *claimed)
    assert await states(ledger, message_id) == [(S.DEFERRED, ledger.channels["a"])]
    assert await free(ledger, gone="b", well="a") == set(), "its channel is well"
    await ledger.connection.execute("UPDATE part SET class = 'FREQ_CARRIER'")
    assert await free(ledger, well="") == set(), "there is no other"
    assert await free(ledger) == {(POOL, LANE)}
    assert await states(ledger, message_id) == [(S.QUEUED, None)]
    assert [c.id for c in await ledger.claim("b")] == [message_id]


async def test_a_wait_that_the_retry_table_has_set_is_kept(ledger: Ledger) -> None:
    message_id = await ledger.accept()
    await ledger.answer(OutcomeKind.DEFERRED, *await ledger.claim())
    await ledger.connection.execute("UPDATE part SET class = 'PHONE', next_at = now() + interval '1 hour'")
    await free(ledger)
    assert await states(ledger, message_id) == [(S.DEFERRED, None)]


async def test_a_message_stays_when_a_part_of_it_was_taken_or_sent_twice(ledger: Ledger) -> None:
    partly = await ledger.accept(parts=2)
    one, two = await ledger.claim()
    await ledger.answer(OutcomeKind.ACCEPTED, one)
    await ledger.answer(OutcomeKind.DEFERRED, two)
    twice = await ledger.accept()
    await ledger.answer(OutcomeKind.DEFERRED, *await ledger.claim())
    await ledger.connection.execute("UPDATE part SET resent = 1 WHERE id = $1", twice)
    await ledger.connection.execute("UPDATE part SET class = 'FREQ_CARRIER' WHERE state = 11")
    assert await free(ledger) == set()
    a = ledger.channels["a"]
    assert await states(ledger, partly) == [(S.SENT, a), (S.DEFERRED, a)]
    assert await states(ledger, twice) == [(S.DEFERRED, a)]


async def test_a_channel_that_has_failed_is_better_than_none(ledger: Ledger) -> None:
    message_id = await ledger.accept()
    await ledger.connection.execute("UPDATE part SET avoid_channels = $1", [ledger.channels["a"]])
    assert await free(ledger, gone="b", well="ab") == set(), "another one may take it"
    assert await ledger.claim() == []
    assert await free(ledger, gone="b", well="a") == {(POOL, LANE)}
    assert [c.id for c in await ledger.claim()] == [message_id]
