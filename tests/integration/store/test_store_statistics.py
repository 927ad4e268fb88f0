"""Statistics: rolled up once, corrected by late reports, the same when counted anew."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from changes import by_test
from standins import AnyFleet, FixedSnapshots

from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA, IdSource, first_id
from smsgw.core.states import PartState
from smsgw.pipeline.upkeep.maintenance import Maintenance
from smsgw.platform.accounts import service as accounts
from smsgw.platform.statistics import queries as statistics
from smsgw.platform.statistics import service
from smsgw.platform.statistics.model import Line
from smsgw.runtime.config import Config
from smsgw.store.engine.database import Database
from smsgw.store.messages import daily


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

    async def message(
        self, at: datetime, *, sign: str = "测试", type_: str = "notice", parts: int = 2
    ) -> int:
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
            self.database,
            first=first or self.yesterday,
            last=self.today,
            group=group or ("day",),
            accounts=(self.account_id,),
        )


@pytest_asyncio.fixture
async def book(dsn: str) -> AsyncIterator[Book]:
    database = Database(dsn)
    await database.open()
    yield Book(database, await accounts.add(by_test(database), "acme"))
    await database.close()


async def test_a_message_is_counted_once_and_by_its_end(book: Book) -> None:
    first = await book.message(book.since)
    second = await book.message(book.since + timedelta(minutes=1), sign="别名", parts=3)
    await book.report(book.since + timedelta(minutes=2), first, "delivered")
    await book.roll(book.since + timedelta(minutes=5))
    await book.roll(book.since + timedelta(minutes=5))  # nothing new: nothing changes
    (line,) = await book.ask()
    assert (line.accepted, line.parts, line.units, line.ended) == (2, 5, 5, {"delivered": 1})

    await book.report(book.since + timedelta(minutes=20), second, "failed")
    await book.roll()
    by_sign = {line.keys["sign"]: (line.accepted, line.ended) for line in await book.ask("sign")}
    assert by_sign == {"测试": (1, {"delivered": 1}), "别名": (1, {"failed": 1})}


async def test_a_late_report_moves_the_message_it_corrects(book: Book) -> None:
    one = await book.message(book.since)
    await book.report(book.since + timedelta(minutes=2), one, "no_report")
    await book.roll(book.since + timedelta(minutes=5))
    await book.report(book.since + timedelta(minutes=20), one, "delivered")
    await book.roll()
    (line,) = await book.ask()
    assert line.ended == {"delivered": 1}


async def _gone(book: Book, config: Config) -> None:
    """The job of the days, which removes what has passed its retention."""
    nothing: Any = None
    await Maintenance(
        book.database, nothing, FixedSnapshots(), nothing, IdSource(1, lambda: 1), config, AnyFleet()
    )._partitions()


async def test_a_report_that_corrects_an_end_whose_event_is_gone_counts_once(book: Book) -> None:
    """Of one that was told of before, and corrected twice since; of one that had no end; of one not counted in time."""
    config = Config()
    old = book.now - timedelta(days=config.retention.events_days + 2)
    day = old.astimezone(CHINA).date()
    told = old + timedelta(minutes=10)
    async with book.database.acquire() as connection:
        for n in range(3):
            await connection.execute("SELECT partition_make('customer_event', $1)", day + timedelta(days=n - 1))
    corrected, late, twice, uncounted = [await book.message(old) for _ in range(4)]
    for one in (corrected, twice):
        await book.report(told, one, "no_report")
    await book.database.execute("UPDATE stat_cursor SET message_id = $1, event_id = $1", first_id(old) - 1)
    for n in range(1, 15):
        await book.roll(old + n * daily.STEP)
    await book.report(told + timedelta(hours=1), uncounted, "no_report")
    await _gone(book, config)
    assert await book.database.fetchval("SELECT count(*) FROM customer_event") == 0
    with pytest.raises(Refused, match="保留期"):
        await service.recount(by_test(book.database), day)
    for n, (one, status) in enumerate((
        (corrected, "delivered"), (late, "no_report"), (twice, "failed"), (twice, "delivered"), (uncounted, "delivered")
    )):  # fmt: skip
        await book.report(book.since + timedelta(minutes=n), one, status)
    await book.database.execute("UPDATE stat_cursor SET event_id = $1", first_id(book.since) - 1)
    await book.roll()
    (line,) = await book.ask(first=day)
    assert (line.accepted, line.ended) == (4, {"delivered": 3, "no_report": 1})
    await book.database.execute("UPDATE stat_end SET message_id = message_id - (40::bigint * 86400000 << 22)")
    await _gone(book, config)
    assert await book.database.fetchval("SELECT count(*) FROM stat_end") == 0, "no report comes that late"


async def test_what_is_younger_than_the_margin_waits(book: Book) -> None:
    await book.message(book.now - daily.MARGIN / 2)
    await book.roll()
    assert await book.ask() == []
    await book.roll(book.now + daily.MARGIN)
    assert [line.accepted for line in await book.ask()] == [1]


async def test_two_nodes_roll_up_without_counting_twice(book: Book) -> None:
    for minute in range(20):
        await book.report(
            book.since + timedelta(minutes=minute + 1),
            await book.message(book.since + timedelta(minutes=minute)),
            "delivered",
        )
    await asyncio.gather(book.roll(), book.roll(), book.roll())
    await book.roll()
    lines = await book.ask()  # of one day, or of two about midnight
    assert (sum(line.accepted for line in lines), sum(line.ended["delivered"] for line in lines)) == (20, 20)


async def test_a_recount_finds_what_the_roll_up_could_not_see(book: Book) -> None:
    one = await book.message(book.since + timedelta(minutes=10))
    await book.report(book.since + timedelta(minutes=11), one, "no_report")
    await book.report(book.since + timedelta(minutes=12), one, "delivered")
    await book.roll()
    late = await book.message(book.since)  # committed long after its id was made
    await book.report(book.since + timedelta(minutes=1), late, "failed")
    await book.roll()
    day = book.since.astimezone(CHINA).date()
    counted = sum(line.accepted for line in await book.ask())
    await service.recount(by_test(book.database), day)
    lines = await book.ask()
    assert counted == 1
    assert sum(line.accepted for line in lines) == 2
    assert {k: v for line in lines for k, v in line.ended.items()} == {"delivered": 1, "failed": 1}


async def test_settled_days_are_recounted_once(book: Book) -> None:
    await book.message(book.now - timedelta(hours=20))
    await book.roll()
    later = book.now + timedelta(days=daily.SETTLED + 1)
    await book.roll(later)
    days = []
    while day := await daily.recount_settled(book.database, later, 7):
        days.append(day)
    assert days == sorted(set(days))
    assert days[-1] == later.astimezone(CHINA).date() - timedelta(days=daily.SETTLED)
    assert sum(line.accepted for line in await book.ask()) == 1


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


async def test_sums_and_people_follow_whatever_changes_a_day(book: Book) -> None:
    one = await book.message(book.since, type_="otp")
    await book.report(book.since + timedelta(minutes=2), one, "no_report")
    await book.roll(book.since + timedelta(minutes=5))
    earlier = await book.message(book.since - timedelta(days=40), sign="别名", parts=3)
    await book.report(book.since - timedelta(days=39), earlier, "failed")
    await service.recount(by_test(book.database), (book.since - timedelta(days=40)).astimezone(CHINA).date())
    first = await sums_are_right(book.database)
    assert first > 2 * 7 * 2, "two days, two months"
    await book.report(book.since + timedelta(minutes=20), one, "delivered")  # late, and corrects
    late = await book.message(book.since + timedelta(minutes=1))  # committed long after its id was made
    await book.report(book.since + timedelta(minutes=21), late, "delivered")
    await book.roll()
    await sums_are_right(book.database)
    for _ in range(2):
        await service.recount(by_test(book.database), book.since.astimezone(CHINA).date())
        await sums_are_right(book.database)
    (line,) = await book.ask()
    assert (line.accepted, line.ended) == (2, {"delivered": 2})
    await book.database.execute("DELETE FROM stat_day WHERE day > $1", book.today - timedelta(days=20))
    await book.database.execute("DELETE FROM stat_person WHERE day > $1", book.today - timedelta(days=20))
    assert 0 < await sums_are_right(book.database) < first


async def test_questions_that_make_no_sense_are_refused(book: Book) -> None:
    with pytest.raises(Invalid, match="group"):
        await statistics.by_day(book.database, first=book.today, last=book.today, group=("number",), accounts=None)
    last = book.yesterday
    with pytest.raises(Invalid, match="to_day"):
        await statistics.by_day(book.database, first=book.today, last=last, group=("day",), accounts=None)
