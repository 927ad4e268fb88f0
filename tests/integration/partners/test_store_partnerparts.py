"""Parts of partners' long messages: which belong together when a reference is used again."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from smsgw.core.ids import IdSource
from smsgw.runtime.aio import spawn
from smsgw.store.engine.database import Connection, Database, connect
from smsgw.store.messages import partner_parts as store
from smsgw.store.messages.partner_parts import Kept, Part


class Strangers:
    """``store.Answers`` of parts that came to another process: each may come again."""

    def line_of(self, _: int) -> int:
        return 0

    def open(self, *_: object) -> bool:
        return True


class Table:
    """Keeps parts, each in a transaction of its own, and remembers their ids by what they say."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = datetime.now(UTC)
        self.ids = IdSource(1, lambda: time.time_ns() // 1_000_000)
        self.id: dict[str, int] = {}
        """Of each part, as it was answered first."""
        self._messages = itertools.count(1)

    def part(self, said: str, ref: int = 1, total: int = 2) -> Part:
        """``A1``: the first part of message A; ``A2`` the second. What is said is what is in it."""
        return Part(
            id=self.ids.next(), account_id=1, partner_id=1, key=f"cmpp|1069|13800000001|0|{ref}|{total}",
            total=total, part=int(said[-1]), number="13800000001", octets=said.encode(), coding="ucs2",
            extend_code="", reply="", urgent=False, send_at=None, expire_at=None, received_at=self.now,
            decided=True,
        )  # fmt: skip

    async def keep(self, *parts: Part) -> list[Kept]:
        self.now += timedelta(milliseconds=10)
        async with self.database.transaction() as connection:
            kept, _ = await store.keep(connection, parts, self.ids.next, now=self.now, answers=Strangers())
        for part, one in zip(parts, kept, strict=True):
            self.id.setdefault(part.octets.decode(), one.id)
        return kept

    async def say(self, words: str, *, join: bool = True, total: int = 2) -> list[str]:
        """Parts one after the other. What became whole, by its parts; it is joined at once."""
        messages = []
        for said in words.split():
            (kept,) = await self.keep(self.part(said, total=total))
            if kept.whole:
                messages.append(" ".join(sorted(word for word, id_ in self.id.items() if id_ in kept.whole)))
                if join:
                    await self.join(kept.whole)
        return messages

    async def join(self, ids: tuple[int, ...]) -> None:
        async with self.database.transaction() as connection:
            await store.join(connection, dict.fromkeys(ids, 1000 + next(self._messages)))

    async def refused(self) -> set[str]:
        """The parts that a report has refused."""
        names = {id_: said for said, id_ in self.id.items()}
        rows = await self.database.fetch("SELECT message_id FROM customer_event WHERE status = 'rejected'")
        return {names[row["message_id"]] for row in rows}


@pytest.fixture
async def table(dsn: str) -> AsyncIterator[Table]:
    database = Database(dsn)
    await database.open()
    try:
        yield Table(database)
    finally:
        await database.close()


async def test_other_texts_are_other_messages(table: Table) -> None:
    assert await table.say("A1 A2 B1 B2 C2 C1 D1 D2") == ["A1 A2", "B1 B2", "C1 C2", "D1 D2"]
    assert await table.say("E1 E3 E2 F3 F2 F1", total=3) == ["E1 E2 E3", "F1 F2 F3"]
    assert await table.refused() == set()


async def test_what_is_whole_stays_whole(table: Table) -> None:
    """The next message comes while the one before is not joined yet, in commits of their own and in one."""
    assert await table.say("A1 A2 B1 B2", join=False) == ["A1 A2", "B1 B2"]
    kept = await table.keep(*(table.part(said, ref=2) for said in ("C1", "C2", "D1", "D2")))
    assert [len(one.whole) for one in kept] == [0, 2, 0, 2]
    assert not set(kept[1].whole) & set(kept[3].whole)
    assert await table.refused() == set()
    ready = {frozenset(ids) for ids in await store.ready(table.database, table.now + timedelta(seconds=1))}
    assert ready == {frozenset(table.id[f"{message}{n}"] for n in (1, 2)) for message in "ABCD"}, (
        "and is found again as it was after a crash"
    )


async def test_a_half_message_gives_way_to_another(table: Table) -> None:
    """Which has nothing of it, once it has waited for a minute."""
    assert await table.say("A1 A2 B1") == ["A1 A2"]
    table.now += store.REPEATED_WITHIN + timedelta(seconds=1)
    assert await table.say("C1 C2") == ["C1 C2"]
    assert await table.refused() == {"B1"}


async def test_messages_that_come_at_the_same_time(table: Table) -> None:
    assert await table.say("A1 B1 B2 A2") == ["A1 B2", "A2 B1"], "nothing tells which is whose"
    assert await table.refused() == set()


async def test_what_comes_again_gets_its_id(table: Table) -> None:
    assert await table.say("A1 A2 B1 B2") == ["A1 A2", "B1 B2"]
    before = dict(table.id)
    for said in ("A1", "A2", "B1", "B2", "B1"):
        assert await table.keep(table.part(said)) == [Kept(before[said])]
    assert await table.say("C1") == []
    for said in ("C1", "A1", "A2", "B1", "B2"):
        assert await table.keep(table.part(said)) == [Kept(table.id[said])], "whatever waits meanwhile"
    assert await table.say("C2") == ["C1 C2"]
    assert await table.refused() == set()


async def test_texts_that_end_alike(table: Table) -> None:
    assert await table.say("A1 A2") == ["A1 A2"]
    ending = table.part("A2")
    (first,) = await table.keep(table.part("B1"))
    (kept,) = await table.keep(ending)
    assert kept.whole == (first.id, ending.id)
    assert kept.id != table.id["A2"]


async def test_the_same_within_a_minute_is_the_same(table: Table) -> None:
    assert await table.say("A1 A2") == ["A1 A2"]
    table.now += store.REPEATED_WITHIN - timedelta(seconds=1)
    assert await table.say("A1 A2") == [], "answered with the ids that it had, and not sent"
    table.now += timedelta(seconds=2)
    table.id.clear()
    assert await table.say("A1 A2") == ["A1 A2"], "later it is sent again"


async def test_refused_for_now(table: Table) -> None:
    """Two messages whose last parts were refused for now; those come again."""
    assert await table.say("A1 A2", join=False) == ["A1 A2"]
    assert await table.say("B1 B2", join=False) == ["B1 B2"]
    async with table.database.transaction() as connection:
        for said in ("A2", "B2"):
            await store.withdraw(connection, table.id.pop(said))  # it comes again under another
    assert await table.keep(table.part("A1")) == [Kept(table.id["A1"])], "it waits for its other part"
    assert await table.say("C1") == [], "it takes no part of theirs"
    assert await table.say("A2 B2 C2") == ["A1 A2", "B1 B2", "C1 C2"]
    assert await table.refused() == set()


async def test_refused_for_now_twice(table: Table) -> None:
    """What comes again is a submit of its own, with a new id and time: refused and known as the first was."""
    assert await table.say("A1 A2", join=False) == ["A1 A2"]
    refused = table.id["A2"]
    for _ in range(2):
        async with table.database.transaction() as connection:
            await store.withdraw(connection, refused)
        table.now += timedelta(seconds=50)
        again = table.part("A2")
        (kept,) = await table.keep(again)
        assert (kept.id, set(kept.whole)) == (again.id, {table.id["A1"], again.id})
        refused = again.id
    async with table.database.transaction() as connection:
        await store.withdraw(connection, refused)
    assert await store.ready(table.database, table.now + timedelta(seconds=1)) == [], "nothing sends it"
    last = table.part("A2")
    (kept,) = await table.keep(last)
    await table.join(kept.whole)
    table.now += store.REPEATED_WITHIN - timedelta(seconds=1)
    assert await table.keep(table.part("A2")) == [Kept(last.id)], "a minute from when it came last"


async def test_refused_for_now_and_not_sent_again(table: Table) -> None:
    assert await table.say("A1 A2", join=False) == ["A1 A2"]
    async with table.database.transaction() as connection:
        await store.withdraw(connection, table.id["A2"])
    assert await table.say("B1 B2") == ["B1 B2"]
    assert await store.ready(table.database, table.now + timedelta(seconds=1)) == []
    async with table.database.transaction() as connection:
        await store.give_up(connection, table.now + timedelta(seconds=1), table.ids.next)
    assert await table.refused() == {"A1"}, "the refused part was told in its answer"


async def test_by_two_nodes_at_once(table: Table, dsn: str) -> None:
    """Whichever node stores its part second sees the other's."""
    one, other = await connect(dsn), await connect(dsn)

    async def keep(connection: Connection, part: Part) -> Kept:
        kept, _ = await store.keep(connection, [part], table.ids.next, now=table.now, answers=Strangers())
        return kept[0]

    try:
        first, second = table.part("A1"), table.part("A2")
        async with one.transaction(), other.transaction():
            assert (await keep(one, first)).whole == ()
            waits = spawn(keep(other, second), name="other")
            done, _ = await asyncio.wait({waits}, timeout=0.2)
            assert not done, "it waits for the other's commit"
            await one.execute("COMMIT AND CHAIN")
            assert (await asyncio.wait_for(waits, 10)).whole == (first.id, second.id)
    finally:
        await one.close()
        await other.close()


async def test_parts_of_before_there_were_sets(table: Table) -> None:
    await table.say("A1")
    await table.database.execute("UPDATE partner_part SET set_id = 0")
    assert await table.say("A2 B1 B2") == ["A1 A2", "B1 B2"]
