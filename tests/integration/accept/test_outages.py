"""Outages of a real database under an acceptor with a spool: what is spooled drains and is entered once; what cannot be
known is not told."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import threading
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from api_server import Answer, Api, running
from changes import by_test
from days import noon
from dbproxy import DatabaseProxy
from harness import until
from standins import AnyFleet
from structlog.testing import capture_logs

from smsgw.core.actor import Actor
from smsgw.core.errors import SmsgwError, message_of
from smsgw.core.keywords import Word
from smsgw.core.kinds import CustomKind
from smsgw.core.model import MessageType, Origin
from smsgw.core.policy import NO_POLICY, PolicySet
from smsgw.pipeline.accept import acceptor, spooling
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.pipeline.accept.spooling import OutageSpool
from smsgw.platform.change import Change
from smsgw.platform.lists.consents import Given, Source, give, withdraw
from smsgw.platform.policies import service as policies
from smsgw.platform.review.service import Reviewing
from smsgw.platform.words import service as words
from smsgw.runtime import aio
from smsgw.store.engine.database import Database
from smsgw.store.engine.spool import Reader, Segment, Spool
from smsgw.store.messages import replaying

TEXT = "您好".encode()
"""Of a message: a transaction in which it goes to the database enters messages."""


@dataclass
class Gateway:
    """An API whose database is behind a proxy, and whose calls go to a spool while that is away."""

    api: Api
    proxy: DatabaseProxy
    folder: Path

    @property
    def spooling(self) -> Any:
        return self.api.acceptor.spooling

    async def post(self, *to: str, text: str = TEXT.decode(), key: str = "", **fields: Any) -> Answer:
        body = {"to": list(to), "content": text, **fields}
        return await self.api.post("/messages", body, **({"Idempotency_Key": key} if key else {}))

    def away(self) -> None:
        self.proxy.refusing = True
        self.proxy.cut()

    def back(self) -> None:
        self.proxy.refusing = False

    async def drained(self) -> None:
        await until(lambda: self.spooling.octets == 0, what="the spool is empty")

    async def back_and_drained(self) -> None:
        self.back()
        await self.drained()

    async def stored(self) -> int:
        return await self.api.ctx.db.fetchval("SELECT count(DISTINCT id) FROM part")


OPT_OUT = "INSERT INTO block_list (number, source, actor) VALUES ($1, 'opt_out', 'test')"
_numbers = itertools.count(13800000000)


def numbers(n: int) -> list[str]:
    return [str(next(_numbers)) for _ in range(n)]


@contextlib.asynccontextmanager
async def gateway(dsn: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    folder = tmp_path / "spool"
    async with DatabaseProxy(dsn) as proxy:
        outage = OutageSpool(Spool(folder, limit=1 << 26, header=replaying.COLUMNS), 600.0)
        known = {"available": {1: 10_000, 2: 10_000}}
        async with running(proxy.dsn, tmp_path, outage=outage, configured=known) as api:
            yield Gateway(api, proxy, folder)


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "OUTAGE_PATIENCE", 0.5)


@pytest_asyncio.fixture
async def here(dsn: str, tmp_path: Path, short_patience: None) -> AsyncIterator[Gateway]:
    async with gateway(dsn, tmp_path) as one:
        assert (await one.post(*numbers(1))).status == 202
        yield one


@pytest_asyncio.fixture
async def beside(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def test_calls_larger_than_the_writer_drain(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "MAX_QUEUED_PARTS", 1000)
    async with gateway(dsn, tmp_path) as here:
        here.away()
        for _ in range(30):
            assert (await here.post(*numbers(41))).status == 202
        await here.back_and_drained()
        assert await here.stored() == 30 * 41


async def test_the_outage_ends_while_calls_go_on_coming(here: Gateway) -> None:
    here.away()
    accepted = 1
    stop = asyncio.Event()

    async def load() -> None:
        nonlocal accepted
        running: set[asyncio.Task[Answer]] = set()
        while not stop.is_set():
            running.add(aio.spawn(here.post(*numbers(1)), name="post"))
            await asyncio.sleep(0.02)
        answers = await asyncio.gather(*running)
        assert {a.status for a in answers} == {202}
        accepted += len(answers)

    loading = aio.spawn(load(), name="load")
    await until(lambda: here.spooling.active, what="calls are spooled")
    await asyncio.sleep(0.5)
    here.proxy.latency = 0.03  # a commit takes a while, in which more has come
    here.back()
    await until(lambda: not here.spooling.active and not here.spooling.octets, what="the outage is over")
    assert not loading.done()
    stop.set()
    await loading
    assert await here.stored() == accepted


async def test_a_slow_database_drains_too(here: Gateway) -> None:
    here.proxy.latency = 0.3  # no commit is through within the patience of a caller
    answers = await asyncio.gather(*(here.post(*numbers(1)) for _ in range(20)))
    assert {a.status for a in answers} == {202}
    assert here.spooling.octets
    await here.drained()
    assert await here.stored() == 21


async def test_a_repeat_shares_the_fate_of_its_call(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncing, go = threading.Event(), threading.Event()

    def sync(_: int) -> None:
        syncing.set()
        go.wait(60)
        raise OSError(5, "Input/output error")

    async with gateway(dsn, tmp_path) as here:
        here.away()
        assert (await here.post(*numbers(1))).status == 202
        (to,) = numbers(1)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", sync)
            first = aio.spawn(here.post(to, client_ref="order-1"), name="first")
            assert await asyncio.to_thread(syncing.wait, 60)
            twin = aio.spawn(here.post(to, client_ref="order-1"), name="twin")
            done, _ = await asyncio.wait({first, twin}, timeout=0.5)
            go.set()
            told = [task.result().status for task in done]
            assert [(await first).status, (await twin).status] == [503, 503]
        assert not told, "nobody is told before the sync"
        assert not here.spooling.open
        await here.back_and_drained()
        assert await here.stored() == 1


async def test_a_repeat_of_a_repeat_gets_the_first_answer_during_an_outage(dsn: str, tmp_path: Path) -> None:
    async with gateway(dsn, tmp_path) as here:
        (to,) = numbers(1)
        first = await here.post(to, key="order-1")
        assert (await here.post(to, key="order-1")).data == first.data
        here.away()
        assert (await here.post(*numbers(1))).status == 202
        assert (await here.post(to, key="order-1")).data == first.data
        await here.back_and_drained()


@pytest.mark.parametrize(("bit", "lost"), [(60, 0), (len(replaying.COLUMNS) + 60, 1)], ids=["header", "record"])
async def test_what_a_bit_makes_unreadable_is_kept_and_all_else_is_entered(
    dsn: str, tmp_path: Path, bit: int, lost: int
) -> None:
    async with gateway(dsn, tmp_path) as here:
        here.away()
        for _ in range(10):
            assert (await here.post(*numbers(1))).status == 202
        (path,) = here.folder.iterdir()
        data = bytearray(path.read_bytes())
        data[bit] ^= 1
        path.write_bytes(data)
        await here.back_and_drained()
        assert await here.stored() == 10 - lost
        assert [p.suffix for p in here.folder.iterdir()] == [".kept"]
        await until(lambda: not here.spooling.calls, what="what is lost is not waited for")
        (finding,) = here.spooling.findings("node/1")
        assert finding.kind == "spool_damaged"
        next(here.folder.iterdir()).unlink()
        assert not here.spooling.findings("node/1")


async def test_what_another_version_has_spooled_is_kept_for_it(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(dsn, tmp_path) as here:
        here.away()
        (to,) = numbers(1)
        with monkeypatch.context() as patched:
            patched.setattr(replaying, "VERSION", replaying.VERSION + 1)
            assert (await here.post(to)).status == 202
        (path,) = here.folder.iterdir()
        written = path.read_bytes()
        with capture_logs() as logs:
            await here.back_and_drained()
        assert await here.stored() == 0
        assert [line["problem"] for line in logs if line["event"] == "spool.unreadable"] == [
            "a record of version 3 in the spool, where this smsgw reads version 2: "
            "let the smsgw that wrote it empty the spool, then update"
        ]
        (kept,) = here.folder.iterdir()
        assert (kept.suffix, kept.read_bytes()) == (".kept", written)
        assert [finding.kind for finding in here.spooling.findings("node/1")] == ["spool_damaged"]
    monkeypatch.setattr(replaying, "VERSION", replaying.VERSION + 1)
    (body,) = await Reader(Segment(kept, 1, len(written))).read()
    assert replaying.from_bytes(body).messages[0].number == f"86{to}", "the version that wrote it has it as it was"


@pytest.mark.parametrize("later", [True, False], ids=["update", "downgrade"])
async def test_what_has_other_columns_is_entered(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: bool
) -> None:
    """A spool that the smsgw before an update, or after it, has written."""
    (to,) = numbers(1)
    async with gateway(dsn, tmp_path) as here:
        here.away()
        assert (await here.post(to)).status == 202
        (path,) = here.folder.iterdir()
        reader = Reader(Segment(path, 1, path.stat().st_size))
        (body,) = await reader.read()
        columns, record = msgspec.msgpack.decode(reader.header), msgspec.msgpack.decode(body)
        for row in (columns["messages"], *record[2]["messages"]):
            row[:] = row[:-1] if later else ["unknown", *row]
        header = msgspec.msgpack.encode(columns)
        record[1] = zlib.crc32(header)
        other = Spool(tmp_path / "other", limit=1 << 20, header=header)
        await other.open()
        await other.append(msgspec.msgpack.encode(record))
        await other.close()
        path.write_bytes((tmp_path / "other" / path.name).read_bytes())
        here.spooling._spool._current.size = path.stat().st_size
        if later:
            monkeypatch.setattr(replaying.MessageRow, "_field_defaults", {"kind": ""})
        await here.back_and_drained()
        assert await here.stored() == 1
        assert not list(here.folder.iterdir())


@pytest.mark.parametrize("late", [0.0, 0.3])
async def test_a_commit_in_doubt_is_found_out(here: Gateway, late: float) -> None:
    """Without a key, and with the first COMMIT still under way in the server when it is repeated."""
    here.proxy.lose_commits(of=TEXT, late=late)
    answer = await here.post(*numbers(1))
    assert here.proxy.lost == 1
    assert answer.status == 202, answer.body
    assert await here.stored() == 2
    assert (await here.api.get("/balance")).data["balance"] == 9_998


async def test_a_commit_in_doubt_that_nobody_can_ask_about_is_not_called_refused(
    dsn: str, tmp_path: Path, beside: asyncpg.Connection
) -> None:
    """Where calls are refused while the database is away: the row stands, whatever became of the answer."""
    async with DatabaseProxy(dsn) as proxy, running(proxy.dsn, tmp_path) as api:
        assert (await api.post("/messages", {"to": numbers(1), "content": TEXT.decode()})).status == 202
        proxy.lose_commits(of=TEXT)
        (to,) = numbers(1)
        posted = aio.spawn(api.post("/messages", {"to": [to], "content": TEXT.decode()}), name="post")
        await until(lambda: proxy.lost, every=0.001, what="the commit's answer is lost")
        proxy.refusing = True
        answer = await posted
        assert await beside.fetchval("SELECT count(*) FROM message WHERE number = $1", f"86{to}") == 1
        assert (answer.status, answer.code) == (504, "STORAGE_UNCERTAIN")
        assert "未接收" not in answer.body["message"]
        assert "Retry-After" not in answer.headers
        never = await api.post("/messages", {"to": numbers(1), "content": TEXT.decode()})
        assert (never.status, never.code) == (503, "STORAGE_UNAVAILABLE"), "no commit of it was begun"


@pytest.mark.parametrize("why", ["poor", "full"])
async def test_a_commit_in_doubt_that_the_spool_does_not_take_is_not_called_refused(
    here: Gateway, beside: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "poor":
        monkeypatch.setattr(here.spooling, "_available", lambda account_id: 0)
    else:

        def full(octets: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(here.spooling._spool, "submit", full)
    here.proxy.lose_commits(of=TEXT)
    posted = aio.spawn(here.post(*numbers(1)), name="post")
    await until(lambda: here.proxy.lost, every=0.001, what="the commit's answer is lost")
    here.proxy.refusing = True
    answer = await posted
    assert (answer.status, answer.code) == (504, "STORAGE_UNCERTAIN")
    assert await beside.fetchval("SELECT count(*) FROM message") == 2
    here.back()


async def test_who_has_opted_out_meanwhile_gets_nothing(here: Gateway, beside: asyncpg.Connection) -> None:
    here.away()
    one, other, third = numbers(3)
    both = await here.post(one, other)
    alone = await here.post(third, key="alone")
    for number in (one, third):
        await beside.execute(OPT_OUT, int(f"86{number}"))
    await here.back_and_drained()
    gone, good, also = [i["message_id"] for i in both.data["items"] + alone.data["items"]]
    assert (await here.api.get(f"/messages/{good}")).data["status"] == "queued"
    for message_id in (gone, also):
        record = (await here.api.get(f"/messages/{message_id}")).data
        told = record["status"], record["carrier_code"], record["price"]
        assert told == ("rejected", "NUMBER_OPTED_OUT", 0)
        assert record["description"].startswith(message_of("NUMBER_OPTED_OUT", {"time": ""})[:4])
        reports = "SELECT status, code FROM customer_event WHERE message_id = $1"
        assert [tuple(r) for r in await beside.fetch(reports, int(message_id))] == [told[:2]]
    assert (await here.api.get("/balance")).data["balance"] == 9_998


@pytest.mark.parametrize("name", ["marketing", "club"])
async def test_who_withdraws_gets_no_spooled_marketing(here: Gateway, database: Database, name: str) -> None:
    change, account_id, (one, two) = by_test(database), here.api.account_id, numbers(2)
    given = Given(Source.PAPER, "V1", "file 7", datetime(2026, 1, 1, tzinfo=UTC))
    await give(change, account_id, [f"86{one}", f"86{two}"], given)
    asked = {**NO_POLICY.changes, (account_id, name): {"consent": "marketing"}}
    kinds = {"club": CustomKind("club", "会员", MessageType.MARKETING)}
    here.api.ctx.snapshots.change(policies=PolicySet(asked), kinds=kinds)  # type: ignore[attr-defined]
    await here.api.lists.follow()
    here.away()
    assert (await here.post(one, two, type=name)).status == 202
    id_ = await database.fetchval("SELECT id FROM consent WHERE number = $1", int(f"86{one}"))
    await withdraw(change, id_, "by telephone")
    await here.back_and_drained()
    rows = await database.fetch(
        "SELECT m.number, p.code FROM message m JOIN part p ON p.id = m.id WHERE m.type = 'marketing' ORDER BY m.number"
    )
    assert [tuple(row) for row in rows] == [(f"86{one}", "NUMBER_NO_CONSENT"), (f"86{two}", "")]


async def test_units_of_spooled_calls_are_not_spent_by_others(here: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outage is over, the spool is not empty: what was accepted first is paid first."""
    monkeypatch.setattr(spooling, "REPLAY_WEIGHT", 40)
    await here.api.ctx.db.execute("UPDATE account SET rate = 100000")
    await here.api.ctx.snapshots.follow()
    here.away()
    spooled = [await here.post(*numbers(1000)) for _ in range(9)]
    assert {a.status for a in spooled} == {202}
    here.back()
    await until(lambda: here.spooling.draining, every=0.002, what="it drains")
    assert here.spooling.reserved(here.api.account_id) >= 1000
    answer = await here.post(*numbers(1000))  # 999 are left
    assert (answer.status, answer.code) == (402, "BALANCE_INSUFFICIENT")
    await here.drained()
    assert await here.stored() == 9001
    assert here.spooling.reserved(here.api.account_id) == 0


