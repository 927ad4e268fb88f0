"""The audit log against somebody who rules the database: what is changed, taken out or put in shows."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from databases import admin

from smsgw.core.actor import Actor, ActorLabel, Author
from smsgw.core.audit import Head, Report
from smsgw.core.errors import Temporary
from smsgw.pipeline.upkeep.auditing import Auditing
from smsgw.platform.audit import service as auditing
from smsgw.platform.change import Change
from smsgw.runtime import clock
from smsgw.runtime.config import AuditConfig, Config, NodeConfig
from smsgw.store.engine.database import Database
from smsgw.store.engine.database_roles import APPLICATION
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import anchors, audit, audit_chain

KEY = b"k" * 32
LI, WANG = Author(ActorLabel("li")), Author(ActorLabel("wang"))
LI_FROM_AFAR, LI_BY_V6 = Author(LI.label, "192.0.2.7"), Author(LI.label, "2001:DB8:0::1")
TABLES = ("audit", "audit_link", "audit_checkpoint")


class Log:
    """An audit log with its node, and somebody who may do everything in the database."""

    def __init__(self, database: Database, root: asyncpg.Connection, folder: Path) -> None:
        self.database = database
        self.root = root
        self.sealer = Sealer(KEY)
        self.config = Config(node=NodeConfig(number=1, data_dir=folder), audit=AuditConfig(every_seconds=3600))
        audit.use(lambda: self.sealer)
        self.node = Auditing(database, self.sealer, self.config)

    async def write(self, count: int, action: str = "test") -> None:
        """Append rows and let the node take them in."""
        for n in range(count):
            await audit.record(self.database, LI_FROM_AFAR, action, f"thing/{n}", {"rate": n}, {"rate": n + 1})
        await self.node.step()

    async def restart(self, config: Config | None = None) -> None:
        """Another start of the node."""
        await self.node.stop()
        self.node = Auditing(self.database, self.sealer, config or self.config)
        await self.start()

    async def start(self) -> None:
        """Start the node; when this returns, it has had its first look and has nothing to do for an hour."""
        await self.node.start()
        await self.node.step()
        await self.node.step()

    async def attack(self, statement: str) -> None:
        """Run a statement past all triggers and rights."""
        async with self.root.transaction():
            await self.root.execute("SET LOCAL session_replication_role = replica")
            await self.root.execute(statement)

    async def verify(self) -> Report:
        file = anchors.AnchorFile(self.config.anchor_file, limit=0)
        return await audit_chain.verify(self.database, self.sealer, file.read())

    async def problems(self) -> list[tuple[str, int, int]]:
        """What verify finds and nobody knows of yet."""
        report = await self.verify()
        return [(p.kind, p.first, p.last) for p in report.problems if not p.known]

    async def alarms(self) -> list[str]:
        return [finding.kind for finding in await self.node.findings()]


@pytest_asyncio.fixture
async def fresh(database: Database, tmp_path: Path) -> AsyncIterator[Log]:
    """One whose node has not been started yet."""
    root = await asyncpg.connect(admin(database.dsn))
    made = Log(database, root, tmp_path)
    yield made
    await made.node.stop()
    await root.close()


@pytest_asyncio.fixture
async def log(fresh: Log) -> Log:
    await fresh.start()
    return fresh


async def test_an_honest_log_is_sound(log: Log) -> None:
    await log.write(5)
    odd = {"中": [1.50, 1e22, None]}
    await audit.record(log.database, LI_BY_V6, "odd", "thing", odd, {"b": 1, "a": 2})
    await audit.record(log.database, LI, "waits", "thing")
    report = await log.verify()
    assert (report.rows, report.open, report.problems) == (5, 2, [])
    await log.node.step()
    report = await log.verify()
    assert (report.rows, report.open, report.problems, report.sound) == (7, 0, [], True)
    assert report.anchors > 0
    assert await log.alarms() == []


async def test_not_even_the_owner_changes_the_log(log: Log) -> None:
    await log.write(1)
    for table in TABLES:
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"UPDATE {table} SET mac = ''"):  # noqa: S608
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="not changed"):
                await log.root.execute(statement)


ATTACKS = {
    "edit": ("UPDATE audit SET actor = 'wang' WHERE id = 5", [("edited", 5, 5)]),
    "edit of a value": ("""UPDATE audit SET after = '{"rate": 7}' WHERE id = 5""", [("edited", 5, 5)]),
    "edits": ("UPDATE audit SET at = at - interval '1 d' WHERE id IN (2, 3, 8)", [("edited", 2, 3), ("edited", 8, 8)]),
    "signature taken off": ("UPDATE audit SET mac = NULL, key = NULL, hash = '' WHERE id = 5", [("foreign", 5, 5)]),
    "content of another row": (
        "UPDATE audit a SET (at, object, before, after, mac) = (b.at, b.object, b.before, b.after, b.mac)"
        " FROM audit b WHERE a.id = 5 AND b.id = 6",
        [("edited", 5, 5)],
    ),
    "delete in the middle": ("DELETE FROM audit WHERE id = 5", [("deleted", 5, 5)]),
    "delete with links": (
        "DELETE FROM audit WHERE id IN (4, 5); DELETE FROM audit_link WHERE seq IN (4, 5)",
        [("gap", 4, 5)],
    ),
    "close the gap": (
        "DELETE FROM audit WHERE id IN (4, 5); DELETE FROM audit_link WHERE seq IN (4, 5);"
        "UPDATE audit_link SET seq = seq - 2 WHERE seq > 5",
        [("moved", 4, 4), ("moved", 5, 5), ("moved", 6, 6), ("moved", 7, 7), ("moved", 8, 8), ("end_missing", 10, 10)],
    ),
    "delete the last": (
        "DELETE FROM audit WHERE id > 7; DELETE FROM audit_link WHERE seq > 7",
        [("end_missing", 10, 10)],
    ),
    "reorder": (
        "UPDATE audit_link SET id = -id WHERE seq IN (4, 5);"
        "UPDATE audit_link SET id = CASE seq WHEN 4 THEN 5 ELSE 4 END WHERE seq IN (4, 5)",
        [("moved", 4, 4), ("moved", 5, 5)],
    ),
    "truncate the rows": ("TRUNCATE audit", [("deleted", 1, 10)]),
    "truncate all": ("TRUNCATE audit, audit_link, audit_open, audit_checkpoint", [("end_missing", 10, 10)]),
    "delete the first": (
        "DELETE FROM audit WHERE id < 4; DELETE FROM audit_link WHERE seq < 4;"
        "UPDATE audit_checkpoint c SET seq = 3, mac = '\\x00'",
        [("beginning", 3, 3), ("moved", 4, 4)],
    ),
    "put in": (
        "INSERT INTO audit (id, actor, action, object, key, mac)"
        " SELECT 99, 'wang', action, object, key, mac FROM audit WHERE id = 5",
        [("not_in_chain", 99, 99)],
    ),
    "put in as from before": (
        "INSERT INTO audit (id, actor, action, object, hash) VALUES (99, '', '', '', '')",
        [("not_in_chain", 99, 99)],
    ),
    "to be taken in": (
        "INSERT INTO audit (id, actor, action, object, key, mac)"
        " SELECT 99, 'wang', action, object, key, mac FROM audit WHERE id = 5; INSERT INTO audit_open VALUES (99)",
        [("edited", 99, 99)],
    ),
}


async def test_what_is_done_to_the_log_is_found_and_named(log: Log) -> None:
    await log.write(10)
    for table in TABLES:
        await log.root.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")
    found = {}
    for name, (statement, _) in ATTACKS.items():
        assert await log.problems() == [], f"before {name}"
        await log.attack(statement)
        found[name] = await log.problems()
        assert all("smsgwctl audit accept" in str(problem) for problem in (await log.verify()).problems)
        for table in (*TABLES, "audit_open"):
            await log.attack(f"TRUNCATE {table}")
        for table in TABLES:
            await log.attack(f"INSERT INTO {table} SELECT * FROM kept_{table}")  # noqa: S608
    assert found == {name: problems for name, (_, problems) in ATTACKS.items()}


async def test_rewriting_the_log_with_our_own_functions_needs_the_key(log: Log) -> None:
    """What passed before: everything that the program does to make rows, done again by somebody with the database."""
    await log.write(10)
    await log.attack("TRUNCATE audit, audit_link, audit_open, audit_checkpoint")
    other = Sealer(b"x" * 32)
    audit.use(lambda: other)
    for n in range(10):
        await audit.record(log.database, WANG, "test", f"thing/{n}")
    while await audit_chain.seal(log.database, other):
        pass
    problems = await log.problems()
    assert ("end_missing", 10, 10) in problems
    assert {kind for kind, _, _ in problems} == {"end_missing", "key_missing"}


async def test_what_is_cut_off_behind_our_back_is_an_alarm_within_a_step(log: Log) -> None:
    await log.write(10)
    await log.attack("DELETE FROM audit WHERE id > 7; DELETE FROM audit_link WHERE seq > 7")
    await log.node.step()
    assert await log.alarms() == ["audit_changed"]
    await log.write(20)  # it stays one, however the chain grows
    await log.node._look_back()
    assert await log.alarms() == ["audit_changed"]
    await log.restart()
    assert await log.alarms() == ["audit_changed"]


async def test_a_restored_backup_is_found_and_accepted_once(log: Log) -> None:
    await log.write(6)
    await log.root.execute("CREATE TABLE kept AS TABLE audit; CREATE TABLE kept_link AS TABLE audit_link")
    await log.write(4)
    await log.attack(
        "TRUNCATE audit, audit_link; INSERT INTO audit SELECT * FROM kept;"
        "INSERT INTO audit_link SELECT * FROM kept_link"
    )
    await log.write(12)  # and life goes on, past the end that was lost
    assert await log.problems() == [("end_missing", 10, 10)]
    assert await log.alarms() == ["audit_changed"]
    report = await log.verify()
    assert not report.sound
    assert await auditing.accept(Change(log.database, Actor.operator("li")), report, "restored from the backup") == 1
    report = await log.verify()
    assert report.sound
    assert "restored from the backup" in report.problems[0].known
    await log.node._look_back()
    assert await log.alarms() == []
    await log.node.step()
    await log.attack("DELETE FROM audit WHERE id = 3")
    assert await log.problems() == [("deleted", 3, 3)]  # what is known covers nothing new


async def test_without_any_anchor_the_end_is_not_called_sound(log: Log) -> None:
    await log.write(3)
    log.config.anchor_file.unlink()
    assert await log.problems() == [("no_anchor", 3, 3)]


async def test_a_lost_key_is_named_and_an_old_one_verifies(log: Log) -> None:
    await log.write(3)
    log.sealer = Sealer(b"n" * 32, KEY)  # rotated
    await log.restart()
    await log.write(3)
    assert await log.problems() == []
    log.sealer = Sealer(b"n" * 32)  # and the old one thrown away
    assert ("key_missing", 1, 3) in await log.problems()
    assert {kind for kind, _, _ in await log.problems()} == {"key_missing"}


async def test_the_chain_from_before_is_sealed_in_the_new_one(fresh: Log) -> None:
    log, previous = fresh, audit.FIRST
    for n in range(5):
        at = clock.now()
        previous = audit.row_hash(
            previous, at=at, author=LI, action="old", object=f"thing/{n}", before=None, after={"n": n}
        )
        await log.root.execute(
            "INSERT INTO audit (at, actor, action, object, after, hash)"
            " VALUES ($1, 'li', 'old', $2, $3::text::jsonb, $4)",
            at, f"thing/{n}", json.dumps({"n": n}), previous,
        )  # fmt: skip
    report = await log.verify()  # after the upgrade, before a node has run
    assert (report.legacy, report.problems) == (5, [])
    await log.start()
    await log.write(2)
    report = await log.verify()
    assert (report.legacy, report.rows, report.problems) == (5, 2, [])
    await log.attack("UPDATE audit SET actor = 'wang' WHERE id = 2")
    assert await log.problems() == [("legacy", 2, 2)]
    # All of the old chain anew, with what the program had for it:
    previous = audit.FIRST
    for row in await log.root.fetch("SELECT * FROM audit WHERE mac IS NULL ORDER BY id"):
        previous = audit.row_hash(
            previous, at=row["at"], author=Author(row["actor"]), action="old", object=row["object"], before=None,
            after=json.loads(row["after"]),
        )  # fmt: skip
        await log.attack(f"UPDATE audit SET hash = '\\x{previous.hex()}' WHERE id = {row['id']}")  # noqa: S608
    assert await log.problems() == [("legacy", 5, 5)]


async def test_old_rows_go_by_the_one_way_out_and_the_rest_still_verifies(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:  # four rows that were written a year ago
        past.setattr(audit, "_NEXT", audit._NEXT.replace("clock_timestamp()", "now() - interval '1 year'"))
        past.setattr(audit, "CLOCKS_APART", timedelta(days=1000))
        await log.write(4)
    await log.write(2)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="183 days"):
        await audit_chain.prune(log.database, log.sealer, clock.now() + timedelta(days=1))
    assert await audit_chain.prune(log.database, log.sealer, clock.now() - timedelta(days=400)) == 0
    assert await audit_chain.prune(log.database, log.sealer, clock.now() - timedelta(days=200)) == 4
    report = await log.verify()
    assert (report.rows, report.pruned, report.problems) == (2, 4, [])
    await log.write(1)
    assert await log.problems() == []
    await log.attack("UPDATE audit_checkpoint SET at = now() WHERE seq = 4")
    assert ("beginning", 4, 4) in await log.problems()


async def test_what_was_deleted_does_not_go_with_what_is_old(log: Log) -> None:
    await log.write(6)
    await log.attack("DELETE FROM audit WHERE id <= 3")
    assert await audit_chain.prune(log.database, log.sealer, clock.now() - timedelta(days=200)) == 0
    assert await log.problems() == [("deleted", 1, 3)]


async def test_writers_do_not_wait_for_each_other(log: Log) -> None:
    """A transaction that has written to the log and goes on holds up nobody, and is taken in when it has ended."""
    slow = log.root.transaction()
    await slow.start()
    await audit.append(log.root, Author(ActorLabel("slow")), "test", "thing")
    async with asyncio.timeout(30):
        await log.write(3)
    assert (await log.verify()).rows == 3
    await slow.commit()
    await log.node.step()
    report = await log.verify()
    assert (report.rows, report.problems) == (4, [])


async def test_nodes_share_one_chain_and_each_anchors_it(log: Log, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    config = replace(log.config, node=NodeConfig(number=2, data_dir=folder))
    second = Auditing(log.database, log.sealer, config)
    await second.start()

    async def writes(who: Author, node: Auditing) -> None:
        for n in range(30):
            await audit.record(log.database, who, "test", f"thing/{n}")
            if n % 3 == 0:
                await node.step()

    await asyncio.gather(writes(LI, log.node), writes(WANG, second))
    await log.node.step()
    await second.step()
    head = await audit_chain.head(log.database)
    assert head is not None
    assert head.seq == 60
    for file in (log.config.anchor_file, config.anchor_file):
        kept = list(anchors.read(file))
        assert kept[-1].head == head
        report = await audit_chain.verify(log.database, log.sealer, kept)
        assert (report.rows, report.problems) == (60, [])
    await second.stop()


async def test_what_stop_finds_is_sealed_and_anchored(log: Log) -> None:
    await audit.record(log.database, LI, "test", "thing")
    await log.node.stop()
    assert (await log.verify()).open == 0
    assert await log.problems() == []


async def test_an_anchor_that_cannot_be_written_is_an_alarm(log: Log) -> None:
    log.config.anchor_file.unlink(missing_ok=True)
    log.config.anchor_file.mkdir()
    await log.restart()
    await log.write(1)
    assert await log.alarms() == ["audit_anchor"]
    log.config.anchor_file.rmdir()
    await log.node.step()
    assert await log.alarms() == []
    assert await log.problems() == []


async def test_anchors_go_to_the_system_log_too_and_verify_reads_them_there(log: Log, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "log"))
        receiver.settimeout(5)
        await log.write(2)
        await log.restart(replace(log.config, audit=AuditConfig(syslog=str(tmp_path / "log"), every_seconds=3600)))
        await log.write(2)
        text = receiver.recv(4096)
    assert text.startswith(b"<86>smsgw-audit: ")  # authpriv.info
    saved = tmp_path / "messages"
    saved.write_bytes(b"Nov 25 17:00:00 host other: hello\n" + text.rstrip(b"\0") + b"\n")
    (anchor,) = anchors.read(saved)
    assert anchor.head in {kept.head for kept in anchors.AnchorFile(log.config.anchor_file, limit=0).read()}


async def test_a_system_log_that_is_away_is_an_alarm_and_fills_no_file(log: Log, tmp_path: Path) -> None:
    await log.restart(replace(log.config, audit=AuditConfig(syslog=str(tmp_path / "none"), every_seconds=3600)))
    await log.write(2)
    for _ in range(5):
        await log.node.step()
    assert await log.alarms() == ["audit_anchor"]
    kept = [anchor.head for anchor in anchors.AnchorFile(log.config.anchor_file, limit=0).read()]
    assert kept[-1] == await audit_chain.head(log.database)
    assert kept.count(kept[-1]) == 1
    assert await log.problems() == []


def test_the_anchor_file_is_bounded_private_and_survives_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.anchor"
    file = anchors.AnchorFile(path, limit=8192)
    now = clock.now()
    for n in range(1, 201):
        file.write(anchors.line(Head(n, bytes(32)), now, 1))
    assert path.stat().st_mode & 0o777 == 0o600
    assert sum(entry.stat().st_size for entry in tmp_path.iterdir()) <= 8192
    with path.open("ab") as torn:
        torn.write(b'{"audit": {"seq": 9')
    file.write(anchors.line(Head(201, bytes(32)), now, 1))
    kept = [anchor.head.seq for anchor in file.read()]
    assert kept == list(range(kept[0], 202))
    assert len(kept) > 20


async def test_a_large_log_is_verified_page_by_page(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_chain, "PAGE", 7)
    monkeypatch.setattr(audit_chain, "BATCH", 5)
    await log.write(40)
    await log.attack("DELETE FROM audit WHERE id IN (7, 8, 21)")
    assert await log.problems() == [("deleted", 7, 8), ("deleted", 21, 21)]
    monkeypatch.setattr("smsgw.core.audit.MAX_PROBLEMS", 1)
    report = await log.verify()
    assert (len(report.problems), report.more, report.sound) == (1, 1, False)


async def test_a_row_that_the_application_puts_below_the_beginning_is_found(log: Log) -> None:
    """Neither before the first row nor before the first link is a place in which a row looks like one of ours."""
    await log.write(3)
    application = await asyncpg.connect(log.database.dsn)
    await application.execute(
        "INSERT INTO audit (id, actor, action, object) VALUES (-1, 'wang', 'key.delete', 'key/x')"
    )
    assert await log.problems() == [("not_in_chain", -1, -1)]
    await application.execute(
        "INSERT INTO audit (id, actor, action, object, key, mac) VALUES (99, 'wang', 'key.delete', 'key/x', 'k', '');"
        "INSERT INTO audit_link (seq, id, key, mac) VALUES (0, 99, 'k', ''), (-7, -1, 'k', '')"
    )
    await application.close()
    assert await log.problems() == [("not_in_chain", -1, -1), ("not_in_chain", 99, 99)]


async def test_what_is_only_said_to_be_old_stays(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retention is no way out for whoever may change the time of a row, or may have a row taken in once more."""
    with monkeypatch.context() as past:
        past.setattr(audit, "_NEXT", audit._NEXT.replace("clock_timestamp()", "now() - interval '1 year'"))
        past.setattr(audit, "CLOCKS_APART", timedelta(days=1000))
        await log.write(3)
    await log.write(4)
    kept = clock.now() - timedelta(days=200)
    await log.attack("UPDATE audit SET at = at - interval '1 year' WHERE id > 3")
    await log.attack("DELETE FROM audit_link WHERE id = 2; INSERT INTO audit_open VALUES (2)")
    await log.node.step()
    assert await audit_chain.prune(log.database, log.sealer, kept) == 1
    assert await audit_chain.prune(log.database, log.sealer, kept) == 0
    assert await log.problems() == [("gap", 2, 2), ("edited", 4, 7)]
    await auditing.accept(Change(log.database, Actor.operator("li")), await log.verify(), "looked into")
    assert await audit_chain.prune(log.database, log.sealer, kept) == 2 + 4  # what is known holds up nothing
    assert await log.problems() == []


