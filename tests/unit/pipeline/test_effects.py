"""What follows outcomes, pushes of it, and whose an inbound message is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from smsgw.core.errors import Temporary
from smsgw.core.ids import first_id
from smsgw.core.model import PROBE_ACCOUNT, Account, Inbound
from smsgw.core.queue_cursors import ALL, Stretch
from smsgw.core.states import PartState
from smsgw.core.webhooks import Endpoint, Options
from smsgw.pipeline.delivery import push_queue
from smsgw.pipeline.delivery.push_http import Answer
from smsgw.pipeline.delivery.push_queue import PushQueue
from smsgw.pipeline.numbering import Numbering
from smsgw.pipeline.outcomes import effects as module
from smsgw.pipeline.outcomes.effects import STEPS, Effects, follow_up
from smsgw.store.config.codes import AccessCode, Extension
from smsgw.store.engine.leases import Lease
from smsgw.store.messages.events import EVENT_TYPES, EventRow, Found
from smsgw.store.messages.inbound import Arrived
from smsgw.store.messages.pushing import Due, Result

S = PartState
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Owed(dict[str, Any]):
    """A row, which yields its values as the driver's do."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return iter(self.values())


class Connection:
    """Remembers which table each statement is about."""

    units = 1
    """That are given back of a message."""

    def __init__(self, siblings: list[dict[str, Any]]) -> None:
        self.siblings = siblings
        self.asked: list[str] = []
        self.events: list[EventRow] = []
        self.last = ""
        self.arguments: tuple[Any, ...] = ()

    async def fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        asked = {"by_us": "siblings", "m.price": "owed", "FROM account": "account"}
        self.asked.append(next((name for text, name in asked.items() if text in sql), "replies"))
        if self.asked[-1] == "owed":
            return [Owed(id=id_, account_id=5, submitter="k", type="otp", units=self.units) for id_ in args[0]]
        return self.siblings if self.asked[-1] == "siblings" else []

    async def execute(self, sql: str, *args: Any, **_: Any) -> None:
        tables = ("INTO ledger", "usage_day", "callback_url", "INTO event ", "stat_minute", "customer_event")
        self.asked.append(next(table for table in tables if table in sql))
        self.last, self.arguments = sql, args
        if "INTO customer_event" in sql and "stat_minute" not in sql:
            self.events += map(EventRow, *args)

    async def copy_records_to_table(self, table: str, *, records: Any, **_: Any) -> None:
        self.asked.append(table)
        self.events += [record async for record in records] if hasattr(records, "__aiter__") else records


def part(id_: int, state: PartState, number: int = 1, total: int = 1, account: int = 5) -> dict[str, Any]:
    return {
        "id": id_, "part": number, "total": total, "state": int(state), "account_id": account, "by_us": False,
        "code": "c", "class": "k", "channel_id": 1, "pool_id": 2, "answered_at": NOON, "claimed_at": NOON,
        "final_at": NOON + timedelta(seconds=9),
    }  # fmt: skip


def batch(n: int) -> Effects:
    """Of every sort ``n``: delivered, rejected, the last part of a long one, sent; a report and a reply."""
    rows: list[Any] = []
    siblings: list[Any] = []
    for base in range(100, 100 * (n + 1), 100):
        rows += [part(base, S.DELIVERED), part(base + 1, S.REJECTED), part(base + 2, S.DELIVERED, 2, 2)]
        rows += [part(base + 3, S.DELIVERED, 1, 2), part(base + 4, S.SENT)]
        rows.append(part(base + 5, S.DELIVERED, account=PROBE_ACCOUNT))
        siblings += [part(base + 2, S.UNDELIVERABLE, 1, 2), part(base + 2, S.DELIVERED, 2, 2)]
        siblings += [part(base + 3, S.DELIVERED, 1, 2), part(base + 3, S.SENT, 2, 2)]
    reply = Inbound(channel_id=1, carrier_id="7", number="1", to_code="2", text="x", received_at=NOON)
    connection: Any = Connection(siblings)
    return Effects(
        connection, 1, count(1).__next__, {5}, (), lambda *_: connection.asked.append("numbers"),
        changed=rows, arrived=[Arrived(reply, 5, "")] * n, trace=[(1, NOON, 1, "unknown", "{}")] * n,
    )  # fmt: skip


ORDER = [
    "owed", "account", "INTO ledger", "siblings", "customer_event", "callback_url", "replies", "numbers", "INTO event ",
    "stat_minute",
]  # fmt: skip