async def test_the_database_goes_again_while_the_spool_drains(here: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a COMMIT under way that it makes all the same: calls are spooled as soon as in any outage, and what was
    committed and is spooled is one message."""
    monkeypatch.setattr(acceptor, "REPLAY_PATIENCE", 20.0)
    monkeypatch.setattr(spooling, "REPLAY_WEIGHT", 4)
    here.away()
    for _ in range(80):
        assert (await here.post(*numbers(1))).status == 202
    here.back()
    await until(lambda: here.spooling.draining, every=0.002, what="it drains")
    posts: list[asyncio.Task[Answer]] = []
    here.proxy.lose_commits(of=TEXT, late=0.2)
    while not here.proxy.lost:
        assert len(posts) < 1000, "no commit was lost"
        posts.append(aio.spawn(here.post(*numbers(1)), name="post"))
        await asyncio.sleep(0.005)
    here.proxy.refusing = True
    assert here.spooling.octets, "it drains still"
    posts.append(aio.spawn(here.post(*numbers(1)), name="post"))
    done, waiting = await asyncio.wait(posts, timeout=12)
    assert not waiting, "they wait as long as the replay does"
    assert {post.result().status for post in done} == {202}
    await here.back_and_drained()
    assert await here.stored() == 81 + len(posts)
    assert (await here.api.get("/balance")).data["balance"] == 10_000 - 81 - len(posts)


async def test_units_of_spooled_calls_are_counted_once_while_they_are_entered(
    here: Gateway, beside: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that can be paid is accepted, whichever part of a replay is in the ledger."""
    monkeypatch.setattr(spooling, "REPLAY_WEIGHT", 3)
    here.away()
    for n in (3, 1, 1, 1):  # two replays: the first ends the outage
        assert (await here.post(*numbers(n))).status == 202
    units = "UPDATE account SET balance = credit_floor + 7 WHERE id = $1"
    await beside.execute(units, here.api.account_id)
    monkeypatch.setattr(here.api.acceptor._writer._small, "_max_batch", 2)
    here.back()
    here.proxy.latency = 0.01
    writer = here.api.acceptor._writer
    await until(lambda: here.spooling.draining and writer.waiting == 3, every=0.001, what="the second one")
    answer = await here.post(*numbers(1))  # shares a commit with the third call of it
    assert answer.status == 202, answer.body
    await here.drained()
    assert (await here.api.get("/balance")).data["balance"] == 0
    assert here.spooling.reserved(here.api.account_id) == 0


@pytest.mark.root_only
async def test_the_disk_of_the_spool_is_full(dsn: str, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder], check=True)
    try:
        async with gateway(dsn, tmp_path) as here:
            assert (await here.post(*numbers(1))).status == 202
            total = 1
            for _ in range(2):  # it can be used again
                here.away()
                taken = 0
                while (answer := await here.post(*numbers(20))).status == 202:
                    taken += 1
                    assert taken < 100
                assert (answer.status, answer.code) == (503, "STORAGE_UNAVAILABLE")
                assert taken > 5
                assert [f.kind for f in here.spooling.findings("node/1")] == ["spool_failed"]
                await here.back_and_drained()
                total += 20 * taken
                assert await here.stored() == total
                await until(lambda: not here.spooling.active, what="the outage is over")
                assert not here.spooling.findings("node/1")
    finally:
        subprocess.run(["umount", folder], check=True)


