"""Clicks on their way from the public edge into the database, and the judging of who it was.

A click is in a file of this node before the visitor is sent on, whatever the database does; from there it is entered,
once: its id is made with it, and what a crash would enter a second time is passed over. The file is memory (a mapped
spool): putting a click there waits for nothing, and survives the end of the process, and of the machine all but the
last moments.

Anybody may open a link as often as they like, and a row costs room. Beyond what people do, and where there is no room,
a hit is counted for its link and nothing else is kept of it. Those counts are in memory for a second or so: a kill
loses them.
"""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

import msgspec
import structlog

from smsgw.core.alarms import WARNING, Finding
from smsgw.core.clicks import BURST_CODES, BURST_SECONDS, RULES, Hit, Verdict, judged
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import first_id, stretch, time_of
from smsgw.core.words import label, listed, phrase
from smsgw.pipeline.accept.disk import DiskGuard
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.links.click_notifications import FirstClicks
from smsgw.platform.links.table import LinkTable
from smsgw.runtime import clock
from smsgw.runtime.address_regions import Region, region_of
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.rows import log_skipped
from smsgw.store.engine.spool import KEPT, TORN, Reader, Spool, SpoolFull
from smsgw.store.messages import message_links

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

ENTER_EVERY, JUDGE_EVERY, FOLLOW_EVERY = 1.0, 5.0, 60.0
READ_AT_ONCE = 48 * 1024
"""Octets of clicks that are read at a time, two hundred as a rule: whoever opens a link meanwhile waits for them."""
ENTER_AT_ONCE = 200
"""Clicks that are entered in one transaction, …"""
AT_ONCE, AT_LEAST = 200, 20
"""… and that are judged in one; half as many after one that was too much for the database. Whoever opens a link
meanwhile waits for as many to be packed or looked at: for some milliseconds."""
PLACED_AT_ONCE = 40
"""Addresses whose province is looked up by a turn of a thread: for a millisecond, in which nothing else runs."""
ENTER_REST, JUDGE_REST = 1.0, 3.0
"""Pauses between two steps, as shares of what the first has taken: whoever opens a link, and messages, go first. With
them two cores enter some 600 clicks a second; what comes faster waits, in its file or to be judged. The fuller the
file, the shorter the pauses of entering: from half on there are none, since of what finds no room only a number is
kept."""
JUDGE_WITHIN = 60.0
"""Seconds for one such."""
SETTLED = timedelta(seconds=2 * BURST_SECONDS)
"""Clicks are judged when they are so old: their neighbours are there by then."""
FOLLOWED = timedelta(hours=1)
"""Messages that have followed others are looked at for so long: whether their code was judged just then."""
RESERVE_MB = 256
"""Room on the disk that clicks leave beyond what accepting messages needs."""
PATIENCE = 2.0
"""Seconds that a visitor waits for the disk."""
STOP_WITHIN = 20.0
"""Seconds in which a node that stops enters what waits: many times what comes in one."""
TOLD_FOR = 600.0
"""Seconds for which it is told that hits were counted only."""


class NewClick(msgspec.Struct, array_like=True, frozen=True):
    """A click as it waits to be entered. Fields are added at the end, with defaults."""

    id: int
    link_id: int
    n: int
    version: int
    address: str
    method: str
    agent: str
    referer: str
    purpose: str
    language: str
    accept: str
    counted: bool
    """Towards the limit of its link's visits."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(NewClick)

_TAKE_TURNS = "SELECT pg_advisory_xact_lock(1818455403)"
_JUDGE_ALONE = "SELECT pg_advisory_xact_lock(1818455404)"
"""Also beside a node that has lost its lease and does not know it yet: two would count the same clicks."""
_ENTER = """
WITH entered AS (
    INSERT INTO link_click (id, link_id, n, version, at, address, method, agent, referer, purpose, language, accept)
    SELECT d.* FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::int[], $5::timestamptz[], $6::text[], $7::text[],
                           $8::text[], $9::text[], $10::text[], $11::text[], $12::text[]) AS d
    ON CONFLICT (id) DO NOTHING RETURNING id, link_id
)
UPDATE short_link l SET visits = l.visits + v.n FROM (
    SELECT e.link_id, count(*) AS n FROM entered e WHERE e.id = ANY($13::bigint[]) GROUP BY e.link_id
) v WHERE l.id = v.link_id
"""
_ENTER_UNKEPT = """
UPDATE short_link l SET unkept = l.unkept + d.hits, visits = l.visits + d.visits
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS d(id, hits, visits) WHERE l.id = d.id
"""
# A restored database may lack links that clicks in our files are of, and give their ids to others that are made later.
_UNJUDGED = """
SELECT c.id, c.link_id, c.n, c.at, c.address, c.method, c.agent, c.purpose, c.language, c.accept, c.verdict,
    l.id IS NULL AS orphan,
    (SELECT count(DISTINCT (o.link_id, o.n)) FROM (
        (SELECT link_id, n, agent, method FROM link_click b WHERE b.address = c.address
            AND b.id BETWEEN c.id - $3 AND c.id ORDER BY b.id DESC LIMIT $4)
        UNION ALL (SELECT link_id, n, agent, method FROM link_click b WHERE b.address = c.address
            AND b.id BETWEEN c.id + 1 AND c.id + $3 ORDER BY b.id LIMIT $4)
    ) o WHERE o.agent = c.agent AND o.method = c.method) AS codes