async def test_each_step_is_as_many_statements_whatever_the_size_of_the_batch() -> None:
    for n in (1, 40):
        effects = batch(n)
        await follow_up(effects)
        assert effects.connection.asked == ORDER  # type: ignore[attr-defined]
    connection: Any = Connection([])  # a batch without an end is only counted
    effects = Effects(connection, 1, count(1).__next__, (), (), lambda *_: None, changed=[part(1, S.SENT)])  # type: ignore[list-item]
    await follow_up(effects)
    assert connection.asked == ["stat_minute"]
    effects = batch(1)  # reports and counts are one statement where no message has an address of its own
    effects.callbacks = ()
    await follow_up(effects)
    connection: Any = effects.connection
    written = [table for table in ORDER if table not in ("customer_event", "callback_url")]
    assert connection.asked == written
    assert "INTO customer_event" in connection.last
    told = map(EventRow, *connection.arguments[: len(EVENT_TYPES)])
    assert [event.message_id for event in told] == [100, 101, 102]
    effects = batch(2)  # whole messages are reported in the order of their ids and probes are not
    await follow_up(effects)
    connection: Any = effects.connection
    assert [event.message_id for event in connection.events] == [100, 101, 102, 200, 201, 202]
    assert effects.told == {"report": {5}, "mo": set()}


async def test_where_nothing_is_given_back_no_account_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    effects = batch(1)
    monkeypatch.setattr(Connection, "units", 0)
    await follow_up(effects)
    assert effects.connection.asked == [ORDER[0], *ORDER[3:]]  # type: ignore[attr-defined]


async def test_whoever_is_told_nothing_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    async def withhold_all(effects: Effects) -> None:
        effects.withheld |= effects.ended.keys()

    monkeypatch.setattr(module, "STEPS", (STEPS[0], STEPS[1], withhold_all, *STEPS[2:]))
    effects = batch(1)
    await follow_up(effects)
    assert effects.told["report"] == set()
    assert "customer_event" not in effects.connection.asked  # type: ignore[attr-defined]


TAKES = 0.05
ENDPOINT = Endpoint(1, 7, "hall", "main", "https://example.cn/", (), Options(linger_ms=0), (b"key",))


