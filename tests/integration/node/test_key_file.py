"""Another key seals stored secrets: in steps, as often as one likes, without anything that does not open meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from changes import by_test

from smsgw.core.actor import Actor, ActorLabel, Author
from smsgw.core.alarm_notes import Way
from smsgw.core.webhooks import Reach
from smsgw.platform.accounts import service as accounts
from smsgw.platform.alarms import receivers
from smsgw.platform.alarms.model import Draft
from smsgw.platform.change import Change
from smsgw.platform.channels import service as channels
from smsgw.platform.key_file import queries as queries_of_keys
from smsgw.platform.key_file import service as key_file
from smsgw.platform.keys import service as keys
from smsgw.platform.links import queries as link_queries
from smsgw.platform.numbers import filters
from smsgw.platform.numbers.vendor import Vendor
from smsgw.platform.org import factors, queries
from smsgw.platform.org import service as org
from smsgw.platform.partners import service as partners
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.store.config import channels as channels_store
from smsgw.store.config import keys as keys_store
from smsgw.store.config import partners as partners_store
from smsgw.store.config import webhooks as webhooks_store
from smsgw.store.engine import resealing
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import KeyFileError, Sealer, load_key
from smsgw.store.records import audit, pseudonyms

OLD, NEW = b"o" * 32, b"n" * 32
SGIP: dict[str, object] = {
    "protocol": "sgip12", "host": "127.0.0.1", "port": 8801, "username": "900001", "password": "channel-pass-word",
    "profile": {"node": 3021000001, "corp_id": "10001", "peer_password": "peer-pass-word"},
}  # fmt: skip


async def _furnish(database: Database, sealer: Sealer) -> list[str]:
    """Something sealed in every place; what must never be seen again."""
    account = await accounts.add(by_test(database), "acme")
    await channels.add(by_test(database), sealer, "unicom", SGIP)
    key = await keys.add(by_test(database), sealer, account)
    await partners.add(by_test(database), sealer, account, "smpp", "shop", "prtnr-pw", {})
    wanted = Wanted(name="main", url="https://hook.example.com/sms", events=("message.report",))
    hook = await webhooks.put(by_test(database), sealer, account, wanted, Reach())
    assert hook is not None
    await org.add_person(Change(database, Actor.operator("test")), "li", "", [], "x")
    person = await queries.person(database, "li")
    assert person is not None
    shared = await factors.begin_totp(Change(database, person.actor()), sealer)
    await database.execute(
        "INSERT INTO brand (draft, certificate, key_sealed) VALUES ('{}', 'chain', $1)",
        sealer.seal("key of the certificate", "brand/1/key"),
    )
    robot = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=robot-key"
    await receivers.add(by_test(database), sealer, Draft("duty", Way.WECOM, robot), Reach())
    vendor = Vendor("https://vendor.example.com/status", "smsgw", "vendor-secret", True, 5)
    await filters.set_vendor(by_test(database), vendor, sealer)
    hashing = await pseudonyms.make_key(database, sealer)
    made = sealer.seal("0c" * 32, link_queries.KEY_CONTEXT)
    await database.execute("INSERT INTO short_link_key (id, sealed) VALUES (1, $1)", made)
    return [
        shared, hashing.hex(), "vendor-secret", "robot-key", "0c" * 32, "channel-pass-word", "peer-pass-word",
        key.secret, key.bearer, "prtnr-pw", hook,
    ]  # fmt: skip


async def _opens(database: Database, sealer: Sealer) -> None:
    (spec,) = [c for c in await channels_store.load_channels(database, sealer) if c.name == "unicom"]
    assert (spec.password, spec.profile["peer_password"]) == ("channel-pass-word", "peer-pass-word")
    assert (await keys_store.load_keys(database, sealer))[0].secrets[0]
    assert (await partners_store.load_partners(database, sealer))[0].password == "prtnr-pw"
    assert (await webhooks_store.load(database, sealer)).endpoints
    assert await pseudonyms.key(database, sealer)
    assert await link_queries.permutation(database, sealer)
    assert (await receivers.opened(database, sealer))[0].address.endswith("key=robot-key")
    bound = await database.fetchrow("SELECT staff_id, secret_sealed FROM staff_totp")
    assert bound is not None
    assert sealer.open(bound["secret_sealed"], f"staff_totp/{bound['staff_id']}")


async def test_secrets_are_sealed_anew_step_by_step(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "PAGE", 1)
    await _furnish(database, Sealer(OLD))
    both = Sealer(NEW, OLD)
    await _opens(database, both)
    dry = await resealing.reseal(database, both, dry=True)
    assert sum(place.changed for place in dry) == 13
    done = await resealing.reseal(database, both)
    assert [(place.values, place.changed, place.stuck) for place in done] == [(1, 1, [])] * 13
    assert sum(place.changed for place in await resealing.reseal(database, both)) == 0
    await _opens(database, Sealer(NEW))


async def test_what_is_changed_meanwhile_stays_and_what_does_not_open_is_named(database: Database) -> None:
    await _furnish(database, Sealer(OLD))
    both = Sealer(NEW, OLD)
    _, update, _ = resealing._PLACES["channels"]
    old = await database.fetchval("SELECT password_sealed FROM channel WHERE name = 'unicom'")
    await channels.edit(by_test(database), both, "unicom", {"password": "channel-pass-word"})
    id_ = await database.fetchval("SELECT id FROM channel WHERE name = 'unicom'")
    assert await database.execute(update, id_, [both.seal("stale", "channel/unicom")], [old]) == "UPDATE 0"
    stuck = await resealing.reseal(database, Sealer(b"x" * 32, NEW))
    assert sorted(context for place in stuck for context in place.stuck)[0].startswith("alarm_receiver/")
    # The channel's password, which was set under the new key, and that of its version.
    assert sum(place.changed for place in stuck) == 2


async def test_every_sealed_column_is_known_to_it(database: Database) -> None:
    """A secret in a place of its own would be lost with the old key."""
    columns = await database.fetch(
        "SELECT table_name || '.' || column_name FROM information_schema.columns"
        " WHERE column_name LIKE '%sealed%' AND table_schema = current_schema()"
    )
    statements = " ".join(str(place) for place in resealing._PLACES.values())
    for (column,) in columns:
        table, _, name = column.partition(".")
        assert f"UPDATE {table} SET {name} =" in statements, column  # noqa: S608


async def test_a_new_key_waits_its_turn_and_takes_it(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "key"
    sealer = load_key(path, create=True)
    audit.use(lambda: sealer)
    await _furnish(database, sealer)
    (old,) = sealer.ids
    new = await key_file.add(by_test(database), path)
    assert sealer.ids == (old, new)
    with pytest.raises(KeyFileError, match=f"no key deadbeef in .*: it has {old}, {new}"):
        await key_file.rotate(by_test(database), path, "deadbeef")
    assert await key_file.rotate(by_test(database), path, old) == old, "it seals already"
    assert await key_file.rotate(by_test(database), path, new) == new
    found = await queries_of_keys.uses(database, sealer)
    assert [(key.id, key.seals) for key in found.keys] == [(new, True), (old, False)]
    assert (found.under_old_keys, found.missing, found.stuck) == (13, [], [])
    done = await key_file.reseal(by_test(database), sealer)
    assert (done.changed, done.of, done.stuck) == (13, 13, [])
    assert (await key_file.reseal(by_test(database), sealer)).changed == 0
    rows = await database.fetch("SELECT action, object FROM audit WHERE action LIKE 'key_file%' ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("key_file.add", f"key/{new}"), ("key_file.rotate", f"key/{new}"), ("key_file.reseal", f"key/{new}"),
    ]  # fmt: skip


async def test_a_key_that_another_node_may_not_have_does_not_seal(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "key"
    (old,) = load_key(path, create=True).ids
    for n in (1, 2):
        await database.execute(
            "INSERT INTO lease (resource, node, epoch, expires_at) VALUES ($1, $2, 1, now() + interval '1 minute')",
            f"node/{n}",
            n,
        )
    with pytest.raises(KeyFileError, match="more nodes than one"):
        await key_file.rotate(by_test(database), path, None)
    assert load_key(path, create=False).ids == (old,)
    new = await key_file.add(by_test(database), path)
    assert await key_file.rotate(by_test(database), path, new) == new


async def test_no_secret_gets_into_the_audit_log(database: Database) -> None:
    sealer = Sealer(OLD)
    told = await _furnish(database, sealer)
    profile: dict[str, Any] = {"node": 3021000001, "corp_id": "10001", "peer_password": "other-peer-pass"}
    await channels.edit(by_test(database), sealer, "unicom", {"password": "other-channel-pass", "profile": profile})
    key_id = await database.fetchval("SELECT key_id FROM api_key")
    rotated = await keys.rotate(by_test(database), sealer, key_id)
    sealed = [
        value.hex()
        for row in await database.fetch(
            "SELECT ARRAY[password_sealed] AS s FROM channel UNION ALL SELECT secrets_sealed FROM api_key"
            " UNION ALL SELECT ARRAY[password_sealed] FROM partner UNION ALL SELECT secrets_sealed FROM webhook"
            " UNION ALL SELECT ARRAY[decode(profile->>'peer_password', 'hex')] FROM channel"
        )
        for value in row["s"]
        if value
    ]
    # Whoever hands over a secret by mistake finds that it is not written down.
    leaky = {
        "password": "lk-1", "new": {"Bearer_Token": "lk-2", "list": [{"shared_secret": "lk-3"}]},
        "url": "https://user:lk-4@example.com/x", "note": f"key {rotated.bearer} was made", "rate": 5, "secrets": 2,
    }  # fmt: skip
    await audit.record(database, Author(ActorLabel("li")), "leak", "thing", leaky, leaky)
    rows = await database.fetch("SELECT audit::text AS text FROM audit")
    text = "\n".join(row["text"] for row in rows)
    for secret in (*told, *sealed, rotated.secret, rotated.bearer, "other-channel-pass", "other-peer-pass"):
        assert secret not in text
    assert "lk-" not in text
    assert '"rate": 5, ' in rows[-1]["text"].replace('""', '"')
    assert '"secrets": 2' in rows[-1]["text"].replace('""', '"')