GOOD, BAD = ("13800138000", "您好"), ("13800138001", "来赌博")
WORD = message_of("CONTENT_SENSITIVE", {"words": "赌博"})
ADDRESS = "https://reports.example.com/"


@pytest_asyncio.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running(dsn, tmp_path, now=noon) as built:
        await words.put(by_test(built.ctx.db), [Word("赌博")])
        await built.ctx.snapshots.follow()
        yield built


async def spooled(api: Api, *items: tuple[str, str], meanwhile: str = "", **how: Any) -> list[str]:
    """A call as the spool keeps it, entered after what has happened ``meanwhile``; the ids of its recipients."""
    account = api.ctx.snapshots.current.account(api.account_id)
    assert account is not None
    request = SendRequest(
        account, tuple(SendItem(*item) for item in items), MessageType(how.pop("type", "notice")),
        how.pop("origin", Origin.API), "t", callback_url=ADDRESS, **how,
    )  # fmt: skip
    prepared = await api.acceptor._prepare(request)
    assert prepared.call is not None
    body = replaying.to_bytes(prepared.call)
    if meanwhile:
        await api.ctx.db.execute(meanwhile)
    for _ in range(2):
        with suppress(SmsgwError):
            await api.acceptor._writer.put(replaying.from_bytes(body))
    return [str(item.message_id) for item in prepared.outcome.items]


