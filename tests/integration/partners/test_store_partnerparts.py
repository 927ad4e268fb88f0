"""Partners in the database, and long messages that they send in parts."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from changes import by_test
from snapshots import FixedSnapshots
from taskdesk import Desk, desk

from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.core.ids import IdSource
from smsgw.core.partners import Partner, ReplyTo
from smsgw.partners import parts as parts_module
from smsgw.partners.parts import Parts
from smsgw.pipeline.events import EventHub
from smsgw.platform.accounts import service as accounts
from smsgw.platform.partners import service as partners
from smsgw.runtime.aio import spawn
from smsgw.store.config import partners as partners_store
from smsgw.store.engine.database import Connection, Database, connect
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import partner_parts as store
from smsgw.store.messages.partner_parts import Kept, Part


async def test_addresses_are_noted_read_and_limited(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partners_store, "ADDRESSES_OF_ONE", 3)
    account_id = await accounts.add(by_test(database), "acme")
    sealer = Sealer(secrets.token_bytes(32))
    one, other = [
        await partners.add(by_test(database), sealer, account_id, "smpp", name, "secret12", {})
        for name in ("shop", "till")
    ]
    assert await partners_store.noted_addresses(database, None) == []
    await partners_store.note_addresses(database, [(one, "10.0.0.1"), (other, "10.0.0.1"), (999, "10.0.0.9")])
    first = await partners_store.noted_addresses(database, None)
    assert sorted((r["partner_id"], r["network"]) for r in first) == [(one, "10.0.0.1"), (other, "10.0.0.1")]
    last = first[-1]["noted_at"]
    for n in range(2, 5):
        await partners_store.note_addresses(database, [(one, f"10.0.0.{n}")])
    await partners_store.note_addresses(database, [(one, "10.0.0.2")])
    newer = [r["network"] for r in await partners_store.noted_addresses(database, last)]
    assert newer == ["10.0.0.3", "10.0.0.4", "10.0.0.2"], "in the order of the last login; the oldest has gone"
    await database.execute("UPDATE partner_address SET noted_at = noted_at - interval '31 days'")
    assert await partners_store.noted_addresses(database, None) == []
    await partners_store.note_addresses(database, [(one, "10.0.0.8")])
    assert await database.fetchval("SELECT count(*) FROM partner_address") == 1, "and what is old goes"
    await partners.remove(by_test(database), "shop", None)
    assert await database.fetchval("SELECT count(*) FROM partner_address") == 0


async def test_connects_are_noted_once_read_by_other_nodes_and_forgotten(database: Database) -> None:
    account_id = await accounts.add(by_test(database), "acme")
    sealer = Sealer(secrets.token_bytes(32))
    one = await partners.add(by_test(database), sealer, account_id, "cmpp", "900100", "secret12", {"any_clock": True})
    (stored,) = await partners_store.load_partners(database, sealer)
    assert stored.any_clock
    await partners_store.note_connects(database, [(one, 1125120000), (999, 1125120000)])
    (first,) = await partners_store.noted_connects(database, None)
    assert (first["partner_id"], first["stamp"]) == (one, 1125120000)
    await partners_store.note_connects(database, [(one, 1125120000), (one, 4294967295)])
    (newer,) = await partners_store.noted_connects(database, first["noted_at"])
    assert newer["stamp"] == 4294967295, "what was noted keeps its time"
    await database.execute("UPDATE partner_connect SET noted_at = noted_at - interval '49 hours'")
    assert await partners_store.noted_connects(database, None) == []
    await partners_store.note_connects(database, [(one, 1)])
    assert await database.fetchval("SELECT count(*) FROM partner_connect") == 1


class Door:
    def __init__(self, here: Desk) -> None:
        self.refusal: SmsgwError | None = None
        self._acceptor = here.acceptor

    async def send(self, request: Any) -> Any:
        if self.refusal is not None:
            raise self.refusal
        return await self._acceptor.send(request)


def part(here: Desk, n: int) -> Part:
    reply = ReplyTo("1069", "13800000001").pack()
    return Part(
        id=here.ids.next(), account_id=here.account_id, partner_id=1, key="cmpp|1069|13800000001|0|1|2", total=2,
        part=n, number="13800000001", octets=f"text {n}".encode("utf-16-be"), coding="ucs2", extend_code="",
        reply=reply, urgent=False, send_at=None, expire_at=None, received_at=datetime.now(UTC),
    )  # fmt: skip


PARTNER = Partner(1, 1, "cmpp", "shop", "secret")
LINE: Any = SimpleNamespace(number=1, read_until=None)


async def messages(here: Desk) -> int:
    return await here.database.fetchval("SELECT count(*) FROM message")


async def told(here: Desk) -> list[int]:
    rows = await here.database.fetch("SELECT message_id FROM customer_event WHERE status = 'rejected'")
    return [row["message_id"] for row in rows]


@pytest.mark.parametrize("final", [False, True])
async def test_a_part_that_is_refused_again(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, final: bool
) -> None:
    monkeypatch.setattr(parts_module, "LEFT_UNDONE", timedelta(seconds=-1))  # the sweep takes up everything at once
    async with desk(dsn, tmp_path) as here:
        door = Door(here)
        known = FixedSnapshots(
            replace(here.snapshots.current, partners={(PARTNER.protocol, PARTNER.username): PARTNER})
        )
        parts = Parts(here.database, door, known, EventHub(), here.ids)  # type: ignore[arg-type]
        await parts._writer.start()
        try:
            first = await parts.take(part(here, 1), PARTNER, LINE)
            door.refusal = Temporary("BACKPRESSURE", retry_after=1, n=1)
            for _ in range(3):
                with pytest.raises(Temporary):
                    await parts.take(part(here, 2), PARTNER, LINE)
            if final:
                door.refusal = Refused("ACCOUNT_STOPPED")
                with pytest.raises(Refused):
                    await parts.take(part(here, 2), PARTNER, LINE)
                assert await told(here) == [first], "of what was refused in its answer there is no report"
            door.refusal = None
            await parts._sweep()
            assert await messages(here) == 0, "what was refused is not sent"
            if not final:
                await parts.take(part(here, 2), PARTNER, LINE)
                await parts._sweep()
                assert (await messages(here), await told(here)) == (1, [])
        finally:
            await parts._writer.stop()


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
        names = {id_: said for said, id_ in self.id.items()}
        rows = await self.database.fetch("SELECT message_id FROM customer_event WHERE status = 'rejected'")
        return {names[row["message_id"]] for row in rows}


@pytest.fixture
def table(database: Database) -> Table:
    return Table(database)


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