FROM link_click c
LEFT JOIN short_link l ON l.id = c.link_id AND c.n < l.codes AND c.at > l.made_at - interval '1 minute'
WHERE c.rules = 0 AND c.id < $1 ORDER BY c.id LIMIT $2
"""
_JUDGE = """
UPDATE link_click c SET rules = $3, verdict = d.verdict,
    province = CASE WHEN d.province = '' THEN c.province ELSE d.province END,
    city = CASE WHEN d.province = '' THEN c.city ELSE d.city END
FROM unnest($1::bigint[], $2::text[], $4::text[], $5::text[]) AS d(id, verdict, province, city) WHERE c.id = d.id
"""
_COUNT = """
INSERT INTO link_visitor AS v (link_id, n, hits, humans, first_at, last_at)
SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
ON CONFLICT (link_id, n) DO UPDATE SET hits = v.hits + excluded.hits, humans = v.humans + excluded.humans,
    first_at = LEAST(v.first_at, excluded.first_at), last_at = GREATEST(v.last_at, excluded.last_at)
"""
_COUNT_HOURS = """
INSERT INTO link_hour AS h (link_id, hour, hits, humans)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::bigint[])
ON CONFLICT (link_id, hour) DO UPDATE SET hits = h.hits + excluded.hits, humans = h.humans + excluded.humans
"""
_COUNT_LINKS = """
UPDATE short_link l SET hits = l.hits + d.hits, humans = l.humans + d.humans, recount = true
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS d(id, hits, humans) WHERE l.id = d.id
"""
# Who was taken for a person and is none any more may have been the first.
_LOOK_AGAIN = """
UPDATE link_visitor v SET
    first_at = (SELECT min(at) FROM link_click c WHERE c.link_id = v.link_id AND c.n = v.n AND c.verdict = 'human'),
    last_at = (SELECT max(at) FROM link_click c WHERE c.link_id = v.link_id AND c.n = v.n AND c.verdict = 'human')
FROM unnest($1::bigint[], $2::int[]) AS d(link_id, n) WHERE v.link_id = d.link_id AND v.n = d.n
"""
_NEIGHBOURS = 25 * BURST_CODES
"""Hits of its address, whatever opened them, that are looked at before one click and after it: the nearest. A step so
costs what it costs, whoever sends how much."""


class Unkept(StrEnum):
    """Why a hit has no row."""

    ADDRESS = "address"
    """One address has opened one code too often."""
    NODE = "node"
    """This node was asked too much."""
    ROOM = "room"
    """None is left, of the file or of the disk."""
    DISK = "disk"
    """It has failed."""


class _Waiting:
    """Somebody who is told once."""

    __slots__ = ("_patience", "_told")

    def __init__(self, told: Callable[[bool], object]) -> None:
        self._told: Callable[[bool], object] | None = told
        self._patience: asyncio.TimerHandle | None = None

    def tell(self, kept: bool) -> None:
        told, self._told = self._told, None
        if self._patience is not None:
            self._patience.cancel()
        if told is not None:
            told(kept)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait, but not for ever; who was told at once does not."""
        if self._told is not None:
            self._patience = loop.call_later(PATIENCE, self.tell, False)


