"""Whose a node is: its control socket, the key of its secrets, and its number."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import socket
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from changes import by_test
from click.testing import CliRunner
from databases import change

from smsgw.cli import main
from smsgw.core.actor import Actor, ActorLabel, Author
from smsgw.core.alarm_notes import Way
from smsgw.core.ids import IdSource, first_id
from smsgw.core.webhooks import Reach
from smsgw.net.unix_paths import LIMIT, reachable
from smsgw.node import control, control_client
from smsgw.platform.accounts import service as accounts
from smsgw.platform.alarms import receivers
from smsgw.platform.alarms.model import Draft
from smsgw.platform.change import Change
from smsgw.platform.channels import service as channels
from smsgw.platform.diagnostics.bundle import Bundles
from smsgw.platform.key_file import queries as queries_of_keys, service as key_file
from smsgw.platform.keys import service as keys
from smsgw.platform.links import queries as link_queries, queries as links
from smsgw.platform.numbers import filters
from smsgw.platform.numbers.vendor import Vendor
from smsgw.platform.org import factors, queries, service as org
from smsgw.platform.partners import service as partners
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.runtime.config import Config
from smsgw.store.config import (
    channels as channels_store,
    keys as keys_store,
    partners as partners_store,
    webhooks as webhooks_store,
)
from smsgw.store.engine import leases, nodes, resealing
from smsgw.store.engine.database import Database
from smsgw.store.engine.journal import Journal, node_of
from smsgw.store.engine.secrets import KeyFileError, Sealer, load_key
from smsgw.store.records import audit, pseudonyms


@contextlib.asynccontextmanager
async def answering(app: web.Application, path: Path) -> AsyncIterator[None]:
    runner = web.AppRunner(app)
    await runner.setup()
    with reachable(path) as near:
        await web.UnixSite(runner, near).start()
    try:
        yield
    finally:
        await runner.cleanup()


def daemon(**parts: object) -> web.Application:
    return control.application(SimpleNamespace(**parts))  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [0, 3])
async def test_a_socket_is_reached_however_deep_it_lies(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["d" * 60] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "control.sock"
    assert (len(os.fsencode(path)) > LIMIT) == bool(depth)

    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"got": await request.json()})

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"code": "NOT_FOUND", "message": "no"}, status=404)

    app = web.Application()
    app.router.add_post("/echo", echo)
    app.router.add_post("/refuse", refuse)
    with pytest.raises(control_client.DaemonAway, match="no daemon answers"):
        await control_client.call(path, "POST", "/echo", 1)
    async with answering(app, path):
        assert path.is_socket()
        open_files = len(os.listdir("/proc/self/fd"))
        assert await control_client.call(path, "POST", "/echo", {"n": 1}) == {"got": {"n": 1}}
        pieces = [p async for p in control_client.stream(path, "/echo", 2, timeout_s=5)]
        assert b"".join(pieces) == b'{"got": 2}'
        with pytest.raises(RuntimeError, match="NOT_FOUND: no"):
            await control_client.call(path, "POST", "/refuse", 1)
        assert len(os.listdir("/proc/self/fd")) <= open_files + 1
    with pytest.raises(control_client.DaemonAway):
        await control_client.call(tmp_path / "none" / ("x" * 120) / "control.sock", "GET", "/")


@pytest.mark.root_only
async def test_another_user_is_refused_even_where_the_rights_let_him_in() -> None:
    """The kernel says who is there: what somebody has made of socket and folder does not matter."""

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"ready": True})

    app = web.Application(middlewares=[control.only_ours])
    app.router.add_get("/status", status)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "control.sock")
        async with answering(app, path):
            os.chmod(folder, 0o755)  # noqa: S103 - on purpose
            path.chmod(0o777)
            assert await control_client.call(path, "GET", "/status") == {"ready": True}
            stranger = socket.socket(socket.AF_UNIX)
            os.seteuid(pwd.getpwnam("nobody").pw_uid)  # whose it is, the kernel notes when it connects
            try:
                stranger.connect(str(path))
            finally:
                os.seteuid(0)
            stranger.setblocking(False)
            reader, writer = await asyncio.open_unix_connection(sock=stranger)
            writer.write(b"GET /status HTTP/1.1\r\nHost: smsgw\r\nConnection: close\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 30)
            writer.close()
            await writer.wait_closed()
            assert answer.startswith(b"HTTP/1.1 403")
            assert b"FORBIDDEN" in answer


ASK = """
import asyncio, contextlib, pathlib, sys
from smsgw.node import control_client
with contextlib.suppress(OSError):
    pathlib.Path("/proc/self/loginuid").write_text(sys.argv[2])
