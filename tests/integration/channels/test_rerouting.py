"""Queued, held and scheduled messages follow an account or a signature that is given to another channel."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from changes import by_test
from ledger import Ledger

from smsgw.core.states import PartState
from smsgw.pipeline.upkeep import rerouting
from smsgw.platform.routing import service as routing
from smsgw.store.config import routes
from smsgw.store.config.channels import load_pools
from smsgw.store.engine.database import connect
from smsgw.store.messages import holding, sweeps
from smsgw.store.messages import rerouting as store

S = PartState


async def where(ledger: Ledger) -> dict[int, set[str]]:
    """Message -> the pools of its parts."""
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
    document = {
        "pool": [{"name": "own", "channels": ["b"]}],
        "rule": [{"name": "all", "account": ["shop"], "pool": "own"}],
    }
    await routing.publish(by_test(ledger.database), document, "")
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
    assert (wanted, {(r["pool_id"], r["part"]) for r in moved}) == (
        1,
        {(pools["only-b"], 1), (pools["only-b"], 2)},
    )
    assert await where(ledger) == {message_id: {"only-b"}}