class Node:
    """Of ``push_queue.Services``, what every queue needs."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def room(self, wanted: int) -> int:
        return wanted


class Looks(Node):
    """What looks need; each takes ``TAKES`` seconds and finds nothing."""

    def __init__(self) -> None:
        self.fails = False
        self.began: list[float] = []
        self.ended: list[float] = []

    async def due(self, *_: object, **__: object) -> Found[Due]:
        loop = asyncio.get_running_loop()
        self.began.append(loop.time())
        await asyncio.sleep(TAKES)
        self.ended.append(loop.time())
        if self.fails:
            raise Temporary("STORAGE_UNAVAILABLE")
        return Found(seconds=0.0)

    @property
    def rests(self) -> list[float]:
        return [after - before for before, after in zip(self.ended, self.began[1:], strict=False)]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    monkeypatch.setattr(push_queue, "DEAR", TAKES / 10)
    return Looks()


def queue_of(services: Any, lease: Lease | None = None) -> PushQueue:
    queue = PushQueue(ENDPOINT, lease or Lease("push/1", 1, 1, float("inf")), services)
    queue.kinds = ("report",)
    return queue


async def settled(queue: PushQueue) -> None:
    async with asyncio.timeout(30):
        while not queue.idle:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)


async def test_what_comes_while_it_rests_is_in_the_next_look(looks: Looks) -> None:
    queue = queue_of(looks)
    queue.poke("report")
    await settled(queue)
    for _ in range(5):
        queue.poke("report")
        await asyncio.sleep(TAKES / 5)
    await settled(queue)
    assert len(looks.began) == 2
    assert looks.rests[0] > push_queue.REST * TAKES * 0.9
    await queue.close()


async def test_it_rests_after_a_look_that_took_too_long_as_well(looks: Looks) -> None:
    looks.fails = True
    queue = queue_of(looks)
    for _ in range(3):
        queue.poke("report")
        await settled(queue)
    assert len(looks.began) == 3
    assert min(looks.rests) > push_queue.REST * TAKES * 0.9
    await queue.close()


class Events(Node):
    """``push_queue.Services`` over events in memory. ``trouble`` is what meets the first batch."""

    def __init__(self, trouble: str, ids: list[int]) -> None:
        self.lease = Lease("push/1", 1, 1, float("inf"))
        self.trouble = trouble
        self.waiting = dict.fromkeys(ids)
        self.pushed: list[int] = []
        self.held = 0
        self.destinations = SimpleNamespace(check=lambda *_: None)

    def chance(self) -> float:
        return 0.5

    def new_id(self) -> int:
        return 1

    def holds(self, change: int) -> None:
        self.held += change

    def _meets(self, trouble: str) -> bool:
        met = self.trouble == trouble
        if met:
            self.trouble = ""
        return met

    async def due(
        self, endpoint: Endpoint, kind: str, limit: int, *, under_way: list[int], within: Stretch, **_: object
    ) -> Found[Due]:
        found = [i for i in self.waiting if within.first <= i <= within.last and i not in under_way][:limit]
        if found and self._meets("lease"):
            self.lease.deadline = 0.0
        return Found([Due(i, kind, i, 0, None, {"event_id": str(i)}) for i in found], found, 0.0)

    async def call(self, *_: object) -> Answer:
        if self._meets("call"):
            raise RuntimeError("a fault of the program")
        return Answer(True, 200, 1)

    async def write(self, result: Result) -> None:
        if result.done and self._meets("write"):
            raise Temporary("STORAGE_UNAVAILABLE")
        self.pushed += result.done
        for id_ in result.done:
            del self.waiting[id_]


@pytest.mark.parametrize("trouble", ["lease", "call", "write"])
async def test_what_could_not_be_pushed_is_found_by_the_next_look(trouble: str) -> None:
    """Looks begin behind what was found, and no round is due: as beside a kept snapshot."""
    first = first_id(datetime.now(UTC) - timedelta(seconds=30))
    services: Any = Events(trouble, [first + n for n in range(250)])
    ids = list(services.waiting)
    queue = queue_of(services, services.lease)
    heads = queue.head("report")._heads
    heads._begin(ALL, 1.0)
    heads._due = float("inf")
    queue.poke("report")
    await settled(queue)
    assert not services.trouble
    assert len(services.pushed) < 250
    assert (queue.in_flight, services.held) == (0, 0)
    services.lease.deadline = float("inf")
    queue.poke("report")
    await settled(queue)
    assert sorted(services.pushed) == ids
    await queue.close()


async def test_without_its_lease_it_takes_nothing() -> None:
    services: Any = Events("", [1, 2, 3])
    queue = queue_of(services, services.lease)
    services.lease.deadline = 0.0
    queue.poke("report")
    await settled(queue)
    assert (len(services.waiting), services.pushed) == (3, [])
    await queue.close()


CODES = [AccessCode(1, "1069"), AccessCode(2, "106900"), AccessCode(3, "10690001")]


def numbering(*accounts: tuple[int, str], extensions: tuple[Extension, ...] = ()) -> Numbering:
    people = {id_: Account(id_, f"a{id_}", "active", extend_code=code) for id_, code in accounts}
    return Numbering(people, CODES, extensions)


def test_a_message_is_of_the_longest_extension_behind_the_code() -> None:
    for to, channel, owner, rest in (
        ("1069000155", 3, 1, ""),
        ("106900015599", 3, 2, ""),
        ("1069000155991", 3, 2, "1"),
        ("106900017", 3, None, "7"),
        ("10690055", 1, None, "0055"),  # the channel's own code, though another channel's is longer
        ("10690055", None, 1, ""),
        ("5512", None, 1, "12"),  # no access code of ours: all of it is an extension
    ):
        tree = numbering((1, "55"), (2, "5599"), (3, "88"))
        account, left = tree.owner_of(to, channel)
        assert (account.id if account else None, left) == (owner, rest)
    account, left = numbering((1, ""), (2, "55")).owner_of("1069000177", 3)  # whose the rest is
    assert (account.id, left) == (1, "77")
    assert numbering((1, "55"), (2, "55")).owner_of("1069000155", 3) == (None, "")
    assert numbering((1, ""), (2, "")).owner_of("10690001", 3) == (None, "")
    tree = numbering((1, "56"), (2, "55"), extensions=(Extension(1, "", "55", former=True),))
    assert tree.owner_of("1069000155", 3)[0].id == 2
    former = (Extension(1, "", "55", former=True), Extension(2, "店", "77"), Extension(9, "", "66"))
    tree = numbering((1, "56"), (2, ""), (3, "5"), extensions=former)
    owners = {to: tree.owner_of("10690001" + to, 3)[0] for to in ("55", "56", "77", "59", "66")}
    assert {to: a.id if a else None for to, a in owners.items()} == {"55": 1, "56": 1, "77": 2, "59": 3, "66": 2}
    one, two = Account(1, "a1", "active", extend_code="56"), Account(2, "a2", "active")
    assert (tree.extension_of(two, "店"), tree.extension_of(two, "别的")) == ("77", "")
    assert tree.extension_of(one, "店") == "56"
