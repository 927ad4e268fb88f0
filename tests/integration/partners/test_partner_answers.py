"""Events on their way to partners: answers of connections that are slow, torn, or gone meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from harness import until
from partner_client import PartnerClient, smpp_client

from smsgw.core import udh
from smsgw.core.errors import Temporary
from smsgw.core.ids import IdSource
from smsgw.core.partners import Partner
from smsgw.core.queue_cursors import ALL
from smsgw.core.webhooks import REPORT, Way
from smsgw.net.connection import Connection
from smsgw.partners import bind as binds, delivery as feeds
from smsgw.partners.bind import Bind
from smsgw.partners.delivery import Feed, Settler
from smsgw.partners.resubmits import Left
from smsgw.partners.smpp import SmppServer
from smsgw.protocols.events import Event, LoginRequest, Request
from smsgw.protocols.session import Session, SessionConfig
from smsgw.runtime.aio import spawn
from smsgw.store.engine.database import Database
from smsgw.store.messages import bind_events, events, partner_parts
from smsgw.store.messages.bind_events import Claimed
from smsgw.store.messages.partner_parts import Part

ACCOUNT = 1
DESCRIBE = bind_events.describe


class Roomy:
    """A connection with room, to which nothing is ever written in these tests."""

    room = 5


@pytest.fixture
async def one_waits(database: Database) -> None:
    ids = IdSource(1, lambda: time.time_ns() // 1_000_000)
    part = Part(
        id=ids.next(), account_id=ACCOUNT, partner_id=1, key="k", total=1, part=1, number="13800000001", octets=b"",
        coding="ascii", extend_code="", reply="", urgent=False, send_at=None, expire_at=None,
        received_at=datetime.now(UTC),
    )  # fmt: skip
    async with database.transaction() as connection:
        await partner_parts.note_refused(connection, [(part, "NUMBER_INVALID")], ids.next)


@pytest.fixture
async def feed(database: Database, one_waits: None) -> AsyncIterator[Callable[[], Feed]]:
    settler = Settler(database.dsn)
    await settler.start()
    ways = SimpleNamespace(account_way=lambda _: Way.BIND)
    snapshots: Any = SimpleNamespace(current=SimpleNamespace(hooks=ways))
    made: list[Feed] = []

    def make() -> Feed:
        made.append(Feed(ACCOUNT, database, settler, snapshots, 1, 0))
        made[-1].add(Roomy())  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        await one.stop()
    await settler.stop()


async def waits(database: Database) -> bool:
    for _ in range(3000):
        if await database.fetchval("SELECT leased_until IS NULL FROM customer_event"):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_the_last_connection_goes_during_a_claim(
    database: Database, feed: Callable[[], Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming, go_on = asyncio.Event(), asyncio.Event()

    async def describe(*given: Any) -> Sequence[Claimed]:
        claiming.set()
        await go_on.wait()
        return await DESCRIBE(*given)

    monkeypatch.setattr(bind_events, "describe", describe)
    one = feed()
    await asyncio.wait_for(claiming.wait(), 10)
    one.remove(one.binds[0])
    stopping = spawn(one.stop(), name="stop")
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait_for(stopping, 10)
    assert await waits(database), "the next connection gets it at once, not after the lease"


async def test_a_claim_that_fails_half_way(
    database: Database, feed: Callable[[], Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def describe(*_: Any) -> Sequence[Claimed]:
        assert await database.fetchval("SELECT leased_until IS NOT NULL FROM customer_event")
        one._stopping = True  # or it would claim it again
        raise Temporary("STORAGE_UNAVAILABLE")

    monkeypatch.setattr(bind_events, "describe", describe)
    one = feed()
    assert await waits(database)
    assert [e.kind for e in (await events.claim_bound(database, ACCOUNT, REPORT, 5)).events] == [REPORT]


async def test_what_a_lost_connection_gives_back_is_found_next(database: Database, feed: Callable[[], Feed]) -> None:
    """Looks begin behind what was found, and no round is due: as beside a kept snapshot."""
    one = feed()
    one._pump = lambda: None  # type: ignore[method-assign]
    head = one._heads[REPORT]
    head._now = lambda: datetime.now(UTC) + timedelta(minutes=1)
    head._heads._begin(ALL, 1.0)
    head._heads._due = float("inf")
    (bind,) = one.binds
    event = await database.fetchval("SELECT id FROM customer_event")
    async with asyncio.timeout(10):
        while not one._queue:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        one.remove(bind)
        Feed._pump(one)
        while one.since(REPORT) > event:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        one.add(bind)
        while not one._queue:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    assert [delivery.claimed.event.id for delivery in one._queue] == [event]


LONG = "一条很长的回复" * 20
PARTNER = Partner(id=1, account_id=1, protocol="smpp", username="shop", password="secret12", code="10690001")
FACE = SmppServer()
ENOUGH = 0.3
"""Seconds in which what must not come would have come: the feed looks as soon as a pause is over."""


class Slow(PartnerClient):
    """Answers nothing by itself; ``asked`` has what waits."""

    def __init__(self, rules: Any, *, window: int = 1000) -> None:
        super().__init__(rules, window=window)
        self.asked: list[Request] = []

    def on_events(self, link: Connection, events: list[Event]) -> None:
        self.asked += [event for event in events if isinstance(event, Request)]
        super().on_events(link, [event for event in events if not isinstance(event, Request)])

    def say(self, *requests: Request, status: int = 0, message_id: str = "") -> None:
        for request in requests:
            self.session.answer(request, status=status, message_id=message_id)
        self.link.flush()

    async def parts(self, n: int = 3) -> list[Request]:
        await until(lambda: len(self.asked) >= n, within=10, what=f"{n} parts, of which {len(self.asked)} came")
        return self.asked


def text_and_reference(parts: list[Request]) -> tuple[str, int]:
    """What a phone would make of these parts."""
    headers = [udh.parse(p.pdu.short_message) for p in parts]
    (ref,) = {h.concat.ref for h in headers if h.concat is not None}
    pieces = {h.concat.number: p.pdu.short_message[h.length :] for h, p in zip(headers, parts, strict=True) if h.concat}
    assert len(pieces) == len(parts) == 3
    return b"".join(pieces[n] for n in sorted(pieces)).decode("utf-16-be"), ref


class Stage:
    """An SMPP server with one feed, and a database in which a long message waits for it."""

    def __init__(self, database: Database, settler: Settler) -> None:
        self.database = database
        self.settler = settler
        self.feed: Feed | None = None
        self.port = 0
        self.response_timeout = 10.0
        self.clients: list[Slow] = []
        self.binds: list[Bind] = []

    # --- link.Owner, until the login ---------------------------------------------------------------------------

    def on_connected(self, link: Connection) -> None:
        pass

    def on_writable(self, link: Connection) -> None:
        pass

    def on_events(self, link: Connection, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, LoginRequest):
                link.session.admit(event, now=asyncio.get_running_loop().time())
                service: Any = SimpleNamespace(
                    read_on=lambda _: None, read_later=lambda _: None, count_violation=lambda *_: None,
                    unbound=self.unbound,
                    left=Left(),
                )  # fmt: skip
                login = FACE.login(event.pdu)
                bind = Bind(service, link, FACE, PARTNER, login, len(self.binds), "transceiver")
                link.hand_over(bind, "smpp/shop")
                if self.feed is None:
                    ways = SimpleNamespace(account_way=lambda _: Way.BIND)
                    snapshots: Any = SimpleNamespace(current=SimpleNamespace(hooks=ways))
                    self.feed = Feed(1, self.database, self.settler, snapshots, 1, len(self.binds) * 100)
                bind.feed = self.feed
                self.binds.append(bind)
                self.feed.add(bind)

    def unbound(self, bind: Bind, why: str) -> None:
        """As the service does: with its last connection a feed ends."""
        feed = self.feed
        if feed is not None and not feed.binds:
            self.feed = None
            self.ending = spawn(feed.stop(), name="stop")

    # --- for tests ---------------------------------------------------------------------------------------------

    def connected(self) -> Connection:
        config = SessionConfig(response_timeout=self.response_timeout, window=64)
        return Connection(Session(FACE.rules(), config=config), self, "stage")

    async def client(self) -> Slow:
        client = await Slow.connect(self.port, smpp_client())
        assert isinstance(client, Slow)
        self.clients.append(client)
        return client

    async def taken(self) -> bool:
        return bool(await self.database.fetchval("SELECT acknowledged_at IS NOT NULL FROM customer_event"))

    async def settled(self) -> None:
        """The partner has it, and gets it no more."""
        await until(self.taken, what="the event is settled")
        before = [len(client.asked) for client in self.clients]
        self.feed.look(*feeds.KINDS)
        await asyncio.sleep(ENOUGH)
        assert [len(client.asked) for client in self.clients] == before


@pytest_asyncio.fixture
async def stage(database: Database, dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(feeds, "FIRST_PAUSE", 0.2)
    monkeypatch.setattr(feeds, "LOOK_AGAIN", 0.1)
    monkeypatch.setattr(binds, "UNANSWERED_PAUSE", 0.2)
    settler = Settler(dsn)
    await settler.start()
    ids = IdSource(1, lambda: time.time_ns() // 1_000_000)
    mo = ids.next()
    await database.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, parts, received_at)"
        " VALUES ($1, 1, 1, '8613800138000', '10690001', $2, 3, now())",
        mo,
        LONG,
    )
    await database.execute(
        "INSERT INTO customer_event (id, account_id, kind, message_id) VALUES ($1, 1, 'mo', $2)", ids.next(), mo
    )
    stage = Stage(database, settler)
    server = await asyncio.get_running_loop().create_server(stage.connected, "127.0.0.1", 0)
    stage.port = server.sockets[0].getsockname()[1]
    yield stage
    for client in stage.clients:
        client.abort()
    await until(lambda: all(b.gone for b in stage.binds), what="all connections are gone")
    if stage.binds:
        await stage.ending
    server.close()
    await settler.stop()


async def test_answers_out_of_order_with_message_ids_that_nobody_knows(stage: Stage) -> None:
    client = await stage.client()
    parts = await client.parts()
    assert text_and_reference(parts)[0] == LONG
    for n, request in enumerate(reversed(parts)):
        client.say(request, message_id=f"theirs-{n}")
    await stage.settled()


async def test_answers_that_take_their_time(stage: Stage) -> None:
    client = await stage.client()
    one, *others = await client.parts()
    client.say(one)
    await asyncio.sleep(2 * ENOUGH)
    assert len(client.asked) == 3, "not again while there is time for an answer"
    client.say(*others)
    await stage.settled()


async def test_answers_after_their_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binds, "UNANSWERED_PAUSE", 30.0)
    stage.response_timeout = 0.2
    client = await stage.client()
    one, two, three = await client.parts()
    client.say(two)
    bind = stage.binds[0]
    await until(lambda: bind.last_error, what="the time for answers is over")
    client.say(one)
    await asyncio.sleep(ENOUGH)
    assert not await stage.taken(), "a part is missing"
    client.say(three)
    await stage.settled()


async def test_an_answer_after_its_time_and_others_in_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binds, "UNANSWERED_PAUSE", 30.0)
    stage.response_timeout = 0.2
    client = await stage.client()
    one, two, three = await client.parts()
    bind = stage.binds[0]
    client.say(two, three)
    await until(lambda: bind.last_error, what="the time for an answer is over")
    client.say(one, status=0x64)
    await asyncio.sleep(ENOUGH)
    assert not await stage.taken(), "late, and a no"


async def test_no_answer_in_time_and_it_comes_again_under_its_reference(stage: Stage) -> None:
    stage.response_timeout = 0.2
    client = await stage.client()
    first = text_and_reference(await client.parts())
    again = (await client.parts(6))[3:6]
    assert text_and_reference(again) == first
    client.say(*again)
    await stage.settled()


async def test_the_connection_goes_and_it_comes_again_under_its_reference(stage: Stage) -> None:
    client = await stage.client()
    parts = await client.parts()
    first = text_and_reference(parts)
    client.say(parts[0])
    client.abort()
    await until(lambda: stage.feed is None, what="nobody is connected")
    other = await stage.client()
    assert text_and_reference(await other.parts()) == first, "a partner can tell a repeat from a second message"
    other.say(*other.asked)
    await stage.settled()


async def test_one_part_is_refused_and_all_come_again_as_a_new_message(stage: Stage) -> None:
    client = await stage.client()
    one, two, three = await client.parts()
    first = text_and_reference([one, two, three])
    client.say(one, three)
    client.say(two, status=0x64)
    again = (await client.parts(6))[3:6]
    text, ref = text_and_reference(again)
    assert text == LONG
    assert ref != first[1], "what was refused may be half kept, and would be taken for a repeat"
    client.say(*again)
    await stage.settled()


def test_references_are_remembered_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_REFERENCES", 2)
    settler = Settler("postgresql:///nowhere")
    for n in range(1, 4):
        settler.keep_reference(n, 100 + n)
    assert [settler.reference_of(n) for n in range(1, 4)] == [None, 102, 103]
    assert settler.reference_of(3) is None, "it is given out once"