async def ends(api: Api, ids: list[str]) -> list[tuple[str, str, str]]:
    """Status, code and reason of each record; a report of each that has ended says the same, once, to the address."""
    found = []
    for id_ in ids:
        record = (await api.get(f"/messages/{id_}")).data
        end = record["status"], record["carrier_code"], record["description"]
        rows = await api.ctx.db.fetch("SELECT status, code, target FROM customer_event WHERE message_id = $1", int(id_))
        if record["status"] in ("queued", "held"):
            assert rows == []
            end = (record["status"], "", "")
        else:
            assert [tuple(row) for row in rows] == [(*end[:2], ADDRESS)]
            assert record["price"] == 0
        found.append(end)
    return found


async def balance(api: Api) -> int:
    return int((await api.get("/balance")).data["balance"])


REJECTED = ("rejected", "CONTENT_SENSITIVE", WORD)
QUEUED = ("queued", "", "")


async def test_what_was_refused_is_recorded_beside_what_was_not(api: Api) -> None:
    assert await ends(api, await spooled(api, GOOD, BAD)) == [QUEUED, REJECTED]
    other = ("13800138002", BAD[1])
    assert await ends(api, await spooled(api, BAD, other)) == [REJECTED, REJECTED], "as a whole"
    assert await balance(api) == 9_999


