"""Events in the ledger: whose way they go, who takes them, what a look for them reads; and ``/webhooks`` over HTTP."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web
from api_server import Api
from changes import by_test
from receiver import Receiver, Stage

from smsgw.core import optout, queue_cursors
from smsgw.core.blocklist import MANUAL, OPT_OUT, Scope
from smsgw.core.errors import Temporary
from smsgw.core.ids import IdSource, first_id
from smsgw.core.model import Inbound
from smsgw.core.queue_cursors import Stretch
from smsgw.core.webhooks import Way
from smsgw.pipeline.delivery import event_heads, pulling
from smsgw.pipeline.delivery.event_heads import EventHead
from smsgw.pipeline.events import OTHERS
from smsgw.platform.accounts import service as accounts
from smsgw.platform.channels import service as channels
from smsgw.platform.lists import service as lists
from smsgw.platform.webhooks import queries as webhook_queries, service as webhooks
from smsgw.platform.webhooks.model import EventSetting
from smsgw.runtime import clock
from smsgw.store.config import channels as channels_store, webhooks as webhooks_store
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import account_events, events, inbound, pushing
from smsgw.store.messages.events import Found
from smsgw.store.messages.inbound import Arrived


class Account:
    def __init__(self, database: Database, account_id: int) -> None:
        self.database = database
        self.account_id = account_id
        self.ids = IdSource(1, lambda: time.time_ns() // 1_000_000)

    async def reports(self, *message_ids: int, account_id: int | None = None) -> list[int]:
        """Reports about these messages, which are made where they are missing; the ids of the events."""
        made = []
        for message_id in message_ids:
            await self.database.execute(
                """INSERT INTO message (id, batch_id, account_id, origin, type, number, carrier, province, content,
                                        sign, coding, parts, concat_ref, price)
                   VALUES ($1, $1, $2, 'api', 'otp', '8613800000000', 'CMCC', '', 'x', '', 'gsm7', 1, 0, 1)
                   ON CONFLICT DO NOTHING""",
                message_id,
                account_id or self.account_id,
            )
            made.append(self.ids.next())
            await self.database.execute(
                """INSERT INTO customer_event (id, account_id, kind, message_id, status, class, code, parts_ok)
                   VALUES ($1, $2, 'report', $3, 'delivered', '', 'DELIVRD', 1)""",
                made[-1], account_id or self.account_id, message_id,
            )  # fmt: skip
        return made

    async def pull(self, *, primary: bool = True, lease_s: int = 60) -> tuple[int | None, list[int]]:
        batch = self.ids.next()
        found = await events.pull_events(
            self.database, self.account_id, "report", 500, batch=batch, primary=primary, lease_s=lease_s
        )
        return batch if found else None, [int(str(item["event_id"])) for item in found.events]

    async def take(self, kind: str, *tests: bool, known: pulling.PullHeads | None = None) -> Any:
        stored = await webhooks_store.load(self.database, Sealer(secrets.token_bytes(32)))
        return await pulling.take(
            self.database, known or pulling.PullHeads(clock.now), stored, self.account_id, kind, 500,
            ids=self.ids.next, tests=tests or (False,),
        )  # fmt: skip

    async def record(self, kind: str, **detail: int) -> None:
        async with self.database.transaction() as connection:
            await events.record(connection, kind, [(self.account_id, detail)], ids=self.ids.next)

    async def claim(self, limit: int = 10, **how: Any) -> list[int]:
        return (await events.claim_bound(self.database, self.account_id, "report", limit, **how)).ids


@pytest_asyncio.fixture
async def account(database: Database) -> Account:
    return Account(database, await accounts.add(by_test(database), "acme"))


async def test_events_for_a_connection_are_claimed_once_and_come_back(account: Account) -> None:
    a, b, c = await account.reports(*(account.ids.next() for _ in range(3)))
    first = (await events.claim_bound(account.database, account.account_id, "report", 2)).events
    assert [e.id for e in first] == [a, b]
    assert first[0].code == "DELIVRD"
    assert await account.claim() == [c], "what is claimed is nobody else's"
    assert await events.ack_bound(account.database, account.account_id, [a]) == 1
    assert await events.ack_bound(account.database, account.account_id, [a]) == 0
    assert await events.return_bound(account.database, account.account_id, [b]) == 1
    again = (await events.claim_bound(account.database, account.account_id, "report", 10)).events
    assert [(e.id, e.tries) for e in again] == [(b, 0)], "a lost connection is no failed try"
    await events.return_bound(account.database, account.account_id, [b], delay_s=30, problem="0x14")
    assert await account.claim() == [], "it has to wait"
    await events.return_bound(account.database, account.account_id, [b], problem="0x14")
    claimed = await events.claim_bound(account.database, account.account_id, "report", 9)
    assert [e.tries for e in claimed.events] == [2]


async def test_a_claim_that_is_forgotten_lapses(account: Account) -> None:
    (a,) = await account.reports(account.ids.next())
    assert await account.claim(lease_s=4) == [a]
    assert await account.claim() == []
    await asyncio.sleep(4.05)  # the database's own clock decides
    assert await account.claim() == [a]


async def test_a_second_report_of_a_message_waits_for_the_first(account: Account) -> None:
    message = account.ids.next()
    first, second, other = await account.reports(message, message, account.ids.next())
    assert await account.claim(1) == [first]
    assert await account.claim() == [other]
    await events.return_bound(account.database, account.account_id, [first], delay_s=30, problem="busy")
    assert await account.claim() == [], "nor while the first has to be tried again"
    await events.ack_bound(account.database, account.account_id, [first])
    assert await account.claim() == [second]


async def test_many_connections_claim_without_overlap(account: Account) -> None:
    made = await account.reports(*(account.ids.next() for _ in range(60)))
    taken: list[int] = []

    async def connection() -> None:
        while got := await account.claim(4):
            taken.extend(got)

    await asyncio.gather(*(connection() for _ in range(6)))
    assert sorted(taken) == made


async def test_only_the_accounts_own_events(account: Account) -> None:
    other = await accounts.add(by_test(account.database), "other")
    (theirs,) = await account.reports(account.ids.next(), account_id=other)
    assert await account.claim() == []
    assert await events.ack_bound(account.database, account.account_id, [theirs]) == 0
    assert await events.return_bound(account.database, account.account_id, [theirs]) == 0


async def test_each_way_takes_what_is_its_own(account: Account) -> None:
    a, b = await account.reports(account.ids.next(), account.ids.next())
    await account.database.execute("UPDATE customer_event SET way = 'pull' WHERE id = $1", b)
    assert await account.claim() == [a], "b was put down for pulling"
    assert (await account.pull(primary=False))[1] == [b]
    await events.return_bound(account.database, account.account_id, [a])
    assert await account.claim(primary=False) == []
    batch, got = await account.pull(primary=True, lease_s=0)
    assert got == [a]
    assert await events.ack_events(account.database, account.account_id, ["report"], batch or 0, test=True) == 0
    assert await events.ack_events(account.database, account.account_id, ["report"], batch or 0) == 1


async def test_who_rehearses_pulls_what_is_real_and_what_is_not(account: Account) -> None:
    real, rehearsed = await account.reports(account.ids.next(), account.ids.next())
    await account.database.execute("UPDATE customer_event SET test = true WHERE id = $1", rehearsed)
    batch, items, _ = await account.take("report", False, True)
    assert {int(str(i["event_id"])) for i in items} == {real, rehearsed}
    assert await events.ack_events(account.database, account.account_id, ["report"], batch, test=None) == 2


async def test_recorded_events_are_pulled_with_what_they_say(account: Account) -> None:
    await account.record("balance.low", available=7, below=100)
    with pytest.raises(ValueError, match="no type"):
        await account.record("message.report", available=7)
    batch, items, more = await account.take(OTHERS)
    assert not more
    assert [(i["type"], i["available"], i["below"]) for i in items] == [("balance.low", 7, 100)]
    assert await events.ack_events(account.database, account.account_id, events.OTHER_KINDS, batch) == 1


async def test_what_a_failed_pull_has_leased_is_its_batch(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else would have it before that lease lapses."""
    first, *others = events.OTHER_KINDS
    await account.record(first, available=7, below=100)
    known, real, failing = pulling.PullHeads(clock.now), events.pull_events, {first}

    async def away(database: Database, account_id: int, kind: str, *about: Any, **how: Any) -> Any:
        if kind in failing:
            raise Temporary("STORAGE_UNAVAILABLE")
        return await real(database, account_id, kind, *about, **how)

    monkeypatch.setattr(events, "pull_events", away)
    with pytest.raises(Temporary):
        await account.take(OTHERS, known=known)
    failing.clear()
    failing.update(others)
    batch, items, more = await account.take(OTHERS, known=known)
    assert ([i["type"] for i in items], more) == ([first], True)
    failing.clear()
    assert await account.take(OTHERS, known=known) == (None, [], False)
    assert await events.ack_events(account.database, account.account_id, events.OTHER_KINDS, batch) == 1