class Clicks:
    """Takes clicks, and enters them. One event loop owns it."""

    def __init__(
        self, database: Database, spool: Spool, links: LinkTable, disk: DiskGuard, first: FirstClicks | None
    ) -> None:
        """``first``: tells of first clicks; None: nobody does."""
        self._database = database
        self._first = first
        self._spool = spool
        self._links = links
        self._disk = disk
        self._loop = asyncio.get_running_loop()
        self._reader: Reader | None = None
        self._failed = 0
        self._worked = 0.0
        """Seconds that the last step of entering took, without those in which it waited for others."""
        self._batch = AT_ONCE
        self.taken = 0
        """Since the start."""
        self.unkept: Counter[Unkept] = Counter()
        """The same, of those that have no row. The visitors were sent on all the same."""
        self._unkept_at: float | None = None
        """When the last of them came that one address alone was not to blame for."""
        self._hits: Counter[int] = Counter()
        """Of links, that have no row and are to be counted, …"""
        self._visits: Counter[int] = Counter()
        """… and how many of these count towards a limit."""

    async def start(self) -> None:
        """Find what an earlier run has left. Without a place for them clicks are counted only; messages do not hang on
        it."""
        try:
            await self._spool.open()
        except (OSError, ValueError) as exc:
            log.critical("clicks.no_place", error=str(exc))
            self._spool.broken = True

    @property
    def entered(self) -> bool:
        """Nothing waits for the database."""
        return self._spool.empty

    async def stop(self) -> None:
        """Enter what can be in a while; the rest waits in its file, but for what was counted only, which is lost."""
        try:
            async with asyncio.timeout(STOP_WITHIN):
                while await self.enter():
                    pass
        except Exception as exc:  # a database that is away, or slow: the file stays
            log.info("clicks.left", error=exc, octets=self.waiting, uncounted=self._hits.total())
        finally:
            await self._spool.close()

    def entering(self) -> Sequence[Periodic]:
        """Of those that were taken here."""
        return (Periodic("clicks.enter", ENTER_EVERY, self.enter, rest=self._rest),)

    def judging(self) -> Sequence[Periodic]:
        """Of all that were entered, and what follows."""
        return (
            Periodic("clicks.judge", JUDGE_EVERY, self.judge, rest=JUDGE_REST, exclusive="clicks.judge"),
            Periodic("clicks.follow", FOLLOW_EVERY, self.follow, exclusive="clicks.follow"),
        )

    def _rest(self) -> float:
        """Seconds from one step of entering to the next."""
        return ENTER_REST * self._worked * max(0.0, 1 - 2 * self._spool.fullness)

    @property
    def waiting(self) -> int:
        """Octets that are not entered yet."""
        return self._spool.size

    def findings(self, about: str) -> list[Finding]:
        """The alarm about clicks that were counted only, while there is something to tell."""
        if self._unkept_at is None or clock.steady() - self._unkept_at > TOLD_FOR:
            return []
        told = [phrase("alarm.unkept", why=label("unkept", why.value), n=n) for why, n in self.unkept.items()]
        return [Finding("clicks_unkept", about, WARNING, phrase("alarm.clicks_unkept", why=listed(told)))]

    async def take(self, click: NewClick) -> bool:
        """Keep a click; returns when it would survive the end of this process (True), or could not be kept and is
        counted, or when whoever waits has waited ``PATIENCE``: what becomes of it is not known then."""
        answered: asyncio.Future[bool] = self._loop.create_future()
        self.give(click, partial(_answer, answered))
        return await answered

    def give(self, click: NewClick, told: Callable[[bool], object]) -> None:
        """As ``take``, for many a second: ``told`` is called once with what ``take`` returns, at once or later."""
        try:
            if self._disk.low is not None:
                raise SpoolFull(errno.ENOSPC, "what is left of the disk is for messages")
            waiting = _Waiting(told)
            self._spool.hand_over(_encoder.encode(click), partial(self._settle, click, waiting))
        except OSError as exc:
            self._missed(click, exc)
            told(False)
        else:
            waiting.begin(self._loop)

    def _settle(self, click: NewClick, waiting: _Waiting, error: Exception | None) -> None:
        if error is None:
            self.taken += 1
        else:
            self._missed(click, error)
        waiting.tell(error is None)

    def _missed(self, click: NewClick, error: BaseException) -> None:
        why = Unkept.ROOM if isinstance(error, OSError) and error.errno == errno.ENOSPC else Unkept.DISK
        sparing.error("clicks.unkept", why, why=why.value, error=str(error), total=self.unkept[why] + 1)
        self.count(click, why)

    def count(self, click: NewClick, why: Unkept) -> None:
        """Count a click for its link, and keep nothing else of it."""
        self.unkept[why] += 1
        if why is not Unkept.ADDRESS:
            self._unkept_at = clock.steady()
        self._hits[click.link_id] += 1
        if click.counted:
            self._visits[click.link_id] += 1
            self._links.unkept(click.link_id, click.id)

    async def enter(self) -> bool:
        """Bring what waits into the database; whether there may be more. ``STORAGE_UNAVAILABLE``."""
        self._worked = 0.0
        if self._hits:
            await self._enter_unkept()
        if self._reader is None:
            segment = await self._spool.oldest()
            if segment is None:
                return False
            self._reader = Reader(segment, READ_AT_ONCE)
            self._failed = 0
        reader = self._reader
        try:
            bodies = await reader.read()
            clicks = self._decoded(bodies)
            async with self._links.counting:
                await self._store(clicks)
                self._links.entered((click.link_id, click.id) for click in clicks if click.counted)
        except BaseException:
            self._reader = None  # what was read is read again: entering it twice changes nothing
            raise
        if not bodies:
            await self._dispose(reader)
            return not self._spool.empty
        return True

    async def _enter_unkept(self) -> None:
        hits, visits = self._hits, self._visits
        self._hits, self._visits = Counter(), Counter()
        try:
            async with self._links.counting:
                async with self._database.transaction() as connection:
                    await connection.execute(_TAKE_TURNS)
                    ids = sorted(hits)
                    await connection.execute(_ENTER_UNKEPT, ids, [hits[i] for i in ids], [visits[i] for i in ids])
                self._links.entered_unkept(visits)
        except BaseException:
            self._hits.update(hits)
            self._visits.update(visits)
            raise

    def _decoded(self, bodies: Sequence[bytes]) -> list[NewClick]:
        clicks = []
        for body in bodies:
            try:
                clicks.append(_decoder.decode(body))
            except msgspec.DecodeError:
                self._failed += 1
                log.exception("clicks.unreadable")
        return clicks

    async def _store(self, clicks: Sequence[NewClick]) -> None:
        for begin in range(0, len(clicks), ENTER_AT_ONCE):
            some = clicks[begin : begin + ENTER_AT_ONCE]
            async with self._database.transaction() as connection:
                await connection.execute(_TAKE_TURNS)  # two nodes would count the same links in another order
                begun = self._loop.time()
                await connection.execute(
                    _ENTER, [c.id for c in some], [c.link_id for c in some], [c.n for c in some],
                    [c.version for c in some], [time_of(c.id) for c in some], [c.address for c in some],
                    [c.method for c in some], [c.agent for c in some], [c.referer for c in some],
                    [c.purpose for c in some], [c.language for c in some], [c.accept for c in some],
                    [c.id for c in some if c.counted],
                )  # fmt: skip
            self._worked += self._loop.time() - begun

    async def _dispose(self, reader: Reader) -> None:
        """All that can be entered of a segment is: it goes, unless something of it could not."""
        segment = reader.segment
        self._reader = None
        if reader.unreadable:
            octets = sum(end - begin for begin, end in reader.unreadable)
            say = log.warning if reader.torn else log.error
            say("clicks.torn" if reader.torn else "clicks.damaged", segment=segment.path.name, octets=octets)
        if self._failed or (reader.unreadable and not reader.torn):
            await self._spool.set_aside(segment, KEPT)
        elif reader.unreadable:
            await self._spool.set_aside(segment, TORN)
        else:
            await self._spool.remove(segment)

    async def judge(self) -> bool:
        """Say of the clicks that are old enough who it was; whether there may be more. ``STORAGE_UNAVAILABLE``."""
        batch = self._batch
        try:
            n = await judge(self._database, clock.now() - SETTLED, batch, self._first)
        except SmsgwError:
            self._batch = max(AT_LEAST, batch // 2)
            raise
        self._batch = min(AT_ONCE, 2 * batch)
        return n == batch

    async def follow(self) -> None:
        """Messages that were sent again while their code was judged say what came of it. ``STORAGE_UNAVAILABLE``."""
        async with self._database.transaction(timeout=JUDGE_WITHIN) as connection:
            await connection.execute(_JUDGE_ALONE)
            await message_links.look_again(connection, first_id(clock.now() - FOLLOWED))


def _answer(answered: asyncio.Future[bool], kept: bool) -> None:
    if not answered.done():
        answered.set_result(kept)


async def judge(database: Database, until: datetime, most: int, first: FirstClicks | None = None) -> int:
    """Say of the oldest clicks before that moment that nobody has judged who it was, and ``first`` tell of first clicks
    of people; of how many."""
    told: Collection[int] = ()
    async with database.transaction(timeout=JUDGE_WITHIN) as connection:
        await connection.execute(_JUDGE_ALONE)
        near = stretch(timedelta(seconds=BURST_SECONDS))
        rows = await connection.fetch(_UNJUDGED, first_id(until), most, near, _NEIGHBOURS)
        if rows:
            told = await _judge(connection, rows, first)
    if first is not None:
        first.notify(told)
    return len(rows)


async def _judge(connection: Connection, rows: Sequence[Row], first: FirstClicks | None) -> Collection[int]:
    said = [_said(row) for row in rows]
    addresses = [row["address"] for row in rows]
    where: list[Region] = []
    for begin in range(0, len(addresses), PLACED_AT_ONCE):
        where += await asyncio.to_thread(_placed, addresses[begin : begin + PLACED_AT_ONCE])
    await connection.execute(
        _JUDGE, [r["id"] for r in rows], [v.value for v in said], RULES, [w.province for w in where],
        [w.city for w in where],
    )  # fmt: skip
    codes: dict[tuple[int, int], _Count] = {}
    hours: dict[tuple[int, datetime], _Count] = {}
    links: dict[int, _Count] = {}
    for row, verdict in zip(rows, said, strict=True):
        if verdict is Verdict.ORPHAN:
            continue
        id_, hour = row["link_id"], row["at"].replace(minute=0, second=0, microsecond=0)
        codes.setdefault((id_, row["n"]), _Count()).add(row, verdict)
        hours.setdefault((id_, hour), _Count()).add(row, verdict)
        links.setdefault(id_, _Count()).add(row, verdict)
    keys = sorted(codes)
    await connection.execute(
        _COUNT, [link for link, _ in keys], [n for _, n in keys], [codes[key].hits for key in keys],
        [codes[key].humans for key in keys], [codes[key].first for key in keys], [codes[key].last for key in keys],
    )  # fmt: skip
    if keys:
        await message_links.note_clicks(connection, keys)
    if again := [key for key in keys if codes[key].fewer]:
        await connection.execute(_LOOK_AGAIN, [link for link, _ in again], [n for _, n in again])
    times = sorted(hours)
    await connection.execute(
        _COUNT_HOURS, [link for link, _ in times], [hour for _, hour in times], [hours[key].hits for key in times],
        [hours[key].humans for key in times],
    )  # fmt: skip
    ids = sorted(links)
    await connection.execute(_TAKE_TURNS)  # whoever enters visits changes the same rows
    await connection.execute(_COUNT_LINKS, ids, [links[id_].hits for id_ in ids], [links[id_].humans for id_ in ids])
    return () if first is None else await first.enter(connection, [key for key in keys if codes[key].humans > 0])


def _placed(addresses: Sequence[str]) -> list[Region]:
    return [region_of(address) for address in addresses]


def _said(row: Row) -> Verdict:
    if not row["orphan"]:
        try:
            hit = Hit(row["method"], row["agent"], row["purpose"], row["language"], row["accept"])
            return judged(hit, row["codes"])
        except Exception as exc:  # it counts for nothing, and is not looked at again
            log_skipped("link_click", str(row["id"]), exc)
    return Verdict.ORPHAN


class _Count:
    """By how much the figures of a code, of an hour or of a link move."""

    def __init__(self) -> None:
        self.hits = self.humans = 0
        self.first = self.last = None
        self.fewer = False
        """Somebody was taken for a person and is none."""

    def add(self, row: Row, verdict: Verdict) -> None:
        """A hit that was judged: for the first time, or again."""
        before, human = row["verdict"], verdict is Verdict.HUMAN
        self.hits += not before
        self.humans += human - (before == Verdict.HUMAN.value)
        self.fewer |= before == Verdict.HUMAN.value and not human
        if human:
            self.first = min(filter(None, (self.first, row["at"])))
            self.last = max(filter(None, (self.last, row["at"])))