async def test_a_checkpoint_that_is_put_in_hides_nothing_and_is_an_alarm(log: Log) -> None:
    """The application may add checkpoints, and cannot sign them: the chain is verified from the last genuine one."""
    await log.write(3)
    application = await asyncpg.connect(log.database.dsn)
    await application.execute(
        "INSERT INTO audit_checkpoint (seq, mac, at, key, sign) VALUES (1000, '', now(), $1, '')", log.sealer.ids[0]
    )
    await application.close()
    await log.node.step()
    assert await log.alarms() == ["audit_changed"]
    await log.attack("DELETE FROM audit WHERE id = 2")
    assert await log.problems() == [("beginning", 1000, 1000), ("deleted", 2, 2)]
    await auditing.accept(Change(log.database, Actor.operator("li")), await log.verify(), "looked into")
    await log.node._look_back()
    assert await log.alarms() == []
    await log.attack("DELETE FROM audit WHERE id = 3")
    assert await log.problems() == [("deleted", 2, 3)]


async def test_rows_that_are_in_the_chain_already_do_not_keep_others_out(log: Log) -> None:
    await log.write(2)
    application = await asyncpg.connect(log.database.dsn)
    await application.execute("INSERT INTO audit_open VALUES (1)")
    await application.close()
    await log.write(2)
    report = await log.verify()
    assert (report.rows, report.open, report.problems) == (4, 0, [])