async def test_the_way_is_set_and_followed(account: Account) -> None:
    sealer = Sealer(secrets.token_bytes(32))
    assert (await webhooks_store.load(account.database, sealer)).account_way(account.account_id) is Way.PULL
    await webhooks.edit_setting(by_test(account.database), account.account_id, way="bind", balance_below=50)
    hooks = await webhooks_store.load(account.database, sealer)
    assert hooks.way(account.account_id, "message.report") is Way.BIND
    assert hooks.way(account.account_id, "balance.low") is Way.PULL, "a connection takes only messages"
    assert await webhook_queries.setting(account.database, account.account_id) == EventSetting("bind", 50)


DELIVERED = 3000

_ENTER = """
INSERT INTO customer_event (id, account_id, kind, message_id, status, class, code, parts_ok)
SELECT id, $1, 'report', id, 'delivered', '', 'DELIVRD', 1 FROM unnest($2::bigint[]) AS id
"""
_MESSAGE = """
INSERT INTO message (id, batch_id, account_id, origin, type, number, carrier, province, content, sign, coding, parts,
                     concat_ref, price)
SELECT id, id, $1, 'api', 'otp', '8613800000000', 'CMCC', '', 'x', '', 'gsm7', 1, 0, 1 FROM unnest($2::bigint[]) AS id
"""
_READ = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_all_indexes WHERE relname ~ '^customer_event' AND idx_scan > 0"


