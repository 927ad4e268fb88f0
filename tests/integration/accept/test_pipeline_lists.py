"""The block list, alarms, complaints and codes, on a real database."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from changes import by_test
from databases import change
from snapshots import FixedSnapshots
from standins import NoTeller

from smsgw.core.actor import ActorLabel, Author
from smsgw.core.alarm_rules import Rules, Stored
from smsgw.core.alarms import CRITICAL, WARNING, Finding
from smsgw.core.blocklist import COMPLAINT, MANUAL, OPT_OUT, Scope
from smsgw.core.errors import Invalid
from smsgw.core.ids import first_id
from smsgw.core.model import MessageType
from smsgw.core.settings import Settings
from smsgw.core.words import label, phrase
from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.pipeline.snapshot import Snapshot
from smsgw.pipeline.upkeep.alarms import AlarmTable
from smsgw.platform.accounts import extensions, service as accounts
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.alarms import service as alarm_service
from smsgw.platform.channels import service as channels
from smsgw.platform.lists import complaints as register, queries as list_queries, service as list_service
from smsgw.platform.routing import prefix_imports, service as routing
from smsgw.platform.settings import service as settings_service
from smsgw.runtime import aio
from smsgw.store.config import blocklist, codes, settings
from smsgw.store.engine.cte_batch import Together
from smsgw.store.engine.database import Database
from smsgw.store.messages import complaints
from smsgw.store.records import alarms, audit, audit_chain

PHONE = "8613800138000"
OTHER = "8613800138001"
ALL = Scope()
MARKETING = MessageType.MARKETING


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(Invalid) as caught:
        yield
    assert caught.value.code == code


async def lists(database: Database, limits: Settings | None = None) -> NumberLists:
    found = NumberLists(database, FixedSnapshots(Snapshot(settings=limits or Settings())))
    await found.load()
    return found


async def test_the_audit_log_has_no_whole_number(database: Database) -> None:
    """Wherever it stands, also in what people write (the fixture ``dsn`` looks at what all tests have written)."""
    told = "用户 13800138000 来电"
    await list_service.block(by_test(database), [PHONE, "447700900123"], ALL, MANUAL, told)
    await list_service.unblock(by_test(database), PHONE, None, reason=told)
    await list_service.unblock(by_test(database), "447700900123", None, reason="")
    entries = {"13800138000": ("CMCC", ""), "1380013": ("CMCC", "")}
    imported = await prefix_imports.bring_in(by_test(database), "f.csv", entries)
    await routing.remove_override(by_test(database), "13800138000")
    await routing.remove_override(by_test(database), "1380013")
    author, numbers = Author(ActorLabel("t")), {"n": [8613800138000], "id": 288230376151711744}
    await audit.record(database, author, "x", "x/1", after=numbers)
    rows = await database.fetch("SELECT object, before, after FROM audit ORDER BY id")
    assert [row["object"] for row in rows] == [
        "block_list", "block_list/138****8000", "block_list/447****0123", f"number_import/{imported}",
        "number_override/138****8000", "number_override/1380013", "x/1",
    ]  # fmt: skip
    assert json.loads(rows[1]["after"]) == {"reason": "用户 138****8000 来电"}
    assert json.loads(rows[-1]["after"]) == {"n": ["138****8000"], "id": 288230376151711744}


async def test_what_is_added_and_removed_reaches_a_node_that_follows(database: Database) -> None:
    await list_service.block(by_test(database), [PHONE], ALL, MANUAL, "asked")
    node = await lists(database)
    assert len(node) == 1
    assert node.refusal(PHONE, 1, MessageType.OTP, "") == ("NUMBER_BLACKLISTED", {"list": label("blocked_by", MANUAL)})
    assert node.refusal(OTHER, 1, MessageType.OTP, "") is None
    await list_service.block(by_test(database), [OTHER], Scope(7, "marketing", "店"), COMPLAINT, "")
    assert node.refusal(OTHER, 7, MARKETING, "店") is None  # not yet seen
    await node.follow()
    assert node.refusal(OTHER, 7, MARKETING, "店") == ("NUMBER_BLACKLISTED", {"list": label("blocked_by", COMPLAINT)})
    assert node.refusal(OTHER, 7, MARKETING, "别家") is None
    assert node.refusal(OTHER, 7, MessageType.NOTICE, "店") is None
    assert node.refusal(OTHER, 8, MARKETING, "店") is None
    assert await list_service.unblock(by_test(database), PHONE, Scope(1), reason="") == 0
    assert await list_service.unblock(by_test(database), PHONE, ALL, reason="asked again") == 1
    await node.follow()
    assert node.refusal(PHONE, 1, MessageType.OTP, "") is None
    assert (await lists(database)).refusal(PHONE, 1, MessageType.OTP, "") is None
    assert await list_queries.find(database, PHONE, accounts=None) == []
    assert (await audit_chain.verify(database, audit.keys())).problems == []


async def test_an_entry_ends_by_itself(database: Database) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    await list_service.block(by_test(database), [PHONE], ALL, MANUAL, "", expires_at=soon)
    now = datetime.now(UTC).timestamp()
    for seconds, blocked in ((0, True), (60, False)):
        node = NumberLists(database, FixedSnapshots(), clock=lambda at=now + seconds: at)  # type: ignore[misc]
        await node.load()
        assert (node.refusal(PHONE, 1, MessageType.OTP, "") is not None) is blocked


async def test_an_opt_out_says_since_when_and_yields_to_a_block(database: Database) -> None:
    at = datetime(2026, 3, 1, 4, 30, tzinfo=UTC)
    entry = blocklist.opt_out(PHONE, 7, "店", "退订", at)
    assert entry is not None
    async with database.transaction() as connection:
        assert await blocklist.put(connection, [entry, entry], replace=False) == 1
        assert await blocklist.put(connection, [entry], replace=False) == 0
    node = await lists(database)
    assert node.refusal(PHONE, 7, MARKETING, "店") == ("NUMBER_OPTED_OUT", {"time": "2026-03-01 12:30"})
    assert node.refusal(PHONE, 7, MessageType.OTP, "店") is None
    await list_service.block(by_test(database), [PHONE], ALL, MANUAL, "")
    await node.follow()
    assert node.refusal(PHONE, 7, MARKETING, "店") == ("NUMBER_BLACKLISTED", {"list": label("blocked_by", MANUAL)})
    assert await list_queries.count(database) == {MANUAL: 1, OPT_OUT: 1}


async def test_who_opted_out_again_after_being_taken_off_is_on_the_list_again(database: Database) -> None:
    entry = blocklist.opt_out(PHONE, 7, "店", "R", datetime.now(UTC))
    assert entry is not None
    for _ in range(2):
        async with database.transaction() as connection:
            assert await blocklist.put(connection, [entry], replace=False) == 1
        assert await list_service.unblock(by_test(database), PHONE, None, reason="consented") == 1


def test_only_telephone_numbers_opt_out() -> None:
    for text in ("10086", "ABC", "１３８" * 4):
        assert blocklist.opt_out(text, None, "", "R", datetime.now(UTC)) is None


async def test_writers_take_turns_so_that_no_change_is_overlooked(database: Database) -> None:
    """A slow writer has drawn its version first; a fast one must not become visible before it."""
    entries = {n: blocklist.opt_out(n, None, "", "R", datetime.now(UTC)) for n in (PHONE, OTHER)}
    node = await lists(database)
    async with database.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await blocklist.put(slow, [entries[PHONE]], replace=False)  # type: ignore[list-item]
        fast = aio.spawn(_put(database, entries[OTHER]), name="fast")
        await node.follow()
        assert not fast.done()
        await transaction.commit()
    await fast
    await node.follow()
    for number in (PHONE, OTHER):
        assert node.refusal(number, 1, MARKETING, "") is not None


async def _put(database: Database, entry: object) -> None:
    async with database.transaction() as connection:
        await blocklist.put(connection, [entry], replace=False)  # type: ignore[list-item]


async def test_many_changes_are_folded_in(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsgw.core.blocklist.FOLD_AT", 100)
    node = await lists(database)
    numbers = [f"8613800{n:06d}" for n in range(12_000)]
    await list_service.block(by_test(database), numbers, ALL, MANUAL, "")
    await node.follow()
    assert len(node) == 12_000
    assert node.refusal(numbers[-1], 1, MessageType.OTP, "") is not None
    assert node.refusal(PHONE, 1, MessageType.OTP, "") is None


AT_ONCE = Rules({(kind, ""): Stored(True, after=0) for kind in ("channel_down", "database_down", "standby_low")})
DOWN = Finding("channel_down", "channel/a", CRITICAL, "no answer")


class Watch:
    """The alarms of a node whose only probe finds what it is told to."""

    def __init__(self, database: Database, node: int = 1) -> None:
        self.found: Sequence[Finding] = ()
        self.table = AlarmTable(database, node, {"test": self.probe}, NoTeller(), lambda: AT_ONCE)

    async def probe(self) -> Iterable[Finding]:
        return self.found

    async def look(self, *found: Finding) -> None:
        self.found = found
        await self.table.look()


async def standing(database: Database) -> list[tuple[str, str]]:
    return [(alarm.kind, alarm.object) for alarm in await alarms.list_(database)]


async def test_a_fault_of_one_probe_keeps_nothing_else_from_being_told(database: Database) -> None:
    async def at_fault() -> Iterable[Finding]:
        raise ValueError("words that nobody knows")

    watch = Watch(database)
    watch.table = AlarmTable(database, 1, {"at fault": at_fault, "test": watch.probe}, NoTeller(), lambda: AT_ONCE)
    await watch.look(DOWN)
    assert await standing(database) == [("channel_down", "channel/a")]
    await watch.look()
    assert [alarm.kind for alarm in watch.table.standing] == ["channel_down"], "not seen is not gone"


async def test_an_alarm_stands_once_and_is_cleared(database: Database) -> None:
    watch = Watch(database)
    for _ in range(3):
        await watch.look(DOWN)
    (alarm,) = await alarms.list_(database)
    told = alarm.kind, alarm.object, alarm.severity, alarm.detail.english
    assert told == ("channel_down", "channel/a", CRITICAL, "no answer")
    assert alarm.count == 1  # standing still costs nothing
    assert [s.object for s in watch.table.standing] == ["channel/a"]
    await watch.look(replace(DOWN, detail="connection refused"))
    (changed,) = await alarms.list_(database)
    assert (changed.id, changed.detail.english, changed.count) == (alarm.id, "connection refused", 2)
    await watch.look()
    assert await alarms.list_(database) == []
    assert watch.table.standing == []
    (past,) = await alarms.list_(database, everything=True)
    assert past.cleared_at is not None
    await watch.look(DOWN)
    (again,) = await alarms.list_(database)
    assert (again.id, again.since) == (alarm.id, alarm.since), "it was not over for long"
    await watch.look()
    await database.execute("UPDATE alarm SET cleared_at = cleared_at - alarm_hold()")
    await watch.look(DOWN)
    (anew,) = await alarms.list_(database)
    assert anew.id != alarm.id


async def lives(database: Database, *nodes: int) -> None:
    await database.execute("DELETE FROM lease")
    await database.execute(
        "INSERT INTO lease SELECT 'node/' || n, n, n, now() + interval '1 hour' FROM unnest($1::int[]) n", list(nodes)
    )


async def test_nodes_that_know_different_things_do_not_undo_each_other(database: Database) -> None:
    await lives(database, 1, 2)
    unknown = Finding("unknown_code", "channel/a", WARNING)
    one, other = Watch(database), Watch(database, 2)
    for _ in range(3):
        await one.look(unknown)
        await other.look()
    (alarm,) = await alarms.list_(database, everything=True)
    assert (alarm.count, alarm.cleared_at) == (1, None)
    await one.look()
    assert await standing(database) == []
    await one.look(replace(unknown, object="channel/b"))
    await lives(database, 2)
    await other.look()
    assert await standing(database) == [], "nobody is left who knows of it"


async def test_what_two_nodes_name_is_over_when_neither_does(database: Database) -> None:
    await lives(database, 1, 2)
    one, other = Watch(database), Watch(database, 2)
    low = Finding("success_low", "channel/a", WARNING, "98 %")
    for _ in range(3):
        await one.look(replace(low, detail="97 %"))
        await other.look(low)
    (alarm,) = await alarms.list_(database)
    assert alarm.count < 5, "they do not write in turn"
    for _ in range(3):
        await one.look()
        await other.look(low)
    (stands,) = await alarms.list_(database)
    assert stands.id == alarm.id
    await other.look()
    await one.look()
    assert await standing(database) == []


async def test_what_belongs_to_a_part_of_a_node_is_that_nodes_to_clear(database: Database) -> None:
    one = Watch(database)
    await one.look(Finding("audit_anchor", "node/1/evidence", CRITICAL))
    await Watch(database, 12).look()
    assert len(await standing(database)) == 1
    await one.look()
    assert await standing(database) == []


async def test_a_new_process_takes_over_what_stood_and_leaves_other_nodes_alone(database: Database) -> None:
    await Watch(database).look(Finding("disk_low", "node/1", CRITICAL), DOWN)
    await Watch(database, 2).look()
    assert await standing(database) == [("disk_low", "node/1")]
    await Watch(database).look()
    assert await standing(database) == []


async def test_what_may_come_back_within_its_delay_is_not_cleared(database: Database) -> None:
    await Watch(database).look(DOWN)
    await Watch(database).look(replace(DOWN, after=30.0))  # after a restart: it is down, and not for long enough yet
    assert len(await standing(database)) == 1


async def test_alarms_stand_without_a_database_and_are_stored_afterwards(dsn: str) -> None:
    away = Database(dsn)
    watch, finding = Watch(away), Finding("database_down", "node/1", CRITICAL)
    await watch.look(finding)  # not connected
    assert [s.kind for s in watch.table.standing] == ["database_down"]
    since = watch.table.standing[0].since
    await away.open()
    await watch.look(finding)
    (stored,) = await alarms.list_(away)
    assert stored.since == since
    await away.close()


async def test_acknowledging(database: Database) -> None:
    watch, low = Watch(database), Finding("standby_low", "pool/p", WARNING)
    await watch.look(low)
    (alarm,) = await alarms.list_(database)
    assert await alarm_service.acknowledge(by_test(database, actor="me"), [alarm.id]) == 1
    await watch.look(low)
    (taken,) = await alarms.list_(database)
    assert taken.acked_by == "me"
    await watch.look()
    with refused("NOT_FOUND"):
        await alarm_service.acknowledge(by_test(database, actor="me"), [alarm.id])


async def channel(database: Database, name: str = "a") -> int:
    return await database.fetchval(  # type: ignore[no-any-return]
        "INSERT INTO channel (name, protocol, host, port, username, password_sealed, access_code) "
        "VALUES ($1, 'cmpp20', '127.0.0.1', 1, 'u', '', '1069') RETURNING id",
        name,
    )


async def test_complaints_above_the_ceiling_stop_marketing_there(database: Database) -> None:
    channel_id = await channel(database)
    await database.execute(
        "INSERT INTO stat_minute VALUES (date_trunc('minute', now()), 1, 1, $1, 'submitted', 10000)", channel_id
    )
    async with database.transaction() as connection:
        today = datetime.now(UTC).date()
        for signs in ({"店": 100_000, "别家": 5}, {"店": 100_000}):
            changes = Together()
            complaints.count_sent(changes, 1, today, signs)
            await changes.run(connection)
    limits = Settings(complaint_ceiling=100, complaint_minimum=2)
    for n, stopped in enumerate((False, True)):
        await register.enter(by_test(database), PHONE, sign="店", channel="a")
        node = await lists(database, limits)
        assert node.marketing_stopped(channel_id) is stopped, "one of 10,000 is too few; two are 200 per million"
        assert node.refusal(OTHER, 1, MARKETING, "店") is None  # 2 of 200,000 are 10 per million
        rates = {r.name: (r.complaints, r.sent) for r in await complaints.rates(database, limits)}
        assert rates == {"a": (n + 1, 10_000), "店": (n + 1, 200_000)}
    assert [f.object for f in node.findings()] == ["channel/a"]
    for _ in range(2):
        await register.enter(by_test(database), PHONE, sign="别家")
    await node.judge()
    named = {"object": phrase("complaint.sign", sign="别家")}
    assert node.refusal(OTHER, 1, MARKETING, "别家") == ("COMPLAINT_CEILING", named)
    assert node.refusal(OTHER, 1, MessageType.NOTICE, "别家") is None
    assert {f.object for f in node.findings()} == {"channel/a", "sign/别家"}
    off = await lists(database, Settings(complaint_ceiling=0))
    assert off.findings() == []


async def test_a_complaint_is_about_the_newest_message_that_fits(database: Database) -> None:
    now = first_id(datetime.now(UTC))
    for id_, sign in ((now - 2, "店"), (now - 1, "别家")):
        await database.execute(
            "INSERT INTO message (id, batch_id, account_id, origin, type, number, carrier, province, content, sign, "
            "coding, parts, concat_ref, price) VALUES ($1, $1, 1, 'api', 'notice', $2, '', '', '', $3, '', 1, 1, 1)",
            id_, PHONE, sign,
        )  # fmt: skip
    for number, sign, message_id, found in (
        (PHONE, "", now - 1, "别家"), (PHONE, "店", now - 2, "店"), (OTHER, "", None, ""),
    ):  # fmt: skip
        about = await register.enter(by_test(database), number, sign=sign)
        assert (about.message_id, about.sign) == (message_id, found)
    with refused("NOT_FOUND"):
        await register.enter(by_test(database), OTHER, channel="nowhere")


async def test_a_move_keeps_the_number_before(database: Database) -> None:
    channel_id = await channel(database)
    one = await accounts.add(by_test(database), "one", extend_code="55")
    await accounts.add(by_test(database), "two", extend_code="66")
    assert await channels.move_access_code(by_test(database), "a", "1070") == "1069"
    assert await accounts.move_extension(by_test(database), one, "", "56") == "55"
    assert await accounts.move_extension(by_test(database), one, "店", "88") == "56"
    assert await accounts.move_extension(by_test(database), one, "店", "89") == "88"
    extensions, former = await codes.load(database)
    assert former == [codes.AccessCode(channel_id, "1069")]
    assert set(extensions) == {
        codes.Extension(one, "店", "89"), codes.Extension(one, "", "55", True), codes.Extension(one, "店", "56", True),
        codes.Extension(one, "店", "88", True),
    }  # fmt: skip
    for taken in ("55", "66", "89"):
        name = "one" if taken == "66" else "two"
        with refused("STATE_CONFLICT"):
            await accounts.move_extension(by_test(database), await id_of(database, name), "", taken)
    assert (await codes.load(database))[0] == extensions
    await change(database.dsn, "UPDATE old_code SET until = now() - interval '1 second'")
    assert await codes.load(database) == ([codes.Extension(one, "店", "89")], [])
    async with database.transaction() as connection:
        await codes.sweep(connection)
    assert await database.fetchval("SELECT count(*) FROM old_code") == 0


async def test_moves_that_make_no_sense(database: Database) -> None:
    with refused("NOT_FOUND"):
        await channels.move_access_code(by_test(database), "nowhere", "1070")
    with refused("NOT_FOUND"):
        await accounts.move_extension(by_test(database), 0, "", "1")
    with refused("EXTEND_CODE_INVALID"):
        await accounts.move_extension(by_test(database), 0, "", "x")


async def test_settings_are_kept_and_checked(database: Database) -> None:
    await settings_service.put(by_test(database), "optout_words", ["Ｎ"])
    await settings_service.put(by_test(database), "complaint_ceiling", 7)
    assert await settings.load(database) == Settings(optout_words=("n",), complaint_ceiling=7)
    with refused("PARAM_INVALID"):
        await settings_service.put(by_test(database), "complaint_ceiling", -1)


async def test_an_extension_is_given_however_many_messages_have_to_be_looked_at(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days of messages take their time; the account goes on sending meanwhile."""
    id_ = await accounts.add(by_test(database), "acme")
    slow = (
        "SELECT 0 AS id, '' AS name FROM pg_sleep(5.5)"
        " WHERE ($1::text, $2::bigint, $3::bigint) IS NOT NULL AND clock_timestamp() < '2000-01-01'"
    )
    monkeypatch.setattr(extensions, "_IN_USE", slow)
    async with asyncio.TaskGroup() as group:
        given = group.create_task(accounts.move_extension(by_test(database), id_, "", "12"))
        await asyncio.sleep(0.5)
        await database.execute("UPDATE account SET balance = balance + 1 WHERE name = 'acme'", timeout=4)
        assert not given.done()
    assert await database.fetchval("SELECT extend_code FROM account WHERE name = 'acme'") == "12"
