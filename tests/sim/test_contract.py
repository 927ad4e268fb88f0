"""The model of the database against PostgreSQL: the same operations, drawn from a seed, must come to the same results.

What the simulation says is worth as much as its model. Both sides are asked through the store's own functions; compared
are what they return, and at the end every part, parked report and event.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from following import follow
from modeldb import PART, Model, Transaction
from virtual import dice_of

from smsgw.core.ids import IdSource
from smsgw.core.model import Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.store.engine import leases, nodes
from smsgw.store.engine.database import connect
from smsgw.store.engine.nodes import Identity, Number
from smsgw.store.messages import claiming, failover, outcomes, reattempt, report_ids
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import MESSAGE_COLUMNS, PART_COLUMNS, Fence, NewCall, Stored
from smsgw.store.messages.outcomes import Answer, GivenBack, Patience, Tally
from smsgw.store.messages.reattempt import Again

POOL, LANE, ACCOUNT = 1, 2, 7
NODES = (1, 2)
PATIENCE = Patience(timedelta(hours=72), timedelta(minutes=3), timedelta(minutes=5))
COMPARED = (
    "id", "part", "total", "state", "attempt", "channel_id", "resent", "next_at", "expires_at", "carrier_id", "code",
    "class", "answered_at", "final_at", "tries", "failed", "elsewhere",
)  # fmt: skip
"""Columns that do not tell the server's clock or its numbers of epochs."""