class Beside:
    """An account many of whose reports have been delivered since somebody began to keep a snapshot."""

    def __init__(self, database: Database, watch: asyncpg.Connection, account_id: int) -> None:
        self.database = database
        self.watch = watch
        self.account_id = account_id
        self.ids = IdSource(1, lambda: time.time_ns() // 1_000_000)

    async def enter(self, ids: list[int]) -> list[int]:
        await self.database.execute(_MESSAGE, self.account_id, ids)
        await self.database.execute(_ENTER, self.account_id, ids)
        return ids

    async def acknowledge(self, ids: list[int]) -> None:
        await self.database.execute(
            "UPDATE customer_event SET acknowledged_at = now() WHERE id = ANY($1::bigint[])", ids
        )

    async def read(self) -> int:
        """Entries of indexes of events that statements have come across by now."""
        async with self.database.acquire() as connection:  # whose own figures are told by itself
            await connection.execute("SELECT pg_stat_force_next_flush()")
            await connection.execute("SELECT 1")
        await self.watch.execute("SELECT pg_stat_clear_snapshot()")
        return int(await self.watch.fetchval(_READ) or 0)

    async def pushed(self, within: Stretch, limit: int) -> Found[pushing.Due]:
        return await pushing.claim(
            self.database, self.account_id, "report", limit, now=clock.now(), primary=True, under_way=[], within=within
        )

    async def pulled(self, within: Stretch, limit: int) -> Found[dict[str, object]]:
        return await events.pull_events(
            self.database, self.account_id, "report", limit, batch=self.ids.next(), primary=True, within=within
        )

    async def bound(self, within: Stretch, limit: int) -> Found[events.BoundEvent]:
        return await events.claim_bound(self.database, self.account_id, "report", limit, within=within)


@pytest_asyncio.fixture
async def beside(dsn: str) -> AsyncIterator[Beside]:
    database = Database(dsn, size=1)
    await database.open()
    watch, keeper = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        account_id = await accounts.add(by_test(database), "acme")
        keeping = keeper.transaction(isolation="repeatable_read", readonly=True)
        await keeping.start()
        await keeper.fetchval("SELECT count(*) FROM account")
        one = Beside(database, watch, account_id)
        begin = first_id(clock.now() - timedelta(seconds=60))
        await one.acknowledge(await one.enter([begin + n * 4096 for n in range(DELIVERED)]))
        await watch.execute("VACUUM ANALYZE customer_event")
        yield one
    finally:
        await keeper.close()
        await watch.close()
        await database.close()


@pytest.mark.parametrize("way", ["pushed", "pulled", "bound"])
async def test_a_look_reads_what_is_new(beside: Beside, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_cursors, "DEAR", -1.0)  # each look is dear
    monkeypatch.setattr(event_heads, "DEAR", -1.0)
    find: Callable[[Stretch, int], Awaitable[Found[object]]] = getattr(beside, way)
    head = EventHead(clock.now)
    before = await beside.read()
    assert not (await head.look(100, find)).ids
    first = await beside.read() - before
    assert first >= DELIVERED, "it walks over all that was delivered"
    head._heads._due = float("inf")  # no rounds
    (new,) = await beside.enter([beside.ids.next()])
    before = await beside.read()
    assert (await head.look(100, find)).ids == [new]
    assert await beside.read() - before < DELIVERED / 10
    await beside.acknowledge([new])
    (late,) = await beside.enter([first_id(clock.now() - timedelta(days=2))])
    assert not (await head.look(100, find)).ids
    head._heads._due = 0.0
    assert (await head.look(100, find)).ids == [late]


async def test_a_pull_whose_round_fails_has_what_is_new(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_cursors, "DEAR", -1.0)
    known = pulling.PullHeads(clock.now)
    hooks = await webhooks_store.load(beside.database, Sealer(secrets.token_bytes(32)))

    async def take() -> list[int]:
        _, items, _ = await pulling.take(
            beside.database, known, hooks, beside.account_id, "report", 100, ids=beside.ids.next, tests=(False,)
        )
        return [int(str(item["event_id"])) for item in items]

    assert await take() == []
    head = known.of((beside.account_id, "report", True, False))
    assert head.since > first_id(clock.now() - timedelta(days=1))
    real = events.pull_events

    async def given_up(*about: object, within: Stretch, **how: object) -> Found[dict[str, object]]:
        if within.last != queue_cursors.ALL:
            async with beside.database.acquire() as connection:
                await connection.execute("SET statement_timeout = 10")
                try:
                    await connection.execute("SELECT pg_sleep(10)")
                finally:
                    await connection.execute("RESET statement_timeout")
        return await real(*about, within=within, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(events, "pull_events", given_up)
    (new,) = await beside.enter([beside.ids.next()])
    (late,) = await beside.enter([first_id(clock.now() - timedelta(hours=3))])
    head._heads._due = 0.0
    assert await take() == [new]
    assert not head.due, "it rests"
    monkeypatch.setattr(events, "pull_events", real)
    monkeypatch.setattr(queue_cursors, "DEAR", 60.0)
    found: list[int] = []
    for _ in range(50):
        head._heads._due = 0.0
        found += await take()
        if found:
            break
    assert found == [late]


async def test_a_webhook_lives_from_first_secret_to_removal(api: Api, receiver: Receiver) -> None:
    made = await api.call("PUT", "/webhooks/main", {"url": receiver.origin, "options": {"max_items": 10}})
    assert made.status == 200, made.body
    assert made.data["secret"].startswith("whsec_")
    assert made.data["webhook"]["options"] == {"max_items": 10}
    again = await api.call("PUT", "/webhooks/main", {"url": receiver.origin + "/2"})
    assert again.data["secret"] is None
    listed = await api.get("/webhooks")
    assert (listed.data["way"], [w["url"] for w in listed.data["items"]]) == ("webhook", [receiver.origin + "/2"])
    assert "secret" not in listed.data["items"][0]
    rotated = await api.post("/webhooks/main/secret", {"keep_old_hours": 2})
    assert rotated.data["secret"] not in ("", made.data["secret"])
    assert (await api.get("/webhooks/main")).data["old_secret_until"]
    assert (await api.post("/webhooks/main/secret", {})).code == "STATE_CONFLICT", "the former one signs"
    assert (await api.post("/webhooks/main/secret", {"force": True})).data["secret"]
    await api.ctx.pusher._sender.start()
    await api.ctx.pusher._writer.start()
    try:
        tested = await api.post("/webhooks/main/test")
        assert (tested.data["ok"], tested.data["http_status"]) == (True, 200)
        assert tested.data.keys() == {"ok", "http_status", "ms", "problem"}, "nothing of what the receiver said"
        assert receiver.calls[0].json["type"] == "webhook.test"
        receiver.reply = lambda _: web.Response(status=500)
        assert (await api.post("/webhooks/main/test")).data["problem"] == "HTTP 500"
        calls = (await api.get("/webhooks/main/calls")).data["items"]
        assert [c["http_status"] for c in calls] == [500, 200]
    finally:
        await api.ctx.pusher._writer.stop()
        await api.ctx.pusher._sender.stop()
    assert (await api.post("/webhooks/main/disable")).data["status"] == "disabled"
    assert (await api.post("/webhooks/main/enable")).data["status"] == "active"
    assert (await api.call("DELETE", "/webhooks/main")).data["items"] == []
    assert (await api.get("/webhooks/main")).code == "NOT_FOUND"


async def test_what_cannot_be_is_refused_by_field(api: Api) -> None:
    https = {"url": "https://example.org/"}
    for body, field in (
        *(({"url": url}, "url") for url in (
            "ftp://example.org/", "https://user:pw@example.org/", "http://10.0.0.1/", "http://169.254.169.254/latest",
            "http://0x7f000001/", "http://[::ffff:10.1.1.1]/", "https://example.org/{message_id}",
        )),
        (https | {"events": ["message.lost"]}, "events"), (https | {"hosts": ["example.org"]}, "hosts"),
        (https | {"options": {"format": "form", "max_items": 5}}, "max_items"),
        (https | {"options": {"format": "get"}}, "url"), (https | {"options": {"fields": {"a": "x;y"}}}, "fields"),
    ):  # fmt: skip
        answer = await api.call("PUT", "/webhooks/main", body)
        assert (answer.status, answer.code, answer.data["field"]) == (400, "PARAM_INVALID", field), body


async def test_a_type_has_one_endpoint_and_some_need_more_rights(api: Api) -> None:
    url = "https://example.org/"
    assert (await api.call("PUT", "/webhooks/a", {"url": url, "events": ["message.report"]})).status == 200
    taken = await api.call("PUT", "/webhooks/b", {"url": url, "events": ["message.report"]})
    assert taken.data["field"] == "events"
    denied = await api.call("PUT", "/webhooks/c", {"url": url, "events": ["channel.state"]})
    assert (denied.code, denied.data["scope"]) == ("SCOPE_DENIED", "admin")
    sets, reads = [await api.add_key(scopes=scopes) for scopes in (("webhook",), ("report", "mo", "query"))]
    assert (await api.call("PUT", "/webhooks/d", {"url": url}, key=sets)).data == {"scope": "mo"}
    assert (await api.get("/webhooks", key=reads)).data["way"] == "webhook"
    only_send = await api.add_key(scopes=("send",))
    assert (await api.get("/webhooks", key=only_send)).code == "SCOPE_DENIED"


async def test_a_message_may_name_an_address_of_the_accounts_list(api: Api) -> None:
    api.acceptor._destinations = api.ctx.pusher.destinations
    body = {"to": ["13800138000"], "content": "x", "callback_url": "https://hooks.example.org/a"}
    refused = await api.post("/messages", body)
    assert (refused.code, refused.data["field"]) == ("PARAM_INVALID", "callback_url")
    await api.call("PUT", "/webhooks/callback", {"hosts": [".example.org"]})
    await api.ctx.snapshots.follow()
    foreign = await api.post("/messages", body | {"callback_url": "https://example.com/"})
    assert foreign.code == "PARAM_INVALID"
    assert (await api.post("/messages", body)).status == 202
    assert await api.ctx.db.fetchval("SELECT callback_url FROM message") == body["callback_url"]
    assert (await api.get("/webhooks")).data["way"] == "pull", "an own address does not change the account's way"


async def test_an_opt_out_is_told(stage: Stage) -> None:
    one = Inbound(1, "mo-1", "8613800138000", "1069", "TD", datetime.now(UTC))
    async with stage.database.transaction() as connection:
        await inbound.commit_inbound(
            connection, [Arrived(one, stage.account_id, "")], stage.ids.next, optout.DEFAULT_WORDS
        )
    kinds = [row["kind"] for row in await stage.rows()]
    assert sorted(kinds) == ["mo", "optout.created"]
    assert '"8613800138000"' in next(r["detail"] for r in await stage.rows() if r["kind"] != "mo")


async def test_opt_outs_that_are_recorded_are_told_once(stage: Stage) -> None:
    numbers = ["8613800138001", "8613800138002"]
    ours, everybodys = Scope(stage.account_id, "marketing", "店"), Scope(0, "marketing", "店")

    async def told(new: list[str], scope: Scope, source: str = OPT_OUT) -> list[str]:
        before = {row["id"] for row in await stage.rows()}
        await lists.block(by_test(stage.database, stage.ids.next), new, scope, source, "来电", tell=True)
        rows = [row for row in await stage.rows() if row["id"] not in before]
        assert {row["kind"] for row in rows} <= {"optout.created"}
        details = [json.loads(row["detail"]) for row in rows]
        assert all((d["sign"], d["content"]) == ("店", "来电") for d in details)
        return sorted(d["number"] for d in details)

    assert await told(numbers[:1] * 2, ours) == numbers[:1]
    assert await told(numbers, ours) == numbers[1:]
    assert await told(numbers, everybodys) == []
    assert await told(numbers, ours, MANUAL) == []
    assert await told(numbers, ours) == [], "no entry by hand has taken their place"
    await lists.unblock(by_test(stage.database), numbers[0], ours, reason="")
    assert await told(numbers, ours) == numbers[:1]


async def test_a_low_balance_is_told_once_until_it_is_filled_up(stage: Stage) -> None:
    async def told() -> int:
        await account_events.tell_low_balances(stage.database, stage.ids.next)
        return await stage.database.fetchval("SELECT count(*) FROM customer_event WHERE kind = 'balance.low'")

    await accounts.top_up(by_test(stage.database, stage.ids.next), stage.account_id, 90, "")
    await webhooks.edit_setting(by_test(stage.database), stage.account_id, way="pull", balance_below=100)
    assert [await told(), await told()] == [1, 1]
    await accounts.top_up(by_test(stage.database, stage.ids.next), stage.account_id, 50, "")
    assert await told() == 1
    await accounts.top_up(by_test(stage.database, stage.ids.next), stage.account_id, -60, "")
    assert await told() == 2


async def test_changes_of_a_channel_are_told_in_order_to_who_asked(stage: Stage) -> None:
    fields = {"protocol": "smpp34", "host": "127.0.0.1", "port": 1, "username": "u", "password": "p",
              "carriers": ["CTCC"]}  # fmt: skip
    channel_id = await channels.add(by_test(stage.database), stage.sealer, "one", fields)

    async def told() -> int:
        return await account_events.tell_channels(stage.database, [stage.account_id], stage.ids.next)

    assert await told() == 0, "the first look tells nothing"
    await channels_store.say(stage.database, 1, [(channel_id, 1, "", False)])
    assert [await told(), await told()] == [1, 0]
    await channels_store.say(stage.database, 1, [(channel_id, 0, "reset by peer", False)])
    assert await told() == 1
    rows = await stage.rows()
    assert [row["message_id"] for row in rows] == [channel_id] * 2
    assert '"state": "up"' in rows[0]["detail"]
    assert "reset by peer" in rows[1]["detail"]