path = pathlib.Path(sys.argv[1])
print(asyncio.run(control_client.call(path, "POST", "/facts/retry", {"ids": [], "actor": "cli:mallory"})))
"""


@pytest.mark.root_only
async def test_who_asks_is_named_by_the_kernel(database: Database, tmp_path: Path) -> None:
    """Neither the body nor the environment puts another's name into the audit log."""
    path, who = tmp_path / "control.sock", pwd.getpwnam("nobody")
    async with answering(daemon(database=database, outcomes=None), path):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASK, str(path), str(who.pw_uid), env=os.environ | {"LOGNAME": "mallory"},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(child.communicate(), 20)
        assert b"'applied': 0" in said
        known = Path("/proc/self/loginuid").exists()  # a kernel with audit
        row = await database.fetchrow("SELECT actor, action FROM audit")
        assert row is not None
        assert (row["actor"], row["action"]) == (f"cli:{who.pw_name if known else 'root'}", "fact.retry")


async def test_a_bundle_of_a_running_node_is_in_the_owners_file(dsn: str, database: Database, tmp_path: Path) -> None:
    bundles = Bundles(database, Config(), 1, 5, lambda: b"smsgw_up 1\n", list)
    file = tmp_path / "bundle.zip"
    settings = {"SMSGW_DATABASE_DSN": dsn, "SMSGW_NODE_DATA_DIR": str(tmp_path)}
    async with answering(daemon(database=database, bundles=bundles), tmp_path / "control.sock"):
        ask = CliRunner(env=settings).invoke
        result = await asyncio.to_thread(ask, main, ["diagnose", "--out", str(file)])
        assert result.exit_code == 0, result.output
        assert file.stat().st_mode & 0o777 == 0o600
        with zipfile.ZipFile(file) as archive:
            assert archive.read("metrics.txt") == b"smsgw_up 1\n"
        again = await asyncio.to_thread(ask, main, ["diagnose", "--out", str(file)])
        assert again.exit_code == 1, "a file that is there is not written over"
        assert await database.fetchval("SELECT count(*) FROM audit WHERE action = 'diagnostics.take'") == 2


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


ROOT = Path(__file__).parents[3]


def directory(tmp_path: Path, name: str) -> nodes.Identity:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    return nodes.identity(folder)


async def take(database: Database, tmp_path: Path, name: str, wanted: int = 0) -> nodes.Number:
    return await nodes.take(database, directory(tmp_path, name), wanted)


async def dies(database: Database, number: nodes.Number, ago: str = "1 second") -> None:
    for statement in (
        "UPDATE lease SET expires_at = now() - $2::text::interval WHERE resource = 'node/' || $1::int",
        "UPDATE node SET seen_at = now() - $2::text::interval WHERE number = $1",
    ):
        await database.execute(statement, number.number, ago)


async def test_the_age_of_a_database_is_asked_as_the_text_says(database: Database, tmp_path: Path) -> None:
    """One machine of three (docs/ha.md): whether what it has is old decides if people get messages twice."""
    asked = re.search(r"psql smsgw -Atc '(.+?)'", (ROOT / "docs/ha.md").read_text("utf-8"))
    assert asked
    one = await take(database, tmp_path, "one")
    await dies(database, one, "90 minutes")
    old = await database.fetchval(asked[1])
    await nodes.beat(database, one, 0)
    new = await database.fetchval(asked[1])
    assert abs((new - old).total_seconds() - 90 * 60) < 60