async def test_what_the_ledger_refuses_leaves_the_others_their_own_reason(api: Api) -> None:
    gone = "UPDATE account SET balance = 0"
    ids = await spooled(api, GOOD, BAD, meanwhile=gone)
    short = message_of("BALANCE_INSUFFICIENT", {"need": 1, "left": 0})
    assert await ends(api, ids) == [("rejected", "BALANCE_INSUFFICIENT", short), REJECTED]
    stopped = await spooled(api, BAD, GOOD, meanwhile="UPDATE account SET status = 'stopped'")
    why = message_of("ACCOUNT_STOPPED")
    assert await ends(api, stopped) == [REJECTED, ("rejected", "ACCOUNT_STOPPED", why)]
    assert await balance(api) == 0


async def test_too_many_to_a_number_are_found_out_then(api: Api) -> None:
    first = await spooled(api, ("13800138000", "验证码 1"), type="otp")
    second = await spooled(api, ("13800138000", "验证码 2"), BAD, type="otp")
    rule = message_of("NUMBER_FREQ_LIMITED", {"rule": "验证码短信 1 分钟内最多 1 条"})
    assert await ends(api, first + second) == [QUEUED, ("rejected", "NUMBER_FREQ_LIMITED", rule), REJECTED]
    assert await balance(api) == 9_999