class ModelConnection:
    """The model without the way to it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.txn: Transaction | None = None

    def transaction(self) -> AbstractAsyncContextManager[None]:
        return _Block(self)

    async def fetch(self, sql: str, *args: Any, **_: Any) -> list[dict[str, Any]]:
        if self.txn is not None:
            return await self.txn.run(sql, args)
        async with self.transaction():
            return await self.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any, **_: Any) -> Any:
        return next(iter(await self.fetch(sql, *args)), None)

    async def fetchval(self, sql: str, *args: Any, **_: Any) -> Any:
        rows = await self.fetch(sql, *args)
        return next(iter(rows[0].values())) if rows else None

    async def execute(self, sql: str, *args: Any, **_: Any) -> str:
        await self.fetch(sql, *args)
        return ""

    async def copy_records_to_table(self, _: str, *, records: Any, columns: Any, **__: Any) -> None:
        assert self.txn is not None
        every = [record async for record in records] if hasattr(records, "__aiter__") else records
        for record in every:
            self.txn.put("told", dict(zip(columns, record, strict=True)))


class _Block(AbstractAsyncContextManager[None]):
    def __init__(self, connection: ModelConnection) -> None:
        self._connection = connection

    async def __aenter__(self) -> None:
        self._connection.txn = Transaction(self._connection.model)

    async def __aexit__(self, kind: Any, *_: Any) -> None:
        txn, self._connection.txn = self._connection.txn, None
        assert txn is not None
        if kind is None:
            txn.commit()
        else:
            txn.rollback()


@dataclass(slots=True)
class Side:
    """One of the two."""

    connection: Any
    channels: tuple[int, int]
    epochs: dict[tuple[int, int], int]
    """(channel, node) -> epoch of the lease that it was given last."""
    who: tuple[Identity, ...]
    """Data directories that want to be nodes."""
    numbers: dict[int, Number] = field(default_factory=dict)
    """Of which data directory it was given which number last."""

    @contextlib.asynccontextmanager
    async def transaction(self, **_: Any) -> AsyncIterator[Any]:
        """As a ``Database``: in the one that is under way."""
        yield self.connection


class Offer:
    """Channels that take messages as they are accepted."""

    def __init__(self, fences: dict[int, Fence]) -> None:
        self._fences = fences
        self.had: Collection[int] = ()

    def open(self, _: Any) -> dict[int, Fence]:
        return self._fences

    def taken(self, ids: Collection[int]) -> None:
        self.had = ids


class Pair:
    """Both sides, and the operations that are done to both of them."""

    def __init__(self, dice: random.Random, real: Side, model: Side) -> None:
        self.dice = dice
        self.sides = (real, model)
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.claimed: list[tuple[int, int, int]] = []
        self.ids: list[int] = []
        self._source = IdSource(5, lambda: int(self.now.timestamp() * 1000))
        self.log: list[str] = []

    async def both(
        self, what: str, do: Callable[[Side], Any], *, alike: Callable[[Any], Any] = lambda x: x
    ) -> Any:
        """Do it here and there; what it gives, or that it refuses its transaction, must be the same."""
        given: list[Any] = []
        for side in self.sides:
            try:
                async with side.connection.transaction():
                    given.append(alike(await do(side)))
            except outcomes.Unseen as refusal:
                given.append(str(refusal))
        self.log.append(f"{what}: {given[0]!r}"[:300])
        assert given[0] == given[1], "\n".join((*self.log[-12:], f"the model: {given[1]!r}"))
        return given[0]

    # --- operations --------------------------------------------------------------------------------------------

    async def accept(self) -> None:
        id_ = self._source.next()
        total = self.dice.choice((1, 1, 2, 3))
        valid = self.dice.choice((timedelta(hours=24), timedelta(seconds=-1)))
        self.ids.append(id_)
        real, model = self.sides
        message = {
            "id": id_, "batch_id": id_, "account_id": ACCOUNT, "origin": "api", "type": "notice", "number": "138",
            "carrier": "CMCC", "province": "", "content": "x", "sign": "", "coding": "ucs2", "parts": total,
            "concat_ref": 1, "price": 0, "extend_code": "",
        }  # fmt: skip
        part = {
            "id": id_, "total": total, "account_id": ACCOUNT, "pool_id": POOL, "lane": LANE, "state": 10,
            "unknown_policy": self.dice.choice((None, "hold_short", "resend")), "accepted_at": self.now,
            "expires_at": self.now + valid,
        }  # fmt: skip
        await _insert(real.connection, "message", message)
        txn = Transaction(model.connection.model)
        txn.put("message", message)
        for n in range(1, total + 1):
            await _insert(real.connection, "part", part | {"part": n})
            txn.put("part", PART | part | {"part": n})
        txn.commit()

    async def accept_at_once(self) -> None:
        """Two messages in a transaction, of which one is offered to a channel."""
        n, node, valid = self.dice.randrange(2), self.dice.choice(NODES), self.now + timedelta(hours=24)
        ids, totals = (self._source.next(), self._source.next()), (self.dice.choice((1, 2)), 1)
        self.ids += ids
        message: dict[str, Any] = dict.fromkeys(MESSAGE_COLUMNS, "") | {
            "batch_id": ids[0], "account_id": ACCOUNT, "origin": "api", "type": "notice", "number": "138",
            "carrier": "CMCC", "content": "x", "coding": "ucs2", "concat_ref": 1, "price": 0, "refund_failed": False,
            "test": False, "template_id": 0,
        }  # fmt: skip
        part: dict[str, Any] = dict.fromkeys(PART_COLUMNS) | {
            "account_id": ACCOUNT, "pool_id": POOL, "lane": LANE, "state": 10, "code": "", "class": "", "by_us": False,
            "accepted_at": self.now, "expires_at": valid,
        }  # fmt: skip
        messages = [
            tuple((message | {"id": id_, "parts": total}).values())
            for id_, total in zip(ids, totals, strict=True)
        ]
        parts = [
            tuple((part | {"id": id_, "part": p, "total": total}).values())
            for id_, total in zip(ids, totals, strict=True)
            for p in range(1, total + 1)
        ]
        call = NewCall(ACCOUNT, ids[0], messages, parts, 0, (), b"")

        async def enter(side: Side) -> Any:
            one = Offer({ids[0]: self._fence(side, n, node)})
            results = await commit_calls(side.connection, [call], False, node=1, entrances=one)
            return sorted(one.had), [isinstance(r, Stored) and r.waits for r in results]

        had, _ = await self.both(f"accept at once for {n} node {node}", enter)
        self.claimed += [(id_, p, 1) for id_ in had for p in range(1, totals[0] + 1)]

    async def lease(self) -> None:
        n, node = self.dice.randrange(2), self.dice.choice(NODES)

        async def acquire(side: Side) -> bool:
            resource = f"channel/{side.channels[n]}"
            lease = await leases.acquire(side.connection, resource, node)  # type: ignore[arg-type]
            if lease is not None:
                side.epochs[n, node] = lease.epoch
            return lease is not None

        await self.both(f"lease {n} node {node}", acquire)

    async def release(self) -> None:
        n, node = self.dice.randrange(2), self.dice.choice(NODES)

        async def release(side: Side) -> None:
            resource = f"channel/{side.channels[n]}"
            lease = leases.Lease(resource, node, side.epochs.get((n, node), 0), 0.0)
            await leases.release(side.connection, lease)  # type: ignore[arg-type]

        await self.both(f"release {n} node {node}", release)

    async def become(self) -> None:
        n, wanted = self.dice.randrange(2), self.dice.choice((0, *NODES))

        async def take(side: Side) -> Any:
            try:
                number = side.numbers[n] = await nodes.take(side, side.who[n], wanted)  # type: ignore[arg-type]
            except nodes.NumberTaken:
                return "taken"
            return number.number, number.after

        await self.both(f"{n} becomes node {wanted}", take)

    async def beat(self) -> None:
        n, last_id = self.dice.randrange(2), self.dice.choice((0, self._source.next()))

        async def beat(side: Side) -> Any:
            number = side.numbers.get(n, Number(n + 1, 0, 0))
            try:
                heard = await nodes.beat(side.connection, number, last_id)
            except nodes.NumberTaken:
                return "taken"
            return heard.live, heard.newest

        await self.both(f"beat of {n}", beat)

    async def leave_number(self) -> None:
        n, last_id = self.dice.randrange(2), self._source.next()

        async def leave(side: Side) -> None:
            await nodes.leave(side.connection, side.numbers.get(n, Number(n + 1, 0, 0)), last_id)

        await self.both(f"{n} leaves", leave)

    async def renew(self) -> None:
        def held(side: Side) -> list[leases.Lease]:
            return [
                leases.Lease(f"channel/{side.channels[n]}", m, e, 0.0)
                for (n, m), e in sorted(side.epochs.items())
            ]

        await self.both(
            "renew",
            lambda side: leases.renew(side.connection, held(side)),
            alike=lambda ended: sorted(lease.node for lease in ended),
        )

    def _fence(self, side: Side, n: int, node: int) -> Fence:
        return Fence(f"channel/{side.channels[n]}", node, side.epochs.get((n, node), 0), side.channels[n])

    async def claim(self) -> None:
        n, node, limit = self.dice.randrange(2), self.dice.choice(NODES), self.dice.randint(1, 5)
        again = self.dice.random() < 0.2
        got = await self.both(
            f"claim {limit} for {n} node {node}",
            lambda side: claiming.claim(
                side.connection,
                self._fence(side, n, node),
                limit=limit,
                queues=[(POOL, LANE)],
                oldest=0,
                again=again,
            ),
            alike=lambda claimed: [
                (c.id, c.part, c.total, c.attempt, c.number, c.valid_until) for c in claimed
            ],
        )
        self.claimed += [(c[0], c[1], c[3]) for c in got]

    async def claim_deferred(self) -> None:
        n, node = self.dice.randrange(2), self.dice.choice(NODES)
        got = await self.both(
            f"claim deferred for {n} node {node}",
            lambda side: claiming.claim_deferred(
                side.connection, self._fence(side, n, node), now=self.now, limit=100, oldest=0
            ),
            alike=lambda claimed: [
                (c.id, c.part, c.total, c.attempt, c.number, c.valid_until) for c in claimed
            ],
        )
        self.claimed += [(c[0], c[1], c[3]) for c in got]
        due = claiming.next_deferred
        await self.both("next deferred", lambda side: due(side.connection, side.channels[n], 0))

    def _keys(self, most: int) -> list[tuple[int, int, int]]:
        """Of what was claimed, with what was claimed long ago, and a wrong attempt now and then."""
        keys = self.dice.sample(self.claimed, min(len(self.claimed), self.dice.randint(1, most)))
        return [(i, p, n + (self.dice.random() < 0.05)) for i, p, n in keys]

    async def answer(self) -> None:
        kinds = [k for k in OutcomeKind if k is not OutcomeKind.UNSENT]
        answers = []
        for key in self._keys(6):
            kind = self.dice.choice(kinds)
            carrier_id = self._carrier_id(*key) if kind is OutcomeKind.ACCEPTED else ""
            code = self.dice.choice(("TAKEN_OVER", "LINK_LOST")) if kind is OutcomeKind.UNKNOWN else "c"
            next_at = self.now + timedelta(seconds=self.dice.choice((-5, 900)))
            policy = self.dice.choice(list(UnknownPolicy))
            answers.append(
                Answer(Outcome(*key, kind, carrier_id=carrier_id, code=code), self.now, next_at, policy)
            )

        async def apply(side: Side) -> Any:
            tally = Tally()
            rows, early = await outcomes.commit_answers(side.connection, answers, tally, PATIENCE)
            told = await follow(side.connection, rows, self._event_ids())
            return _keyed(rows), [(r.carrier_id, r.state, r.code) for r in early], tally, told

        await self.both(f"answers {[(a.outcome.kind.value, a.outcome.id % 1000) for a in answers]}", apply)

    def _event_ids(self) -> Callable[[], int]:
        source = IdSource(6, lambda: int(self.now.timestamp() * 1000))
        return source.next

    def _carrier_id(self, id_: int, part: int, attempt: int) -> str:
        return f"{id_}-{part}-{attempt}"

    async def give_back(self) -> None:
        by_message: dict[int, list[Outcome]] = {}
        for key in self._keys(6):
            by_message.setdefault(key[0], []).append(Outcome(*key, OutcomeKind.UNSENT))
        if self.claimed and self.dice.random() < 0.7:  # all parts of one message
            id_ = self.dice.choice(self.claimed)[0]
            newest = {(i, p): n for i, p, n in sorted(self.claimed) if i == id_}
            by_message[id_] = [Outcome(i, p, n, OutcomeKind.UNSENT) for (i, p), n in newest.items()]
        unique = {id_: {o.part: o for o in given} for id_, given in by_message.items()}
        given = [GivenBack(tuple(parts[p] for p in sorted(parts)), self.now) for parts in unique.values()]

        async def apply(side: Side) -> Any:
            rows, pinned = await outcomes.commit_given_back(side.connection, given)
            more, _ = await outcomes.commit_answers(side.connection, pinned, Tally(), PATIENCE)
            told = await follow(side.connection, [*rows, *more], self._event_ids())
            return _keyed(rows), _keyed(more), told

        await self.both("give back", apply)

    async def report(self) -> None:
        channel = self.dice.randrange(2)
        reports = []
        for key in self._keys(5):
            state = self.dice.choice((PartState.DELIVERED, PartState.DELIVERED, PartState.UNDELIVERABLE))
            carrier_id = self._carrier_id(*key) if self.dice.random() < 0.9 else "stranger"
            reports.append((carrier_id, state))
        twice = reports + reports[: self.dice.randrange(2)]

        async def apply(side: Side) -> Any:
            said = [
                Report(side.channels[channel], carrier_id, state, state.name, "", "", self.now)
                for carrier_id, state in twice
            ]
            tally = Tally()
            rows, left = await outcomes.match_reports(
                side.connection, said, tally, recent=0, oldest=0, newest=claiming.LAST_ID
            )
            await outcomes.park(side.connection, left, tally)
            told = await follow(side.connection, rows, self._event_ids())
            return _keyed(rows), [r.carrier_id for r in left], tally, told

        await self.both(f"reports {twice}", apply)

    async def try_again(self) -> None:
        reported = self.dice.random() < 0.4
        again = [
            Again(
                *key, total=1, at=self.now, due=self.now + timedelta(seconds=30), other=False, pool_id=POOL,
                reported=reported, counted=True, code="8", cls="FREQ_CARRIER",
            )
            for key in {k[:2]: k for k in self._keys(3)}.values()
        ]  # fmt: skip
        await self.both(
            "try again",
            lambda side: reattempt.try_again(side.connection, again),
            alike=lambda rows: sorted((row["id"], row["part"]) for row in rows),
        )

    async def leave(self) -> None:
        n = self.dice.randrange(2)

        async def apply(side: Side) -> Any:
            gone, serving = [side.channels[n]], [(POOL, side.channels[1 - n])]
            return _keyed(await failover.leave(side.connection, self.now, 0, gone, serving))

        await self.both(f"leave {n}", apply)
        await self.both("release", lambda side: reattempt.release(side.connection, self.now, 0), alike=_keyed)

    async def rematch(self) -> None:
        await self.both(
            "parked",
            lambda side: report_ids.take(side.connection, side.channels[0], 100),
            alike=lambda reports: sorted((r.carrier_id, r.code) for r in reports),
        )

    async def look(self) -> None:
        n, after = self.dice.randrange(2), (0, 0)
        big, older = 2**40, self.dice.choice((-60.0, 60.0))

        async def held(side: Side) -> Any:
            epochs, current = set(side.epochs.values()), side.epochs.get((n, 1), 0)
            mine = await claiming.held(side.connection, side.channels[n], epochs, current, older)
            interrupted = await claiming.interrupted(side.connection, side.channels[n], big, after)
            lost = await claiming.taken_over(side.connection, after)
            return [
                sorted((r["id"], r["part"], r["attempt"]) for r in rows) for rows in (mine, interrupted, lost)
            ]

        await self.both("in flight", held)
        await self.both("oldest", lambda side: claiming.oldest_queued(side.connection, [POOL], 0))

    async def same(self) -> None:
        """Everything that is stored."""
        real, model = self.sides
        names = ", ".join(COMPARED)
        rows = await real.connection.fetch(f"SELECT {names} FROM part ORDER BY id, part")  # noqa: S608
        back = dict(zip(real.channels, (0, 1), strict=True))
        there = dict(zip(model.channels, (0, 1), strict=True))
        stored = [tuple(row[name] for name in COMPARED) for row in rows]
        modelled = [
            tuple(row[name] for name in COMPARED) for row in (model.connection.model.rows["part"][key] for key in
            model.connection.model.keys("part"))
        ]  # fmt: skip
        at = COMPARED.index("channel_id")

        def plain(row: tuple[Any, ...], names: dict[int, int]) -> tuple[Any, ...]:
            return (*row[:at], names.get(row[at]), *row[at + 1 :])

        for one, other in zip(stored, modelled, strict=True):
            assert plain(one, back) == plain(other, there), "\n".join(self.log[-12:])
        known = "SELECT number, instance, last_id FROM node ORDER BY 1"
        assert [tuple(row.values()) for row in await real.connection.fetch(known)] == [
            (row["number"], row["instance"], row["last_id"])
            for row in sorted(model.connection.model.rows["node"].values(), key=lambda row: row["number"])
        ]
        orphans = await real.connection.fetch("SELECT carrier_id, code FROM receipt_orphan ORDER BY 1, 2")
        assert [tuple(row.values()) for row in orphans] == sorted(
            (row["carrier_id"], row["code"]) for row in model.connection.model.rows["orphan"].values()
        )


def _keyed(rows: Any) -> list[tuple[Any, ...]]:
    names = ("id", "part", "state", "code", "final_at")
    return sorted((tuple(row.get(name) for name in names) for row in rows), key=lambda row: row[:2])


async def _insert(connection: asyncpg.Connection, table: str, row: dict[str, Any]) -> None:
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())  # noqa: S608


@pytest.mark.parametrize("seed", range(1, 5))
async def test_the_model_does_what_the_database_does(dsn: str, seed: int, tmp_path: Path) -> None:
    connection = await connect(dsn, writer=True)
    try:
        await connection.execute(
            "INSERT INTO account (id, name) OVERRIDING SYSTEM VALUE VALUES ($1, 'shop') ON CONFLICT DO NOTHING",
            ACCOUNT,
        )
        channels = [
            await connection.fetchval(
                "INSERT INTO channel (name, protocol, host, port, username, password_sealed) "
                "VALUES ($1, 'cmpp20', '127.0.0.1', 1, 'u', '') RETURNING id",
                name,
            )
            for name in ("a", "b")
        ]
        model = ModelConnection(Model(lambda: datetime.now(UTC)))
        ids = (channels[0], channels[1])

        def side(one: Any) -> Side:
            return Side(one, ids, {}, tuple(Identity(tmp_path, name, 0) for name in ("a", "b")))

        pair = Pair(dice_of(seed, "contract"), side(connection), side(model))
        often = [
            pair.accept, pair.accept_at_once, pair.claim, pair.claim, pair.answer, pair.answer, pair.report,
            pair.give_back,
        ]  # fmt: skip
        seldom = [
            pair.lease, pair.renew, pair.release, pair.claim_deferred, pair.try_again, pair.leave, pair.rematch,
            pair.look, pair.become, pair.beat, pair.leave_number,
        ]  # fmt: skip
        for _ in range(2):
            await pair.lease()
        for _ in range(300):
            pair.now += timedelta(milliseconds=1)
            await pair.dice.choice(often if pair.dice.random() < 0.7 else seldom)()
            await asyncio.sleep(0)
        await pair.same()
        assert len(pair.claimed) > 20
    finally:
        await connection.close()
