"""Statistics: rolled up once, corrected by late reports, the same when counted anew; and figures against records: what
is right is found right, whatever is falsified is found and named, and told."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from changes import by_test
from databases import change, owner
from ledger import upkeep as upkeep_of
from structlog.testing import capture_logs

from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.ids import CHINA, day_range, first_id
from smsgw.core.settings import Settings
from smsgw.core.states import PartState
from smsgw.pipeline.upkeep import maintenance as upkeep
from smsgw.pipeline.upkeep.delivery_rate import Successes
from smsgw.platform.accounts import service as accounts
from smsgw.platform.statistics import queries as statistics, service
from smsgw.platform.statistics.model import Line
from smsgw.runtime import clock
from smsgw.runtime.config import Config
from smsgw.store.engine.database import Database
from smsgw.store.messages import acknowledged, checking, daily


class Book:
    """Rows as the pipeline writes them, without the pipeline."""

    def __init__(self, database: Database, account_id: int) -> None:
        self.database = database
        self.account_id = account_id
        self._ids = itertools.count()
        self.now = datetime.now(UTC)
        self.since = self.now - timedelta(minutes=30)
        self.today = self.now.astimezone(CHINA).date()
        self.yesterday = self.today - timedelta(days=1)

    async def message(self, at: datetime, *, sign: str = "测试", type_: str = "notice", parts: int = 2) -> int:
        id_ = first_id(at) + next(self._ids) % 4096
        await self.database.execute(
            "INSERT INTO message (id, batch_id, account_id, origin, type, number, carrier, province, content, sign,"
            " coding, parts, concat_ref, price) VALUES"
            " ($1, $1, $2, 'api', $3, '8613800138000', 'CMCC', '北京', 'x', $4, 'ucs2', $5::smallint, 0, $5::smallint)",
            id_, self.account_id, type_, sign, parts,
        )  # fmt: skip
        for part in range(1, parts + 1):
            await self.database.execute(
                "INSERT INTO part (id, part, total, account_id, pool_id, lane, state, channel_id, expires_at,"
                " accepted_at) VALUES ($1, $2, $3, $4, 1, 2, $5, 7, now(), now())",
                id_, part, parts, self.account_id, int(PartState.SENT),
            )  # fmt: skip
        return id_

    async def report(self, at: datetime, message_id: int, status: str) -> None:
        await self.database.execute(
            "INSERT INTO customer_event (id, account_id, kind, message_id, status) VALUES ($1, $2, 'report', $3, $4)",
            first_id(at) + next(self._ids) % 4096, self.account_id, message_id, status,
        )  # fmt: skip

    async def roll(self, now: datetime | None = None) -> None:
        while await daily.roll_up(self.database, now or self.now):
            pass

    async def ask(self, *group: str, first: date | None = None) -> list[Line]:
        return await statistics.by_day(
            self.database, first=first or self.yesterday, last=self.today, group=group or ("day",),
            accounts=(self.account_id,),
        )  # fmt: skip


@pytest_asyncio.fixture
async def fresh(database: Database) -> Book:
    return Book(database, await accounts.add(by_test(database), "acme"))


def settled(book: Book) -> date:
    return book.today - timedelta(days=daily.SETTLED)


@pytest_asyncio.fixture
async def book(fresh: Book) -> Book:
    """Messages of all ends on a settled day, and some of yesterday, counted."""
    book, database = fresh, fresh.database
    await database.execute("UPDATE stat_cursor SET message_id = $1, event_id = $1", first_id(book.now))
    for day in (settled(book), book.yesterday):
        at = datetime.combine(day, datetime.min.time(), CHINA) + timedelta(hours=9)
        for n, (status, state, by_us) in enumerate((
            ("delivered", PartState.DELIVERED, False), ("failed", PartState.UNDELIVERABLE, False),
            ("no_report", PartState.NO_REPORT, False), ("rejected", PartState.REJECTED, True),
            ("failed", PartState.REJECTED, False), ("cancelled", PartState.CANCELLED, False),
            ("duplicate", PartState.DUPLICATE, True), ("", PartState.HELD, False), ("", PartState.SENT, False),
        )):  # fmt: skip
            id_ = await book.message(at + timedelta(minutes=n), sign="测试" if n % 2 else "别名", parts=1 + n % 2)
            await database.execute(
                "UPDATE part SET state = $2, by_us = $3, code = CASE WHEN $3 THEN 'CONTENT_BLOCKED' ELSE '' END "
                "WHERE id = $1", id_, int(state), by_us,
            )  # fmt: skip
            if status:
                await book.report(at + timedelta(minutes=n, seconds=30), id_, status)
        await database.execute(  # some are of a kind of the operator's own
            "UPDATE message SET kind = 'bill' WHERE id >= $1 AND id < $2 AND sign = '测试'", *day_range(day)
        )
        await service.recount(by_test(database), day)
    return book


async def last(book: Book, span: str = "day", day: date | None = None) -> dict[str, Any]:
    text, of = "SELECT * FROM figure_check WHERE span = $1 AND day = $2", day or settled(book)
    row = await book.database.fetchrow(text, span, of)
    return dict(row)


async def look(book: Book, day: date | None = None) -> int:
    async with book.database.transaction() as connection:
        return await checking.look(connection, day or settled(book), book.now)


async def test_what_is_right_is_found_right_and_the_day_adds_up(book: Book) -> None:
    found = await last(book)
    assert found["compared"] > 60
    assert found["different"] == 0, found["differences"]
    account = {name: found[name] for name in ("accepted", "submitted", "refused", "held")}
    assert account == {"accepted": 9, "submitted": 5, "refused": 3, "held": 1}
    yesterday = await last(book, day=book.yesterday)
    assert (yesterday["compared"], yesterday["accepted"], yesterday["held"]) == (0, 9, 1), "its reports still come"
    month = await last(book, "month", settled(book).replace(day=1))
    assert month["compared"] > 60
    assert month["different"] == 0
    assert await checking.findings(book.database) == []


FALSIFIED = {
    "a count": "UPDATE stat_day SET messages = messages + 1 WHERE day = $1 AND status = 'delivered'",
    "units": "UPDATE stat_day SET units = units - 1 WHERE day = $1 AND status = 'accepted' AND sign = '别名'",
    "another sign": "UPDATE stat_day SET sign = 'x' WHERE day = $1 AND status = 'no_report'",
    "a day that is gone": "DELETE FROM stat_day WHERE day = $1",
    "who has sent": "UPDATE stat_person SET submitter = 'x' WHERE day = $1 AND status = 'accepted'",
    "a record": "UPDATE part SET state = 41 WHERE id >= $2 AND id < $3 AND state = 40",
    "a record that is gone": "DELETE FROM message WHERE id >= $2 AND id < $3 AND sign = '测试'",
}


@pytest.mark.parametrize("what", FALSIFIED)
async def test_a_falsified_figure_is_found_named_and_told_until_it_is_mended(book: Book, dsn: str, what: str) -> None:
    bounds = day_range(settled(book))
    text = FALSIFIED[what]
    arguments = [settled(book)] if "$1" in text else list(bounds)
    text = text if "$1" in text else text.replace("$2", "$1").replace("$3", "$2")
    connection = await asyncpg.connect(owner(dsn))  # as nobody of the program can
    await connection.execute(text, *arguments)
    await connection.close()
    assert await look(book) > 0
    found = await last(book)
    named = json.loads(found["differences"])
    assert named
    assert all(one["shown"] != one["counted"] for one in named)
    (finding,) = await checking.findings(book.database)
    assert (finding.kind, finding.severity) == ("figures_differ", "critical")
    assert f"{settled(book)}" in f"{finding.detail}"
    if what not in ("a record", "a record that is gone"):  # these cannot be mended by counting
        await service.recount(by_test(book.database), settled(book))
        assert await checking.findings(book.database) == []


async def test_days_whose_records_retention_has_removed_are_neither_compared_nor_told_of(book: Book, dsn: str) -> None:
    await book.database.execute("UPDATE stat_day SET messages = messages + 1 WHERE day = $1", settled(book))
    assert await look(book) > 0
    assert await checking.findings(book.database) != []
    async with book.database.acquire() as connection:
        for gone in (settled(book), settled(book) - timedelta(days=9)):  # a longer retention brings nothing back
            await daily.note_gone(connection, events=gone, records=gone, oldest=0)
    assert await checking.findings(book.database) == []
    await change(dsn, "DELETE FROM figure_check")
    assert await look(book) == 0
    assert await book.database.fetchval("SELECT count(*) FROM figure_check") == 0


async def test_a_month_that_is_not_its_days_is_found(book: Book, dsn: str) -> None:
    await change(dsn, "UPDATE stat_sum SET messages = messages + 1 WHERE span = 'month' AND dimension = 'sign'")
    assert await look(book) > 0
    assert (await last(book))["different"] == 0
    assert (await last(book, "month", settled(book).replace(day=1)))["different"] > 0


async def test_a_message_of_which_nobody_knows_is_missing_in_the_account_of_its_day(book: Book) -> None:
    low, high = day_range(book.yesterday)
    await book.database.execute(
        "UPDATE part SET code = '', class = '' WHERE id >= $1 AND id < $2 AND state = 45 AND by_us", low, high
    )
    await look(book, book.yesterday)
    found = await last(book, day=book.yesterday)
    assert found["accepted"] - found["submitted"] - found["refused"] - found["held"] == 1
    assert [one.kind for one in await checking.findings(book.database)] == ["figures_differ"]


async def test_a_night_counts_and_indexes_what_is_over(book: Book, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By day nothing; by night every day that has records, once; and the settled days get their indexes."""
    await change(dsn, "DELETE FROM figure_check")
    await book.database.execute("UPDATE stat_day SET messages = messages + 5 WHERE day = $1", book.yesterday)
    async with book.database.acquire() as connection:
        for table in ("message", "part"):
            await connection.execute("SELECT partition_make($1, $2)", table, settled(book) - timedelta(days=1))
    jobs = {one.name: one.step for one in upkeep_of(book.database).periodics()}
    noon = datetime.combine(book.today, datetime.min.time(), CHINA) + timedelta(hours=12)
    for hour, days in ((12, 0), (3, 2)):
        monkeypatch.setattr(upkeep.clock, "now", lambda hour=hour: noon.replace(hour=hour))
        for name in ("recount", "index"):
            await jobs[name]()
        assert await book.database.fetchval("SELECT count(*) FROM figure_check WHERE span = 'day'") == days
    assert (await last(book))["compared"] > 60
    assert (await last(book, day=book.yesterday))["accepted"] == 9, "counted anew before its account was made"
    for table, n in (("message", 10), ("part", 4)):
        made = await book.database.fetchval(
            "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "WHERE i.indrelid = to_regclass($1) AND c.relname LIKE $1 || '\\_%' AND (c.relname ~ "
            "'_(type|carrier|province|origin|extension|reference|test|template|tail|pairs|code|channel|state|unfinished)$')",
            f"{table}_{settled(book) - timedelta(days=1):%Y%m%d}",
        )
        assert made == n, table
    at = await book.database.fetchval("SELECT max(checked_at) FROM figure_check")
    await jobs["recount"]()
    assert await book.database.fetchval("SELECT max(checked_at) FROM figure_check") == at, "once a night"


async def acknowledge(book: Book) -> None:
    await book.database.execute("UPDATE customer_event SET acknowledged_at = now(), done_by = 'pull'")


ACKNOWLEDGED = """
SELECT sum(messages)::int AS messages, sum(delivered)::int AS delivered FROM acknowledged_day WHERE day = $1
"""


async def acknowledged_of(book: Book, day: date | None = None) -> tuple[int, int]:
    row = await book.database.fetchrow(ACKNOWLEDGED, day or settled(book))
    return row["messages"] or 0, row["delivered"] or 0


async def test_what_customers_have_acknowledged_of_a_day_outlives_its_events(book: Book, dsn: str) -> None:
    """As it is looked at by night, and when somebody has it counted anew."""
    await acknowledge(book)
    await look(book)
    known = await acknowledged_of(book)
    assert known == (7, 1)
    async with book.database.acquire() as connection:
        await daily.note_gone(connection, events=settled(book), records=settled(book) - timedelta(days=9), oldest=0)
    await change(dsn, "DELETE FROM customer_event")
    await look(book)
    assert await acknowledged_of(book) == known


async def test_a_day_is_counted_over_all_of_its_hours(book: Book) -> None:
    midnight = datetime.combine(settled(book), datetime.min.time(), CHINA)
    for hour in (0.0, 12.0, 23.999):
        at = midnight + timedelta(hours=hour)
        await book.report(at + timedelta(hours=1), await book.message(at), "delivered")
    await acknowledge(book)
    await look(book)
    assert await acknowledged_of(book) == (10, 4)


async def test_days_before_are_counted_once_and_today_each_time(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Successes(book.database, Settings)
    midnight = datetime.combine(book.today, datetime.min.time(), CHINA)
    await book.report(midnight + timedelta(minutes=2), await book.message(midnight), "delivered")
    await acknowledge(book)

    async def at(hour: int) -> tuple[int, int]:
        monkeypatch.setattr(clock, "now", lambda: midnight + timedelta(hours=hour))
        await book.database.execute("DELETE FROM acknowledged_day")
        await counting.count_acknowledged()
        return (await acknowledged_of(book, book.today))[0], (await acknowledged_of(book, book.yesterday))[0]

    assert [await at(hour) for hour in (1, 2, 3, 12)] == [(1, 0), (1, 7), (1, 0), (1, 0)]


async def test_a_day_that_could_not_be_counted_is_named(book: Book, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledged, "PATIENCE", 0.2)
    other = await asyncpg.connect(dsn)
    try:
        async with other.transaction():
            await other.execute(acknowledged._TAKE_TURNS, clock.now().astimezone(CHINA).date())
            with capture_logs() as told, pytest.raises(Temporary):
                await Successes(book.database, Settings).count_acknowledged()
    finally:
        await other.close()
    today = f"{clock.now().astimezone(CHINA).date()}"
    assert [line["day"] for line in told if line["event"] == "acknowledged.not_counted"] == [today]


async def test_a_message_is_counted_once_and_by_its_end(fresh: Book) -> None:
    first = await fresh.message(fresh.since)
    second = await fresh.message(fresh.since + timedelta(minutes=1), sign="别名", parts=3)
    await fresh.report(fresh.since + timedelta(minutes=2), first, "delivered")
    await fresh.roll(fresh.since + timedelta(minutes=5))
    await fresh.roll(fresh.since + timedelta(minutes=5))  # nothing new: nothing changes
    (line,) = await fresh.ask()
    assert (line.accepted, line.parts, line.units, line.ended) == (2, 5, 5, {"delivered": 1})
    await fresh.report(fresh.since + timedelta(minutes=20), second, "failed")
    await fresh.roll()
    by_sign = {line.keys["sign"]: (line.accepted, line.ended) for line in await fresh.ask("sign")}
    assert by_sign == {"测试": (1, {"delivered": 1}), "别名": (1, {"failed": 1})}


async def _gone(fresh: Book, config: Config) -> None:
    await upkeep_of(fresh.database, config)._partitions()


async def test_a_report_that_corrects_an_end_whose_event_is_gone_counts_once(fresh: Book) -> None:
    """Of one that was told of before, and corrected twice since; of one that had no end; of one not counted in time."""
    config = Config()
    old = fresh.now - timedelta(days=config.retention.events_days + 2)
    day = old.astimezone(CHINA).date()
    told = old + timedelta(minutes=10)
    async with fresh.database.acquire() as connection:
        for n in range(3):
            await connection.execute("SELECT partition_make('customer_event', $1)", day + timedelta(days=n - 1))
    corrected, late, twice, uncounted = [await fresh.message(old) for _ in range(4)]
    for one in (corrected, twice):
        await fresh.report(told, one, "no_report")
    await fresh.database.execute("UPDATE stat_cursor SET message_id = $1, event_id = $1", first_id(old) - 1)
    for n in range(1, 15):
        await fresh.roll(old + n * daily.STEP)
    await fresh.report(told + timedelta(hours=1), uncounted, "no_report")
    await _gone(fresh, config)
    assert await fresh.database.fetchval("SELECT count(*) FROM customer_event") == 0
    with pytest.raises(Refused, match="保留期"):
        await service.recount(by_test(fresh.database), day)
    for n, (one, status) in enumerate((
        (corrected, "delivered"), (late, "no_report"), (twice, "failed"), (twice, "delivered"), (uncounted, "delivered")
    )):  # fmt: skip
        await fresh.report(fresh.since + timedelta(minutes=n), one, status)
    await fresh.database.execute("UPDATE stat_cursor SET event_id = $1", first_id(fresh.since) - 1)
    await fresh.roll()
    (line,) = await fresh.ask(first=day)
    assert (line.accepted, line.ended) == (4, {"delivered": 3, "no_report": 1})
    await fresh.database.execute("UPDATE stat_end SET message_id = message_id - (40::bigint * 86400000 << 22)")
    await _gone(fresh, config)
    assert await fresh.database.fetchval("SELECT count(*) FROM stat_end") == 0, "no report comes that late"


async def test_what_is_younger_than_the_margin_waits(fresh: Book) -> None:
    await fresh.message(fresh.now - daily.MARGIN / 2)
    await fresh.roll()
    assert await fresh.ask() == []
    await fresh.roll(fresh.now + daily.MARGIN)
    assert [line.accepted for line in await fresh.ask()] == [1]


async def test_two_nodes_roll_up_without_counting_twice(fresh: Book) -> None:
    for minute in range(20):
        await fresh.report(
            fresh.since + timedelta(minutes=minute + 1),
            await fresh.message(fresh.since + timedelta(minutes=minute)),
            "delivered",
        )
    await asyncio.gather(fresh.roll(), fresh.roll(), fresh.roll())
    await fresh.roll()
    lines = await fresh.ask()  # of one day, or of two about midnight
    assert (sum(line.accepted for line in lines), sum(line.ended["delivered"] for line in lines)) == (20, 20)


async def test_settled_days_are_recounted_once(fresh: Book) -> None:
    await fresh.message(fresh.now - timedelta(hours=20))
    await fresh.roll()
    later = fresh.now + timedelta(days=daily.SETTLED + 1)
    await fresh.roll(later)
    days = []
    while day := await daily.recount_settled(fresh.database, later, 7):
        days.append(day)
    assert days == sorted(set(days))
    assert days[-1] == later.astimezone(CHINA).date() - timedelta(days=daily.SETTLED)
    assert sum(line.accepted for line in await fresh.ask()) == 1


# Days and months of each account by one dimension, and by who has sent, added up from the combinations.
SUMS = """
SELECT span, dimension, date_trunc(span, day)::date AS day, account_id, value, status,
       sum(messages)::bigint AS messages, sum(parts)::bigint AS parts, sum(units)::bigint AS units
FROM stat_day, unnest('{day,month}'::text[]) span, LATERAL (VALUES
    ('', ''), ('type', type), ('sign', sign), ('channel', channel_id::text), ('carrier', carrier),
    ('province', province), ('origin', origin)) v (dimension, value)
GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(messages) <> 0 ORDER BY 1, 2, 3, 4, 5, 6
"""
KEPT = "SELECT * FROM stat_sum WHERE messages <> 0 ORDER BY span, dimension, day, account_id, value, status"
PEOPLE = """
SELECT day, account_id, origin, status, sum(messages) AS n, sum(units) AS units FROM {} WHERE messages <> 0
GROUP BY 1, 2, 3, 4 HAVING sum(messages) <> 0 ORDER BY 1, 2, 3, 4
"""


async def sums_are_right(database: Database) -> int:
    """How many there are."""
    kept = await database.fetch(KEPT)
    assert [dict(row) for row in kept] == [dict(row) for row in await database.fetch(SUMS)]
    of_all = await database.fetch(PEOPLE.format("stat_day"))
    assert await database.fetch(PEOPLE.format("stat_person")) == of_all
    return len(kept)


async def test_sums_and_people_follow_whatever_changes_a_day(fresh: Book) -> None:
    one = await fresh.message(fresh.since, type_="otp")
    await fresh.report(fresh.since + timedelta(minutes=2), one, "no_report")
    await fresh.roll(fresh.since + timedelta(minutes=5))
    earlier = await fresh.message(fresh.since - timedelta(days=40), sign="别名", parts=3)
    await fresh.report(fresh.since - timedelta(days=39), earlier, "failed")
    await service.recount(by_test(fresh.database), (fresh.since - timedelta(days=40)).astimezone(CHINA).date())
    first = await sums_are_right(fresh.database)
    assert first > 2 * 7 * 2, "two days, two months"
    await fresh.report(fresh.since + timedelta(minutes=20), one, "delivered")  # late, and corrects
    late = await fresh.message(fresh.since + timedelta(minutes=1))  # committed long after its id was made
    await fresh.report(fresh.since + timedelta(minutes=21), late, "delivered")
    await fresh.roll()
    await sums_are_right(fresh.database)
    for _ in range(2):
        await service.recount(by_test(fresh.database), fresh.since.astimezone(CHINA).date())
        await sums_are_right(fresh.database)
    (line,) = await fresh.ask()
    assert (line.accepted, line.ended) == (2, {"delivered": 2})
    await fresh.database.execute("DELETE FROM stat_day WHERE day > $1", fresh.today - timedelta(days=20))
    await fresh.database.execute("DELETE FROM stat_person WHERE day > $1", fresh.today - timedelta(days=20))
    assert 0 < await sums_are_right(fresh.database) < first


async def test_questions_that_make_no_sense_are_refused(fresh: Book) -> None:
    with pytest.raises(Invalid, match="group"):
        await statistics.by_day(fresh.database, first=fresh.today, last=fresh.today, group=("number",), accounts=None)
    last = fresh.yesterday
    with pytest.raises(Invalid, match="to_day"):
        await statistics.by_day(fresh.database, first=fresh.today, last=last, group=("day",), accounts=None)
