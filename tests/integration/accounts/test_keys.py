"""Keys: rotation, expiry, addresses, what is written of their use, and addresses that fail too often."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from api_server import BASE, Api
from changes import by_test

from smsgw.api.context import FREE_REFUSALS
from smsgw.core.actor import Actor, ActorKind, Scope
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.keys import queries, service as keys
from smsgw.platform.keys.model import NewKey
from smsgw.runtime import aio, tarpit
from smsgw.store.config import keys as keys_store

PATH = BASE + "/balance"


async def codes(api: Api, key: NewKey) -> tuple[str, str]:
    signed = await api.send("GET", PATH, headers=api.signed("GET", PATH, key=key))
    return signed.code, (await api.get("/balance", key=key)).code


async def test_both_secrets_are_good_until_the_old_one_is_retired(api: Api) -> None:
    old = api.key
    new = await keys.rotate(by_test(api.ctx.db), api.sealer, old.key_id)
    await api.ctx.snapshots.follow()
    assert new.key_id == old.key_id
    assert await codes(api, old) == await codes(api, new) == ("OK", "OK")
    with pytest.raises(Invalid, match="轮换"):
        await keys.rotate(by_test(api.ctx.db), api.sealer, old.key_id)
    await keys.retire(by_test(api.ctx.db), old.key_id)
    await api.ctx.snapshots.follow()
    assert await codes(api, new) == ("OK", "OK")
    assert await codes(api, old) == ("AUTH_SIGNATURE_INVALID", "AUTH_KEY_INVALID")
    with pytest.raises(Invalid, match="没有待停用"):
        await keys.retire(by_test(api.ctx.db), old.key_id)
    again = await keys.rotate(by_test(api.ctx.db), api.sealer, old.key_id)
    await api.ctx.snapshots.follow()
    assert await codes(api, again) == await codes(api, new) == ("OK", "OK")


async def change(api: Api, **changes: object) -> str:
    await keys.edit(by_test(api.ctx.db), api.key.key_id, changes)
    await api.ctx.snapshots.follow()
    return (await api.get("/balance")).code


async def test_what_a_key_may_do_is_changed(api: Api) -> None:
    assert await change(api, scopes=("send",)) == "SCOPE_DENIED"
    assert await change(api, scopes=("balance",), ip_allow=(ip_network("10.0.0.0/8"),)) == "AUTH_IP_DENIED"
    assert await change(api, ip_allow=(ip_network("127.0.0.0/8"),)) == "OK"
    assert await change(api, expires_at=datetime.now(UTC) - timedelta(seconds=1)) == "AUTH_KEY_INVALID"
    assert await change(api, expires_at=None) == "OK"
    assert await change(api, status="stopped") == "AUTH_KEY_INVALID"
    assert await change(api, status="active") == "OK"
    for wrong in ({"scopes": ("all",)}, {"requests_per_second": 0}):
        with pytest.raises(Invalid):
            await keys.edit(by_test(api.ctx.db), api.key.key_id, wrong)
    audited = await api.ctx.db.fetchval("SELECT count(*) FROM audit WHERE action = 'key.set'")
    assert audited == 7


async def test_a_key_is_let_do_no_more_than_who_makes_it_beyond_the_account(api: Api) -> None:
    """Nor is the secret of such a key got by rotating it."""
    account_id = await api.ctx.db.fetchval("SELECT account_id FROM api_key LIMIT 1")
    person = Actor(ActorKind.PERSON, "dev", 3, frozenset({Permission.KEY_EDIT}), Scope((account_id,)))
    dev = Change(api.ctx.db, person)
    strong = await keys.add(by_test(api.ctx.db), api.sealer, account_id, scopes=("send", "admin"))
    for attempt in (
        keys.add(dev, api.sealer, account_id, scopes=("send", "admin")),
        keys.add(dev, api.sealer, account_id, scopes=("emergency",)),
        keys.edit(dev, api.key.key_id, {"scopes": ("send", "emergency")}),
        keys.rotate(dev, api.sealer, strong.key_id),
    ):
        with pytest.raises(Refused) as refused:
            await attempt
        assert refused.value.code == "GRANT_EXCEEDED"
    await keys.add(dev, api.sealer, account_id, scopes=("send", "query"))
    await keys.edit(dev, strong.key_id, {"status": "stopped"})


async def test_when_and_from_where_a_key_was_used(api: Api) -> None:
    await asyncio.gather(*(api.get("/balance") for _ in range(20)))
    used = {k: (datetime.fromtimestamp(at, UTC), ip) for k, (at, ip) in api.ctx.used_keys.items()}
    assert used.keys() == {api.key.key_id}
    await keys_store.note_used(api.ctx.db, used)
    older = {api.key.key_id: (datetime(2024, 1, 1, tzinfo=UTC), "10.0.0.1")}
    await keys_store.note_used(api.ctx.db, older)  # another node's, from before
    (line,) = await queries.keys(api.ctx.db)
    assert line["last_used_ip"] == "127.0.0.1"
    assert datetime.now(UTC) - line["last_used_at"] < timedelta(minutes=1)
    assert not {"secret", "secrets_sealed", "bearer_sha256"} & line.keys()


@pytest.mark.usefixtures("hurried")
async def test_an_address_that_fails_too_often_is_slowed_and_good_calls_from_there_are_not(api: Api) -> None:
    headers = {"Authorization": "Bearer smk_live_wrong"}
    answers = [await api.send("GET", PATH, headers=headers) for _ in range(40)]
    assert [a.status for a in answers[:30]] == [401] * 30
    assert {a.status for a in answers[35:]} == {429}
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert (await api.get("/balance")).status == 200
    wrong = api.signed("GET", PATH, secret="not it")
    assert (await api.send("GET", PATH, headers=wrong)).status == 429
    assert (await api.send("GET", PATH, headers=api.signed("GET", PATH))).status == 200


async def test_who_is_wrong_over_and_over_is_told_so_later_and_good_calls_from_there_are_answered(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tarpit, "SECONDS", 8.0)
    wrong, begun = {"Authorization": "Bearer smk_live_wrong"}, time.monotonic()
    free = int(tarpit.FREE.at_once)
    calls = [aio.spawn(api.send("GET", PATH, headers=wrong), name="wrong") for _ in range(free + 1)]
    async with asyncio.timeout(60):
        while sum(call.done() for call in calls) < free:  # noqa: ASYNC110 - whichever they are
            await asyncio.sleep(0.01)
        assert (await api.get("/balance")).status == 200
        assert [call.done() for call in calls].count(False) == 1, "and one of them has an answer"
        assert {answer.status for answer in await asyncio.gather(*calls)} <= {401, 429}
    assert time.monotonic() - begun > 7.9


async def test_who_is_refused_over_and_over_is_told_so_later_and_its_good_calls_are_answered(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tarpit, "SECONDS", 8.0)
    pit = api.ctx.refusals
    free, begun = int(FREE_REFUSALS.at_once), time.monotonic()
    for n in range(free + 1000):
        if pit.held:
            break
        spawned = aio.spawn(api.get("/messages?limit=wrong"), name=f"wrong{n}")
        if n < free:
            assert (await spawned).status == 400
        else:  # one more may be free by the time that has passed
            await asyncio.wait({spawned}, timeout=0.05)
    assert pit.held == 1
    assert (await api.get("/balance")).status == 200
    assert not spawned.done()
    assert (await spawned).status == 400
    assert time.monotonic() - begun > 7.9
    assert not pit.held