async def test_too_many_abroad_are_found_out_then(api: Api) -> None:
    await policies.put(by_test(api.ctx.db), "abroad_hourly", "2")
    await api.ctx.snapshots.follow()
    first = await spooled(api, ("+85261230001", "您好"), BAD)
    second = await spooled(api, ("13800138000", "您好"), ("+85261230002", "您好"), ("+85261230003", "您好"))
    rule = message_of("INTERNATIONAL_LIMITED", {"rule": "1 小时内最多 2 条"})
    late = ("rejected", "INTERNATIONAL_LIMITED", rule)
    assert await ends(api, first + second) == [QUEUED, REJECTED, QUEUED, QUEUED, late]


async def test_a_partner_who_holds_an_answer_is_told_of_the_end(api: Api) -> None:
    await spooled(api, ("13800138000", "验证码 1"), type="otp")
    (late,) = await spooled(api, ("13800138000", "验证码 2"), type="otp", origin=Origin.SMPP)
    told = await api.ctx.db.fetch(
        "SELECT status, code, acknowledged_at FROM customer_event WHERE message_id = $1", int(late)
    )
    assert [tuple(row) for row in told] == [("rejected", "NUMBER_FREQ_LIMITED", None)]


async def test_what_is_held_waits_for_its_reviewer(api: Api) -> None:
    await policies.put(by_test(api.ctx.db), "review", "all")
    await api.ctx.snapshots.follow()
    ids = await spooled(api, GOOD, BAD)
    assert await ends(api, ids) == [("held", "", ""), REJECTED]
    reviewing = Reviewing(api.ctx.db, api.outcomes, api.ctx.snapshots, AnyFleet(), api.ctx.tasks)
    assert await reviewing.decide(Change(api.ctx.db, Actor.operator("root")), int(ids[0]), passes=True) == 1
    assert await ends(api, ids) == [QUEUED, REJECTED]
    ids = await spooled(api, GOOD, BAD, meanwhile="UPDATE account SET balance = 0")
    (held, bad) = await ends(api, ids)
    assert (held[:2], bad) == (("rejected", "BALANCE_INSUFFICIENT"), REJECTED)
    assert await api.ctx.db.fetchval("SELECT count(*) FROM review") == 1, "nobody is asked about it"