async def test_a_chain_that_takes_nothing_in_is_an_alarm(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds its lock keeps rows out of the chain, where they can be deleted without a trace."""
    application = await asyncpg.connect(log.database.dsn)
    await application.execute("SELECT pg_advisory_lock($1)", audit_chain.LOCK)
    with monkeypatch.context() as hasty:
        hasty.setattr(audit_chain, "PATIENCE", 0.2)
        with pytest.raises(Temporary):
            await log.write(1)
    assert await log.alarms() == ["audit_anchor"]
    await application.close()
    await log.node.step()
    assert await log.alarms() == []


async def test_nothing_is_signed_that_was_not_said(log: Log) -> None:
    """The server gives a row back before it is signed: what it gives has to be what was said, and when."""
    name = await log.root.fetchval("SELECT current_database()")
    await log.root.execute(
        "CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;"
        f"ALTER DATABASE {name} SET search_path = evil, pg_catalog, public;"
        f"ALTER ROLE {APPLICATION} IN DATABASE {name} SET search_path = evil, pg_catalog, public;"
        "CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
        " AS $$SELECT '2020-01-01Z'::timestamptz$$"
    )
    began = clock.now()

    async def write() -> None:
        database = Database(log.database.dsn, size=1)
        await database.open()
        try:
            said = {"rate": 1e23, "text": "\u2028 中"}
            await audit.record(database, LI_BY_V6, "test", "thing", said, None)
        finally:
            await database.close()

    await write()
    assert began <= await log.root.fetchval("SELECT at FROM audit") <= clock.now()
    for forged in (
        "CREATE FUNCTION evil.host(inet) RETURNS text LANGUAGE sql AS $$SELECT '192.0.2.1'$$",
        "DROP FUNCTION evil.host; CREATE FUNCTION evil.other(jsonb) RETURNS text LANGUAGE sql"
        """ AS $$SELECT '{"rate": 1}'$$; CREATE CAST (jsonb AS text) WITH FUNCTION evil.other(jsonb)""",
    ):
        await log.root.execute(forged)
        with pytest.raises(RuntimeError, match="other than what was said"):
            await write()
    assert await log.root.fetchval("SELECT count(*) FROM audit") == 1