async def test_nodes_count_those_that_have_said_so_lately(database: Database, tmp_path: Path) -> None:
    one = await take(database, tmp_path, "one")
    assert (await nodes.beat(database, one, 0)).live == 1
    two = await take(database, tmp_path, "two")
    assert (one.number, two.number) == (1, 2)
    assert (await nodes.beat(database, one, 5)).live == 2
    heard = await nodes.beat(database, two, 3)
    assert (heard.live, heard.newest) == (2, 5)
    assert abs(heard.word.at.timestamp() - datetime.now(UTC).timestamp()) < 5
    await nodes.leave(database, two, 9)
    assert (await nodes.beat(database, one, 6)).live == 1
    assert (await nodes.beat(database, one, 6)).newest == 9
    held = await leases.acquire(database, "channel/1", 3)
    assert held is not None
    assert (await nodes.beat(database, one, 6)).live == 1  # a lease of something else is no sign of life


async def test_a_data_directory_keeps_its_number(database: Database, tmp_path: Path) -> None:
    first = await take(database, tmp_path, "one")
    second = await take(database, tmp_path, "two")
    # Killed and started again, at once; and after weeks, when others have come.
    again = await take(database, tmp_path, "two")
    assert (again.number, again.epoch > second.epoch) == (2, True)
    await dies(database, first, "29 days")
    assert (await take(database, tmp_path, "three")).number == 3
    assert (await take(database, tmp_path, "one")).number == 1
    # The file names it even where the database does not know it any more.
    await change(database.dsn, "DELETE FROM node WHERE number = 3")
    await database.execute("DELETE FROM lease WHERE resource = 'node/3'")
    assert (await take(database, tmp_path, "three")).number == 3


async def test_a_number_that_was_not_seen_for_long_is_free(database: Database, tmp_path: Path) -> None:
    first = await take(database, tmp_path, "one")
    await dies(database, first, "31 days")
    assert (await take(database, tmp_path, "two")).number == 1
    assert (await take(database, tmp_path, "one")).number == 2


async def test_many_at_once_have_numbers_of_their_own(database: Database, tmp_path: Path) -> None:
    taken = await asyncio.gather(*(take(database, tmp_path, str(n)) for n in range(8)))
    assert sorted(number.number for number in taken) == list(range(1, 9))


async def test_a_given_number_is_asserted(database: Database, tmp_path: Path) -> None:
    holder = await take(database, tmp_path, "one", 7)
    with pytest.raises(nodes.NumberTaken) as refused:
        await take(database, tmp_path, "two", 7)
    told = str(refused.value)
    for word in ("node number 7", str(tmp_path / "one"), "since 20", "or 0 for any", "stop the other"):
        assert word in told
    await dies(database, holder)
    taken = await take(database, tmp_path, "two", 7)
    assert taken.number == 7
    with pytest.raises(nodes.NumberTaken, match=r"was taken by \S+two while"):
        await nodes.beat(database, holder, 0)
    assert (await nodes.beat(database, taken, 0)).live == 1, "who has lost it prolongs nothing"
    with pytest.raises(nodes.NumberTaken, match="lives"):
        await take(database, tmp_path, "one", 7)
    assert (await take(database, tmp_path, "one")).number == 1


async def test_a_copied_data_directory_is_noticed(database: Database, tmp_path: Path) -> None:
    """A machine was cloned: both are the same instance, and the later one has the number."""
    original = await take(database, tmp_path, "one")
    copy = await take(database, tmp_path, "one")
    await nodes.beat(database, copy, 0)
    with pytest.raises(nodes.NumberTaken):
        await nodes.beat(database, original, 0)


async def test_what_the_one_before_holds_is_not_ours(database: Database, tmp_path: Path) -> None:
    """Channels of whoever had the number live until their own leases end; a restart has its own back at once."""
    before = await take(database, tmp_path, "one")
    held = await leases.acquire(database, "channel/1", before.number)
    assert held is not None
    assert (await take(database, tmp_path, "one")).number == before.number
    again = await leases.acquire(database, "channel/1", before.number)
    assert again is not None, "a restart"
    await dies(database, before)
    other = await take(database, tmp_path, "two", before.number)
    assert await leases.acquire(database, "channel/1", other.number) is None
    assert await leases.renew(database, [again]) == []
    await database.execute("UPDATE lease SET expires_at = now() WHERE resource = 'channel/1'")
    assert await leases.acquire(database, "channel/1", other.number) is not None


async def test_ids_go_on_above_those_made_before(database: Database, tmp_path: Path) -> None:
    ahead = first_id(datetime(2050, 1, 1, tzinfo=UTC))
    number = await take(database, tmp_path, "one")
    assert number.after == 0
    await nodes.beat(database, number, ahead)
    await nodes.beat(database, number, ahead - 1)
    again = await take(database, tmp_path, "one")
    assert again.after == ahead
    ids = IdSource(again.number, lambda: int(datetime.now(UTC).timestamp() * 1000), after=again.after)
    assert ids.next() > ahead


_OLD_BEAT = """
INSERT INTO lease (resource, node, epoch, expires_at)
VALUES ('node/' || $1::int, $1, 0, clock_timestamp() + interval '15 seconds')
ON CONFLICT (resource) DO UPDATE SET expires_at = excluded.expires_at
"""


@pytest.mark.parametrize("before", [True, False], ids=["journal of the version before", "journal of this one"])
async def test_an_upgrade_goes_on_with_its_number(database: Database, tmp_path: Path, before: bool) -> None:
    """Stopped a moment ago: its lease still runs, and nobody prolongs it."""
    folder = tmp_path / "one"
    if before:
        (folder / "journal").mkdir(parents=True)
        header = b"SMSGWJ01" + (4).to_bytes(4, "big") + b"0" * 36
        (folder / "journal" / "000000000001.journal").write_bytes(header.ljust(1 << 16, b"\0"))
    else:
        journal = Journal(folder / "journal", 4, "0" * 36)
        journal.open()
        journal.close()
    assert node_of(folder / "journal") == 4
    assert node_of(tmp_path) == 0
    await database.execute(_OLD_BEAT, 4)
    held = await leases.acquire(database, "channel/1", 4)
    number = await nodes.take(database, nodes.identity(folder, had=node_of(folder / "journal")), 0)
    assert number.number == 4
    assert held is not None
    assert await leases.acquire(database, "channel/1", 4) is not None, "its channels are its own"


async def test_a_node_of_an_earlier_version_lives(database: Database, tmp_path: Path) -> None:
    await database.execute(_OLD_BEAT, 1)

    async def lives() -> None:
        while True:
            await database.execute(_OLD_BEAT, 1)
            await asyncio.sleep(0.2)

    beating = asyncio.get_running_loop().create_task(lives())
    try:
        assert (await take(database, tmp_path, "one")).number == 2
        with pytest.raises(nodes.NumberTaken, match="an earlier version"):
            await take(database, tmp_path, "two", 1)
    finally:
        beating.cancel()


def test_the_file_of_a_data_directory(tmp_path: Path) -> None:
    new = nodes.identity(tmp_path, had=3)
    assert nodes.identity(tmp_path) == new
    assert new.number == 3
    (tmp_path / nodes.FILE).write_text('{"instance": "x", "number": 1}')
    with pytest.raises(nodes.IdentityUnreadable, match="put it back from a backup, or remove it"):
        nodes.identity(tmp_path)


async def test_links_that_no_node_serves_are_an_alarm(database: Database, tmp_path: Path) -> None:
    async def alarmed(*hosts: str) -> list[str]:
        return [found.kind for found in await links.unserved(database, hosts)]

    one = await take(database, tmp_path, "one")
    assert await alarmed() == []  # nobody uses any
    assert await alarmed("s.example.cn") == ["links_unserved"]
    two = await nodes.take(database, directory(tmp_path, "two"), 0, serves_links=True)
    assert await alarmed("s.example.cn") == []
    await nodes.leave(database, two, 0)
    assert await alarmed("s.example.cn") == ["links_unserved"]
    await database.execute("UPDATE node SET serves_links = NULL WHERE number = $1", one.number)
    assert await alarmed("s.example.cn") == []  # an earlier version does not say
