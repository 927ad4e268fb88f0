"""The database as a model: what the statements of the sending path mean, over rows in memory.

It stands below the driver. The store's own functions run unchanged, and each of their statements is looked up here by
its text; one that is not here is an error that says so. Transactions see what is committed (READ COMMITTED), hold row
locks to their end, wait for each other or skip, and are told of deadlocks. Every change of a part's state is checked
against ``core.states.TRANSITIONS``.

``test_contract`` runs the same operations here and in PostgreSQL: what differs is a mistake of this file.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import importlib
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg

from smsgw.core.model import TEST_CHANNEL, TEST_POOL
from smsgw.core.states import TRANSITIONS, PartState
from smsgw.store.engine.together import Together
from smsgw.store.messages import accepting, counters, outcomes
from smsgw.store.messages import calls as calls_store

ACCOUNT = 7
Key = tuple[Any, ...]
Row = dict[str, Any]
Place = tuple[str, Key]
"""Table and key."""

TABLES = {
    "part": ("id", "part"),
    "message": ("id",),
    "lease": ("resource",),
    "account": ("id",),
    "node": ("number",),
    "orphan": ("channel_id", "carrier_id", "code"),
    "attempt": ("id", "part", "attempt"),
    "told": ("id",),
    "said": ("channel_id",),
}
"""Of each table its key. ``told`` is ``customer_event``, ``said`` is ``channel_state``."""

PART = {
    "attempt": 0, "channel_id": None, "epoch": None, "resent": 0, "unknown_policy": None, "next_at": None,
    "carrier_id": None, "code": "", "class": "", "by_us": False, "inferred": False, "claimed_at": None,
    "answered_at": None, "final_at": None, "tries": 0, "failed": False, "elsewhere": False, "avoid_channels": (),
}  # fmt: skip
"""What a new part has besides what acceptance says."""


class NotModelled(AssertionError):
    """A statement of the program that this file does not know."""


class Broken(AssertionError):
    """Something that must never be in a database."""


class _Lock:
    """Of a row: one owner, or many that share it."""

    __slots__ = ("owner", "sharers")

    def __init__(self) -> None:
        self.owner: Transaction | None = None
        self.sharers: dict[Transaction, None] = {}

    def others(self, txn: Transaction, *, shared: bool) -> list[Transaction]:
        """Whom ``txn`` has to wait for."""
        if self.owner is not None and self.owner is not txn:
            return [self.owner]
        return [] if shared else [t for t in self.sharers if t is not txn]


class Transaction:
    """From its first statement to ``commit`` or ``rollback``."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.now = model.clock()
        self.reports: list[tuple[int, str]] = []
        """(channel, carrier's id) of the reports that it stores or counts."""
        self._writes: dict[Place, Row | None] = {}
        self._locks: dict[Place, None] = {}
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waits_for: tuple[Transaction, ...] = ()
        self.over = False

    async def run(self, sql: str, args: tuple[Any, ...]) -> list[Row]:
        """Execute a statement; its rows."""
        statement = STATEMENTS.get(sql)
        if statement is None:
            raise NotModelled(f"tests/sim/modeldb.py has no model of: {' '.join(sql.split())[:300]}")
        return await statement(self, *args)

    # --- rows --------------------------------------------------------------------------------------------------

    def see(self, table: str, key: Key) -> Row | None:
        """A row as this transaction sees it."""
        place = (table, key)
        return self._writes[place] if place in self._writes else self.model.rows[table].get(key)

    def all(self, table: str) -> Iterator[Row]:
        """All rows that it sees, by key."""
        keys = self.model.keys(table)
        new = sorted(key for t, key in self._writes if t == table and key not in self.model.rows[table])
        for key in itertools.chain(keys, new):
            row = self.see(table, key)
            if row is not None:
                yield row

    async def lock(self, table: str, key: Key, *, shared: bool = False) -> None:
        """Wait until the row is free, and hold it."""
        place = (table, key)
        while others := self.model.lock(place).others(self, shared=shared):
            for other in others:
                if self in _waiting_for(other):
                    raise asyncpg.DeadlockDetectedError("deadlock detected")
            self._waits_for = tuple(others)
            try:
                await asyncio.wait([other._done for other in others], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._waits_for = ()
        self._hold(place, shared=shared)

    def lock_free(self, table: str, key: Key) -> bool:
        """Hold the row if nobody else does (SKIP LOCKED)."""
        place = (table, key)
        if self.model.lock(place).others(self, shared=False):
            return False
        self._hold(place, shared=False)
        return True

    def _hold(self, place: Place, *, shared: bool) -> None:
        if self.over:
            raise asyncpg.ConnectionDoesNotExistError("the session was terminated")
        lock = self.model.lock(place)
        if shared:
            lock.sharers[self] = None
        else:
            lock.owner = self
        self._locks[place] = None

    def put(self, table: str, row: Row) -> None:
        """Write a row that is held."""
        key = tuple(row[name] for name in TABLES[table])
        if table == "part" and (old := self.see(table, key)) is not None and old["state"] != row["state"]:
            source, target = PartState(old["state"]), PartState(row["state"])
            if target not in TRANSITIONS[source]:
                raise Broken(f"part {key}: {source.name} -> {target.name} is not allowed")
        self._writes[table, key] = row

    def drop(self, table: str, key: Key) -> None:
        """Delete a row that is held."""
        self._writes[table, key] = None

    async def change(
        self,
        table: str,
        keys: Iterable[Key],
        when: Callable[[Row], bool],
        what: Callable[[Row], Row],
    ) -> list[Row]:
        """UPDATE … WHERE: rows are looked at again when they had to be waited for."""
        changed = []
        for key in keys:
            row = self.see(table, key)
            if row is None or not when(row):
                continue
            await self.lock(table, key)
            row = self.see(table, key)
            if row is not None and when(row):
                new = {**row, **what(row)}
                self.put(table, new)
                changed.append(new)
        return changed

    # --- the end -----------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Others see it from now on."""
        if self.over:
            raise asyncpg.ConnectionDoesNotExistError("the session was terminated")
        for (table, key), row in self._writes.items():
            self.model.store(table, key, row)
        self.model.stored_reports.update(self.reports)
        self._end()

    def rollback(self) -> None:
        """It never was."""
        if not self.over:
            self._end()

    def _end(self) -> None:
        self.over = True
        for place in self._locks:
            lock = self.model.lock(place)
            lock.sharers.pop(self, None)
            if lock.owner is self:
                lock.owner = None
        if not self._done.done():
            self._done.set_result(None)


def _waiting_for(txn: Transaction) -> set[Transaction]:
    """``txn`` and all that it waits for, and they, and so on."""
    seen: set[Transaction] = set()
    todo = [txn]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += one._waits_for
    return seen


class Model:
    """What is committed."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        """The server's."""
        self.rows: dict[str, dict[Key, Row]] = {table: {} for table in TABLES}
        self.channels: list[Row] = []
        """Rows of the table ``channel``."""
        self.stored_reports: set[tuple[int, str]] = set()
        self.on_change: Callable[[str, Row | None, Row | None], None] = lambda *_: None
        self._order: dict[str, list[Key]] = {table: [] for table in TABLES}
        self._locks: dict[Place, _Lock] = {}
        self._epochs = itertools.count(1)

    def lock(self, place: Place) -> _Lock:
        """The lock of a row."""
        return self._locks.setdefault(place, _Lock())

    def keys(self, table: str) -> list[Key]:
        """In their order."""
        return list(self._order[table])

    def store(self, table: str, key: Key, row: Row | None) -> None:
        """Commit one row."""
        old = self.rows[table].get(key)
        if row is None:
            if old is not None:
                del self.rows[table][key]
                self._order[table].remove(key)
        else:
            if old is None:
                bisect.insort(self._order[table], key)
            self.rows[table][key] = row
        self.on_change(table, old, row)

    def epoch(self) -> int:
        """``nextval('lease_epoch')``."""
        return next(self._epochs)

    def part(self, id_: int, part: int = 1) -> Row:
        """One part."""
        return self.rows["part"][id_, part]


Statement = Callable[..., Awaitable[list[Row]]]
STATEMENTS: dict[str, Statement] = {}


def _models(*names: str) -> Callable[[Statement], Statement]:
    """The function does what these statements (``module._NAME`` in the store) do."""

    def register(function: Statement) -> Statement:
        for name in names:
            module, _, constant = name.rpartition(".")
            STATEMENTS[getattr(importlib.import_module(f"smsgw.store.{module}"), constant)] = function
        return function

    return register


def _value(**value: Any) -> list[Row]:
    return [value]


# --- connections -----------------------------------------------------------------------------------------------


@_models("engine.database.MARKED")
async def _marked(txn: Transaction) -> list[Row]:
    return _value(marked=False)  # no backup goes into it


@_models("engine.group_commit._RECORD")
async def _record(txn: Transaction) -> list[Row]:
    return _value(record="0/0")  # there is one server, and nobody waits for another


# --- leases ----------------------------------------------------------------------------------------------------


@_models("engine.leases._ACQUIRE")
async def _acquire(txn: Transaction, resource: str, node: int, ttl: float) -> list[Row]:
    row = await _take_lease(txn, resource, node, ttl)
    return _value(epoch=row["epoch"]) if row else []


async def _take_lease(txn: Transaction, resource: str, node: int, ttl: float) -> Row | None:
    epoch = txn.model.epoch()  # drawn before the conflict is seen
    await txn.lock("lease", (resource,))
    old = txn.see("lease", (resource,))
    now = txn.model.clock()
    if old is not None and not (old["expires_at"] < now or old["node"] == node):
        return None
    row = {"resource": resource, "node": node, "epoch": epoch, "expires_at": now + timedelta(seconds=ttl)}
    txn.put("lease", row)
    return row


@_models("engine.leases._RENEW")
async def _renew(
    txn: Transaction, resources: list[str], epochs: list[int], nexts: list[int], ttl: float
) -> list[Row]:
    renewed = []
    for resource, epoch, other in zip(resources, epochs, nexts, strict=True):
        rows = await txn.change(
            "lease", [(resource,)],
            lambda row, either=(epoch, other): row["epoch"] in either and row["expires_at"] > txn.model.clock(),
            lambda _: {"expires_at": txn.model.clock() + timedelta(seconds=ttl)},
        )  # fmt: skip
        renewed += [row | {"epoch": epoch} for row in rows]
    return renewed


@_models("engine.leases._REISSUE")
async def _reissue(
    txn: Transaction, resource: str, node: int, epoch: int, other: int, ttl: float
) -> list[Row]:
    rows = await txn.change(
        "lease", [(resource,)],
        lambda r: r["node"] == node and r["epoch"] in (epoch, other) and r["expires_at"] > txn.model.clock(),
        lambda _: {"epoch": other, "expires_at": txn.model.clock() + timedelta(seconds=ttl)},
    )  # fmt: skip
    return [{"epoch": row["epoch"]} for row in rows]


async def _nextval(txn: Transaction) -> list[Row]:
    return _value(nextval=txn.model.epoch())


STATEMENTS["SELECT nextval('lease_epoch')"] = _nextval


@_models("engine.leases._RELEASE")
async def _release(txn: Transaction, resource: str, node: int, epoch: int, other: int) -> list[Row]:
    return await txn.change(
        "lease", [(resource,)],
        lambda row: row["node"] == node and row["epoch"] in (epoch, other),
        lambda _: {"expires_at": txn.model.clock()},
    )  # fmt: skip


# --- nodes -----------------------------------------------------------------------------------------------------

_NODES: Place = ("node", ())
"""The table, as a whole."""


async def _lock_nodes(txn: Transaction) -> list[Row]:
    await txn.lock(*_NODES)
    return []


async def _clock(txn: Transaction) -> list[Row]:
    return _value(clock_timestamp=txn.model.clock())


STATEMENTS["LOCK TABLE node IN SHARE ROW EXCLUSIVE MODE"] = _lock_nodes
STATEMENTS["SELECT clock_timestamp()"] = _clock


def _lease_of(txn: Transaction, number: int) -> Row | None:
    return txn.see("lease", (f"node/{number}",))


def _live(txn: Transaction, row: Row | None) -> bool:
    return row is not None and row["expires_at"] > txn.model.clock()


@_models("engine.nodes._ALL")
async def _all_nodes(txn: Transaction, days: int) -> list[Row]:
    before = txn.model.clock() - timedelta(days=days)
    return [
        row | {
            "forgotten": row["seen_at"] < before, "live": _live(txn, lease := _lease_of(txn, row["number"])),
            "expires_at": lease and lease["expires_at"],
        }
        for row in txn.all("node")
    ]  # fmt: skip


@_models("engine.nodes._DISOWN")
async def _disown(txn: Transaction, number: int) -> list[Row]:
    return await txn.change(
        "lease", txn.model.keys("lease"),
        lambda row: row["node"] == number and not row["resource"].startswith("node/"), lambda _: {"node": -1},
    )  # fmt: skip


@_models("engine.nodes._NEWEST")
async def _newest(txn: Transaction) -> list[Row]:
    return _value(max=max((row["id"] for row in txn.all("message")), default=0))


@_models("engine.nodes._TAKE_LEASE")
async def _take_node_lease(txn: Transaction, number: int, ttl: float) -> list[Row]:
    row = {
        "resource": f"node/{number}", "node": number, "epoch": txn.model.epoch(),
        "expires_at": txn.model.clock() + timedelta(seconds=ttl),
    }  # fmt: skip
    await txn.lock("lease", (row["resource"],))
    txn.put("lease", row)
    return _value(epoch=row["epoch"])


@_models("engine.nodes._TAKE")
async def _take_node(
    txn: Transaction, number: int, instance: str, place: str, last_id: int, schema: int, epoch: int, serves_links: bool
) -> list[Row]:
    now = txn.model.clock()
    old = txn.see("node", (number,))
    new = {"number": number, "instance": instance, "place": place, "since": now, "seen_at": now}
    new |= {"schema": schema, "schema_epoch": epoch, "serves_links": serves_links}
    if old is not None:
        new |= {"last_id": old["last_id"]} | ({"since": old["since"]} if old["instance"] == instance else {})
    txn.put("node", {"last_id": last_id} | new)
    return _value(last_id=new.get("last_id", last_id))


async def _tell(txn: Transaction, number: int, epoch: int, last_id: int, expires_at: datetime) -> bool:
    """Whether the number still is that node's; if so it is seen, and its lease ends then."""
    held = await txn.change(
        "lease",
        [(f"node/{number}",)],
        lambda row: row["epoch"] == epoch,
        lambda _: {"expires_at": expires_at},
    )
    if held:
        await txn.lock(*_NODES, shared=True)
        await txn.change(
            "node", [(number,)], lambda _: True,
            lambda row: {"seen_at": txn.model.clock(), "last_id": max(row["last_id"], last_id)},
        )  # fmt: skip
    return bool(held)


@_models("engine.nodes._BEAT")
async def _beat(txn: Transaction, number: int, epoch: int, ttl: float, last_id: int) -> list[Row]:
    before = list(txn.all("node"))
    others = [
        row for row in txn.all("lease") if row["resource"].startswith("node/") and row["node"] != number
    ]
    held = await _tell(txn, number, epoch, last_id, txn.model.clock() + timedelta(seconds=ttl))
    return _value(
        at=txn.model.clock(), held=held, live=1 + sum(_live(txn, row) for row in others),
        newest=max((row["last_id"] for row in before), default=None),
        place=next((row["place"] for row in before if row["number"] == number), None),
    )  # fmt: skip


@_models("engine.nodes._LEAVE")
async def _leave_number(txn: Transaction, number: int, epoch: int, last_id: int) -> list[Row]:
    await _tell(txn, number, epoch, last_id, txn.model.clock())
    return []


# --- acceptance ------------------------------------------------------------------------------------------------


@_models("messages.credit.LOCK")
async def _lock_accounts(txn: Transaction, ids: list[int]) -> list[Row]:
    rows = []
    for id_ in ids:  # nobody here has an end of money
        await txn.lock("account", (id_,))
        limits = {"halted": False, "training": False, "available": 10**9, "quota_day": None, "quota_month": None}
        rows.append({"id": id_} | limits)
    return rows


@_models("messages.accepting._PRESENT")
async def _present(txn: Transaction, ids: list[int], lowest: int) -> list[Row]:
    return [{"id": id_} for id_ in ids if id_ >= lowest and txn.see("message", (id_,)) is not None]


class _Noted:
    """A connection that notes what it is asked."""

    text = ""

    async def execute(self, sql: str, *_: Any, **__: Any) -> None:
        self.text = sql

    async def fetch(self, sql: str, *_: Any, **__: Any) -> list[Row]:
        self.text = sql
        return []


class _Some:
    """Channels that take these messages."""

    def __init__(self, *ids: int) -> None:
        self._ids = ids

    def open(self, calls: Any) -> dict[int, calls_store.Fence]:
        return dict.fromkeys(self._ids, calls_store.Fence("", 1, 1, 1))

    def taken(self, ids: Any) -> None:
        pass


def _text_of_entering(*, at_once: bool, queued: bool) -> str:
    """The statement that enters messages which channels take at once, others, or both."""
    messages = [(n, n, ACCOUNT, *("",) * (len(calls_store.MESSAGE_TYPES) - 3)) for n in (1, 2)]
    part = [(n, *(0,) * (len(calls_store.PART_TYPES) - 1)) for n in (1, 2)]
    rows = [n for n, there in enumerate((at_once, queued)) if there]
    messages = [
        tuple(1 if name == "parts" else value for name, value in zip(calls_store.MESSAGE_TYPES, row, strict=True))
        for row in (messages[n] for n in rows)
    ]
    call = calls_store.NewCall(ACCOUNT, 1, messages, [part[n] for n in rows], 0, (), b"")
    noted: Any = _Noted()
    entering = accepting._write(noted, [call], date(2026, 1, 1), 1, _Some(1) if at_once else None)
    with contextlib.suppress(StopIteration):
        entering.send(None)  # it never has to wait
    return noted.text


def _entering(*, at_once: bool, queued: bool) -> Statement:
    async def enter(txn: Transaction, *columns: Any) -> list[Row]:
        given = list(columns)

        def rows(types: Iterable[str]) -> list[Row]:
            names = tuple(types)
            values, given[:] = given[: len(names)], given[len(names) :]
            return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]

        def new(table: str, row: Row) -> None:
            if txn.see(table, tuple(row[name] for name in TABLES[table])) is not None:
                raise asyncpg.UniqueViolationError(f"{table} {row['id']} is there")
            txn.put(table, row)

        for row in rows(calls_store.MESSAGE_TYPES):
            new("message", row)
        taken = set()
        if at_once:
            own = {
                lease["channel_id"]: lease["epoch"]
                for lease in rows(("resource", "node", "epoch", "channel_id"))
                if _own_at_once(txn, lease["resource"], lease["node"], lease["epoch"])
            }
            for row in rows((*calls_store.PART_TYPES, "to")):
                channel_id = row.pop("to")
                if channel_id in own:
                    taken.add(row["id"])
                    row |= {
                        "state": 20, "channel_id": channel_id, "epoch": own[channel_id], "attempt": 1,
                        "claimed_at": txn.model.clock(),
                    }  # fmt: skip
                new("part", PART | row)
        if queued:
            for row in rows(calls_store.PART_TYPES):
                new("part", PART | row)
        return [{"id": id_} for id_ in sorted(taken)]

    return enter


def _own_at_once(txn: Transaction, resource: str, node: int, epoch: int) -> bool:
    """The fence, SKIP LOCKED."""
    place = ("lease", (resource,))
    row = txn.see(*place)
    if (
        row is None
        or txn.model.lock(place).others(txn, shared=True)
        or (row["node"], row["epoch"]) != (node, epoch)
        or row["expires_at"] <= txn.model.clock()
    ):
        return False
    txn._hold(place, shared=True)
    return True


for _at_once, _queued in ((True, False), (False, True), (True, True)):
    STATEMENTS[_text_of_entering(at_once=_at_once, queued=_queued)] = _entering(at_once=_at_once, queued=_queued)


# --- claims ----------------------------------------------------------------------------------------------------


async def _own(txn: Transaction, resource: str, node: int, epoch: int) -> bool:
    def mine() -> bool:
        row = txn.see("lease", (resource,))
        return (
            row is not None
            and (row["node"], row["epoch"]) == (node, epoch)
            and row["expires_at"] > txn.model.clock()
        )

    if not mine():
        return False
    await txn.lock("lease", (resource,), shared=True)
    return mine()


def _with_messages(txn: Transaction, parts: Iterable[Row]) -> list[Row]:
    rows = []
    for part in sorted(parts, key=lambda p: (p["lane"], p["id"], p["part"])):
        message = txn.see("message", (part["id"],))
        if message is not None:
            names = ("number", "content", "coding", "extend_code", "concat_ref")
            rows.append(part | {name: message[name] for name in names})
    return rows


def _claiming(passes: Callable[[Row, int], bool]) -> Statement:
    async def claim(
        txn: Transaction, resource: str, node: int, epoch: int, limit: int, pools: list[int], lanes: list[int],
        oldest: int, channel_id: int, newest: int, since: list[int], halted: Iterable[int] = (),
    ) -> list[Row]:  # fmt: skip
        if not await _own(txn, resource, node, epoch):
            return []
        halted = set(halted)
        head: list[Row] = []
        for pool_id, lane, first in zip(pools, lanes, since, strict=True):
            if (pool_id == TEST_POOL) != (channel_id == TEST_CHANNEL):
                continue
            found = 0
            for row in txn.all("part"):
                if (
                    found < limit
                    and (row["state"], row["part"]) == (10, 1)
                    and (row["pool_id"], row["lane"]) == (pool_id, lane)
                    and max(oldest, first) <= row["id"] <= newest
                    and row["account_id"] not in halted
                    and passes(row, channel_id)
                    and txn.lock_free("part", (row["id"], 1))
                ):
                    head.append(row)
                    found += 1
        picked = []
        running = 0
        for row in head:
            if running < limit:
                picked.append(row["id"])
            running += row["total"]
        keys = [key for key in txn.model.keys("part") if key[0] in set(picked)]
        now = txn.model.clock()
        mine = await txn.change(
            "part", keys, lambda row: row["state"] == 10 and row["id"] >= oldest,
            lambda row: {
                "state": 20, "channel_id": channel_id, "epoch": epoch, "attempt": row["attempt"] + 1, "claimed_at": now,
            },
        )  # fmt: skip
        return _with_messages(txn, mine)

    return claim


_models("messages.claiming._CLAIM", "messages.claiming._CLAIM_PAST")(
    _claiming(lambda row, channel_id: channel_id not in row["avoid_channels"])
)
_models("messages.claiming._CLAIM_AGAIN")(
    _claiming(lambda row, channel_id: bool(row["avoid_channels"]) and channel_id not in row["avoid_channels"])
)


@_models("messages.claiming._CLAIM_DEFERRED")
async def _claim_deferred(
    txn: Transaction,
    resource: str,
    node: int,
    epoch: int,
    limit: int,
    channel_id: int,
    oldest: int,
    halted: list[int],
    due_by: datetime,
) -> list[Row]:
    if not await _own(txn, resource, node, epoch):
        return []
    now = txn.model.clock()
    due = [
        row
        for row in txn.all("part")
        if row["channel_id"] == channel_id
        and row["state"] == 11
        and row["next_at"] is not None
        and row["next_at"] <= due_by
        and row["id"] >= oldest
        and row["account_id"] not in halted
    ]
    picked = []
    for row in sorted(due, key=lambda r: (r["next_at"], r["id"], r["part"])):
        if len(picked) < limit and txn.lock_free("part", (row["id"], row["part"])):
            picked.append((row["id"], row["part"]))
    mine = await txn.change(
        "part", picked, lambda _: True,
        lambda row: {
            "state": 20, "epoch": epoch, "attempt": row["attempt"] + 1, "claimed_at": now, "next_at": None,
        },
    )  # fmt: skip
    return _with_messages(txn, mine)


@_models("messages.claiming._NEXT_DEFERRED")
async def _next_deferred(txn: Transaction, channel_id: int, oldest: int) -> list[Row]:
    due = [
        row["next_at"]
        for row in txn.all("part")
        if row["channel_id"] == channel_id and row["state"] == 11 and row["id"] >= oldest and row["next_at"]
    ]
    return _value(min=min(due, default=None))


@_models("messages.claiming._OLDEST_QUEUED")
async def _oldest_queued(txn: Transaction, pools: list[int], oldest: int, newest: int) -> list[Row]:
    found: dict[int, int] = {}
    for row in txn.all("part"):
        if (
            (row["state"], row["part"]) == (10, 1)
            and row["pool_id"] in pools
            and oldest <= row["id"] <= newest
        ):
            found.setdefault(row["pool_id"], row["id"])
    return [{"pool_id": pool_id, "id": id_} for pool_id, id_ in found.items()]


@_models("messages.claiming._HELD")
async def _held(
    txn: Transaction, channel_id: int, epochs: list[int], current: int, older: float
) -> list[Row]:
    before = txn.model.clock() - timedelta(seconds=older)
    return [
        row
        for row in txn.all("part")
        if (row["channel_id"], row["state"]) == (channel_id, 20)
        and row["epoch"] in epochs
        and (row["epoch"] != current or row["claimed_at"] < before)
    ]


@_models("messages.claiming._INTERRUPTED")
async def _interrupted(txn: Transaction, channel_id: int, epoch: int, id_: int, part: int) -> list[Row]:
    return [
        row
        for row in txn.all("part")
        if (row["channel_id"], row["state"]) == (channel_id, 20)
        and row["epoch"] < epoch
        and (row["id"], row["part"]) > (id_, part)
    ][:5000]


@_models("messages.claiming._TAKEN_OVER")
async def _taken_over(txn: Transaction, id_: int, part: int) -> list[Row]:
    return [
        row
        for row in txn.all("part")
        if (row["state"], row["code"]) == (31, "TAKEN_OVER") and (row["id"], row["part"]) > (id_, part)
    ][:5000]


@_models("messages.claiming._LEFT")
async def _left(txn: Transaction, running: list[int]) -> list[Row]:
    sending = {row["channel_id"] for row in txn.all("part") if row["state"] == 20}
    return [c for c in txn.model.channels if c["id"] not in running and c["id"] in sending]


# --- outcomes --------------------------------------------------------------------------------------------------


@_models("messages.outcomes._GIVE_BACK")
async def _give_back(
    txn: Transaction, ids: list[int], parts: list[int], attempts: list[int], ats: list[datetime], lowest: int
) -> list[Row]:
    asked = {(i, p): (n, at) for i, p, n, at in zip(ids, parts, attempts, ats, strict=True) if i >= lowest}

    def mine(row: Row) -> bool:
        return row["attempt"] == asked[row["id"], row["part"]][0] and row["state"] in (20, 31)

    whole: dict[int, list[Row]] = {}
    for key in sorted(asked):
        if (row := txn.see("part", key)) is not None and mine(row):
            await txn.lock("part", key)
            if (row := txn.see("part", key)) is not None and mine(row):
                whole.setdefault(row["id"], []).append(row)
    changed = []
    for id_, rows in whole.items():
        if len(rows) != rows[0]["total"] or any(row["resent"] for row in rows):
            continue
        at = max(asked[id_, row["part"]][1] for row in rows)

        def back(row: Row, at: datetime = at) -> Row:
            state = 10 if row["expires_at"] > at else 44 if row["resent"] else 41 if row["failed"] else 42
            kept = row if row["failed"] else {"code": "", "class": ""}
            return {
                "state": state, "channel_id": None, "epoch": None, "claimed_at": None, "next_at": None,
                "code": kept["code"], "class": kept["class"], "final_at": at if row["expires_at"] <= at else None,
            }  # fmt: skip

        changed += await txn.change("part", [(id_, row["part"]) for row in rows], lambda _: True, back)
    return changed


@_models("messages.outcomes._ANSWERS")
async def _answers(
    txn: Transaction, ids: list[int], parts: list[int], attempts: list[int], states: list[int], carrier_ids: list[str],
    codes: list[str], classes: list[str], ats: list[datetime], next_ats: list[datetime | None], policies: list[str],
    hold: timedelta, hold_short: timedelta, resend: timedelta, lowest: int,
) -> list[Row]:  # fmt: skip
    patience = {"hold_short": hold_short, "resend": resend}
    changed = []
    for id_, part, attempt, state, carrier_id, code, cls, at, next_at, policy in zip(
        ids, parts, attempts, states, carrier_ids, codes, classes, ats, next_ats, policies, strict=True
    ):

        def open_(row: Row, attempt: int = attempt, state: int = state) -> bool:
            waits = row["state"] == 20 or (row["state"] == 31 and state != 31)
            return row["attempt"] == attempt and row["id"] >= lowest and waits

        def apply(row: Row, a: Any = (state, carrier_id, code, cls, at, next_at, policy)) -> Row:
            state, carrier_id, code, cls, at, next_at, policy = a
            ends = state == 45 or (state == 11 and row["expires_at"] <= at)
            final = 44 if row["resent"] else 41 if row["failed"] else 45 if state == 45 else 42
            wait = patience.get(row["unknown_policy"] or policy, hold)
            return {
                "state": final if ends else state, "carrier_id": carrier_id or row["carrier_id"], "code": code,
                "class": cls, "answered_at": at if state in (30, 45) else row["answered_at"],
                "next_at": at + wait if state == 31 else next_at, "final_at": at if ends else None,
            }  # fmt: skip

        changed += await txn.change("part", [(id_, part)], open_, apply)
    return changed


@_models("messages.outcomes._UNSEEN")
async def _unseen(
    txn: Transaction, ids: list[int], parts: list[int], attempts: list[int], states: list[int], lowest: int
) -> list[Row]:
    def open_(row: Row, attempt: int, state: int) -> bool:
        waits = row["state"] == 20 or (row["state"] == 31 and state != 31)
        return row["id"] >= lowest and (row["attempt"] < attempt or (row["attempt"] == attempt and waits))

    asked = zip(ids, parts, attempts, states, strict=True)
    seen = [(txn.see("part", (id_, part)), attempt, state) for id_, part, attempt, state in asked]
    return _value(count=sum(row is not None and open_(row, attempt, state) for row, attempt, state in seen))


@_models("messages.outcomes._TOO_LATE")
async def _too_late(
    txn: Transaction,
    ids: list[int],
    parts: list[int],
    attempts: list[int],
    carrier_ids: list[str],
    lowest: int,
) -> list[Row]:
    changed = []
    for id_, part, attempt, carrier_id in zip(ids, parts, attempts, carrier_ids, strict=True):
        changed += await txn.change(
            "part", [(id_, part)],
            lambda r, n=attempt: r["attempt"] == n and r["state"] in (40, 44) and r["carrier_id"] is None
            and r["id"] >= lowest,
            lambda _, c=carrier_id: {"carrier_id": c},
        )  # fmt: skip
    return changed


@_models("messages.outcomes._STILL_UNKNOWN")
async def _still_unknown(
    txn: Transaction, ids: list[int], parts: list[int], attempts: list[int], codes: list[str], carrier_ids: list[str],
    lowest: int,
) -> list[Row]:  # fmt: skip
    changed = []
    for id_, part, attempt, code, carrier_id in zip(ids, parts, attempts, codes, carrier_ids, strict=True):
        changed += await txn.change(
            "part", [(id_, part)],
            lambda r, n=attempt: (r["attempt"], r["state"], r["code"]) == (n, 31, "TAKEN_OVER") and r["id"] >= lowest,
            lambda r, code=code, c=carrier_id: {"code": code, "carrier_id": c or r["carrier_id"]},
        )  # fmt: skip
    return changed


@_models("messages.outcomes._ANY_EARLY")
async def _any_early(txn: Transaction) -> list[Row]:
    return _value(exists=any(True for _ in txn.all("orphan")))


@_models("messages.outcomes._EARLY")
async def _early(txn: Transaction, channel_ids: list[int], carrier_ids: list[str]) -> list[Row]:
    wanted = set(zip(channel_ids, carrier_ids, strict=True))
    taken = []
    for row in list(txn.all("orphan")):
        if (row["channel_id"], row["carrier_id"]) in wanted:
            key = (row["channel_id"], row["carrier_id"], row["code"])
            await txn.lock("orphan", key)
            if (now := txn.see("orphan", key)) is not None:
                txn.drop("orphan", key)
                taken.append(now)
    return taken


def _fits(txn: Transaction, id_: int, tail: str) -> bool:
    """Whether a message has the number that a report names by its end."""
    message = txn.see("message", (id_,))
    return message is not None and message["number"].endswith(tail)


def _chosen(txn: Transaction, key: tuple[int, str], tail: str, oldest: int, newest: int) -> Row | None:
    """The part that a report is about."""
    found = [row for row in _named(txn, *key, oldest, newest) if _fits(txn, row["id"], tail)]
    return max(
        found, key=lambda row: (tail != "" and row["state"] == 30, row["id"], -row["part"]), default=None
    )


def _named(txn: Transaction, channel_id: int, carrier_id: str, oldest: int, newest: int) -> list[Row]:
    return [
        row
        for row in txn.all("part")
        if (row["channel_id"], row["carrier_id"]) == (channel_id, carrier_id)
        and oldest <= row["id"] <= newest
    ]


@_models("messages.outcomes._REPORTS")
async def _reports(
    txn: Transaction, channel_ids: list[int], carrier_ids: list[str], states: list[int], codes: list[str],
    classes: list[str], ats: list[datetime], oldest: int, newest: int, tails: list[str], _: list[bytes],
) -> list[Row]:  # fmt: skip
    txn.reports += zip(channel_ids, carrier_ids, strict=True)
    first: dict[Key, tuple[int, bool, Row]] = {}
    hits: dict[int, int] = {}
    for n, (channel_id, carrier_id, state, code, cls, at, tail) in enumerate(
        zip(channel_ids, carrier_ids, states, codes, classes, ats, tails, strict=True), 1
    ):
        hit = _chosen(txn, (channel_id, carrier_id), tail, oldest, newest)
        if hit is not None:
            moot = hit["resent"] > 0 and state != 40
            hits[n] = 40 if moot and hit["state"] in (43, 44) else hit["state"]
            new = {
                "state": 44 if moot else state, "code": code, "class": cls, "final_at": at, "next_at": None,
            }  # fmt: skip
            if hits[n] in _OPEN:
                first.setdefault((hit["id"], hit["part"]), (n, moot, new))
    changed = []
    for key, (n, moot, new) in sorted(first.items()):
        open_ = (30, 31) if moot else _OPEN
        rows = await txn.change(
            "part", [key], lambda r, c=carrier_ids[n - 1], o=open_: r["state"] in o and r["carrier_id"] == c,
            lambda _, new=new: new,
        )  # fmt: skip
        changed += [row | {"n": n} for row in rows]
    hit_ = [n for n, was in hits.items() if was in _OPEN]
    ended = [n for n, was in hits.items() if was in _ENDED]
    return [*changed, {"n": None, "hit": hit_, "ended": ended}]


_OPEN = (30, 31, 43, 44)
"""States that a report may change."""
_ENDED = (40, 41, 42, 45, 46, 47)


@_models("messages.reattempt._ENDED")
async def _ended(txn: Transaction, ids: list[int], parts: list[int], lowest: int) -> list[Row]:
    asked = enumerate(zip(ids, parts, strict=True), 1)
    return [
        {"n": n} for n, key in asked if (row := txn.see("part", key)) is not None and row["state"] in _ENDED
    ]


@_models("messages.outcomes._SUPERSEDED")
async def _superseded(
    txn: Transaction, ids: list[int], parts: list[int], attempts: list[int], carrier_ids: list[str], lowest: int,
    ats: list[datetime],
) -> list[Row]:  # fmt: skip
    changed = []
    for id_, part, attempt, carrier_id, at in zip(ids, parts, attempts, carrier_ids, ats, strict=True):
        changed += await txn.change(
            "attempt", [(id_, part, attempt)], lambda row: row["carrier_id"] is None,
            lambda _, c=carrier_id, at=at: {"carrier_id": c, "answered_at": at},
        )  # fmt: skip
    return changed


_ORPHAN = (
    "channel_id", "carrier_id", "state", "code", "class", "number", "received_at", "reference", "by_number",
    "submitted", "pdu",
)  # fmt: skip


@_models("messages.outcomes._PARK")
async def _park(txn: Transaction, *columns: list[Any]) -> list[Row]:
    for values in zip(*columns, strict=True):
        row = dict(zip(_ORPHAN, values, strict=True))
        key = (row["channel_id"], row["carrier_id"], row["code"])
        txn.reports.append(key[:2])
        if txn.see("orphan", key) is None:
            await txn.lock("orphan", key)
            if txn.see("orphan", key) is None:
                txn.put("orphan", row)
    return []


@_models("messages.outcomes._SIBLINGS")
async def _siblings(txn: Transaction, ids: list[int], lowest: int) -> list[Row]:
    rows = []
    for key in txn.model.keys("part"):
        if key[0] in ids and key[0] >= lowest:
            await txn.lock("part", key)
            row = txn.see("part", key)
            assert row is not None
            rows.append(row)
    return rows


@_models(
    "messages.outcomes._OWED",
    "messages.outcomes._OWN_ADDRESS",
    "messages.outcomes._EVENTS",
    "messages.counters._CHANNELS_TODAY",
    "messages.probing._LOAD",
    "messages.failover._FORGIVE",
)
async def _nothing(txn: Transaction, *args: Any) -> list[Row]:
    """Money, statistics and the trace have tests of their own; nothing here avoids a channel."""
    return []


def _together(fill: Callable[[Together], None]) -> str:
    """The text of changes that go as one statement."""
    changes = Together()
    fill(changes)
    return changes.text


def _counts(changes: Together) -> None:
    counters.add(changes, 1, Counter({(1, 1, "submitted"): 1}))


STATEMENTS[_together(_counts)] = _nothing


async def _new_events(txn: Transaction, *columns: Any) -> list[Row]:
    """Of events, and what is counted with them."""
    for row in zip(*columns[: len(outcomes.EVENT_TYPES)], strict=True):
        txn.put("told", dict(zip(outcomes.EVENT_TYPES, row, strict=True)))
    return []


_EVENT = [(0,) * len(outcomes.EVENT_TYPES)]


def _events(changes: Together) -> None:
    changes.insert("customer_event", outcomes.EVENT_TYPES, _EVENT)


STATEMENTS[_together(_events)] = _new_events
STATEMENTS[_together(lambda changes: (_events(changes), _counts(changes))[0])] = _new_events


@_models("messages.references._ANY")
async def _no(txn: Transaction) -> list[Row]:
    return _value(exists=False)


# --- retries ---------------------------------------------------------------------------------------------------


@_models("messages.reattempt._LOOK_ANSWERS")
async def _look_answers(
    txn: Transaction, ids: list[int], parts: list[int], attempts: list[int], lowest: int
) -> list[Row]:
    found = []
    for n, (id_, part, attempt) in enumerate(zip(ids, parts, attempts, strict=True), 1):
        row = txn.see("part", (id_, part))
        if row is not None and row["attempt"] == attempt and row["state"] in (20, 31) and id_ >= lowest:
            found.append(row | {"n": n})
    return found


@_models("messages.reattempt._LOOK_REPORTS")
async def _look_reports(
    txn: Transaction, channel_ids: list[int], carrier_ids: list[str], oldest: int, newest: int,
    tails: list[str],
) -> list[Row]:  # fmt: skip
    txn.reports += zip(channel_ids, carrier_ids, strict=True)
    found = []
    keys = zip(channel_ids, carrier_ids, strict=True)
    for n, (key, tail) in enumerate(zip(keys, tails, strict=True), 1):
        hit = _chosen(txn, key, tail, oldest, newest)
        if hit is not None and hit["state"] == 30:
            found.append(hit | {"n": n})
    return found


@_models("messages.reattempt._AGAIN")
async def _again(
    txn: Transaction, ids: list[int], parts: list[int], attempts: list[int], dues: list[datetime], others: list[bool],
    pools: list[int], reported: list[bool], counted: list[bool], codes: list[str], classes: list[str], lowest: int,
) -> list[Row]:  # fmt: skip
    changed = []
    for id_, part, attempt, due, other, pool_id, was_reported, counts, code, cls in zip(
        ids, parts, attempts, dues, others, pools, reported, counted, codes, classes, strict=True
    ):

        def open_(row: Row, attempt: int = attempt, was_reported: bool = was_reported) -> bool:
            return row["attempt"] == attempt and row["state"] in ((30,) if was_reported else (20, 31))

        was = txn.see("part", (id_, part))
        rows = await txn.change(
            "part", [(id_, part)], open_,
            lambda r, a=(due, other, code, cls, counts, was_reported, pool_id): {
                "state": 11, "next_at": a[0], "elsewhere": a[1], "code": a[2], "class": a[3],
                "tries": r["tries"] + int(a[4]), "failed": r["failed"] or a[5], "carrier_id": None,
                "answered_at": None, "pool_id": a[6],
            },
        )  # fmt: skip
        if rows and was is not None and (was_reported or other):
            key = (id_, part, attempt)
            if txn.see("attempt", key) is None:
                kept = ("id", "part", "attempt", "channel_id", "carrier_id", "claimed_at", "answered_at")
                txn.put("attempt", {name: was[name] for name in kept} | {"code": code})
        changed += rows
    return changed


@_models("messages.reattempt._LATE")
async def _late(
    txn: Transaction, channel_ids: list[int], carrier_ids: list[str], states: list[int], codes: list[str],
    ats: list[datetime], oldest: int, tails: list[str], _: list[bytes],
) -> list[Row]:  # fmt: skip
    hits: dict[int, Row] = {}
    first: dict[Key, tuple[int, Row]] = {}
    for n, (channel_id, carrier_id, state, code, at, tail) in enumerate(
        zip(channel_ids, carrier_ids, states, codes, ats, tails, strict=True), 1
    ):
        found = [
            row
            for row in txn.all("attempt")
            if (row["channel_id"], row["carrier_id"]) == (channel_id, carrier_id)
            and row["id"] >= oldest
            and _fits(txn, row["id"], tail)
        ]
        if found:
            hit = hits[n] = max(found, key=lambda row: (row["id"], row["attempt"]))
            if state == 40:
                new = {"state": 40, "code": code, "class": "", "final_at": at, "next_at": None}
                first.setdefault((hit["id"], hit["part"]), (n, new))
    changed = []
    for key, (n, new) in sorted(first.items()):
        rows = await txn.change(
            "part", [key],
            lambda row: row["state"] in (1, 10, 11, 20, 30, 31, 43, 44)
            and (row["total"] == 1 or row["channel_id"] is not None),
            lambda _, new=new: new,
        )  # fmt: skip
        changed += [row | {"n": n} for row in rows]
    return [
        *changed,
        *({"n": n, "id": None, "hit_id": h["id"], "hit_part": h["part"]} for n, h in hits.items()),
    ]


@_models("messages.reattempt._RELEASE")
async def _release_waiting(txn: Transaction, now: datetime, oldest: int) -> list[Row]:
    due = [
        row["id"]
        for row in txn.all("part")
        if row["channel_id"] is None and (row["state"], row["part"]) == (11, 1) and row["next_at"] <= now
        and row["id"] >= oldest and txn.lock_free("part", (row["id"], 1))
    ]  # fmt: skip
    return await txn.change(
        "part", [key for key in txn.model.keys("part") if key[0] in due],
        lambda row: row["state"] == 11 and row["channel_id"] is None,
        lambda _: {"state": 10, "next_at": None},
    )  # fmt: skip


@_models("messages.failover._LEAVE")
async def _strand(
    txn: Transaction, gone: list[int], pools: list[int], serving: list[int], now: datetime, oldest: int
) -> list[Row]:
    served = list(zip(pools, serving, strict=True))

    def reachable(row: Row) -> bool:
        return any(p == row["pool_id"] and c not in row["avoid_channels"] for p, c in served)

    def stuck(row: Row) -> bool:
        return row["state"] == 11 and row["channel_id"] in gone and row["id"] >= oldest

    ids = sorted({row["id"] for row in txn.all("part") if stuck(row) and reachable(row)})
    changed = []
    for id_ in ids:
        rows = [row for row in txn.all("part") if row["id"] == id_]
        if not all(stuck(row) and row["resent"] == 0 for row in rows):
            continue
        slowed = all(row["class"] == "FREQ_CARRIER" for row in rows)
        due = now if slowed else max(row["next_at"] for row in rows)
        changed += await txn.change(
            "part", [(row["id"], row["part"]) for row in rows], stuck,
            lambda _, due=due: {
                "state": 10 if due <= now else 11, "next_at": due if due > now else None, "channel_id": None,
                "epoch": None, "claimed_at": None, "elsewhere": False,
            },
        )  # fmt: skip
    return changed


# --- configuration ---------------------------------------------------------------------------------------------


@_models("config.channels._REMOVED")
async def _removed(txn: Transaction, since: datetime) -> list[Row]:
    return []


@_models("config.channels._SAY")
async def _say(
    txn: Transaction, node: int, ids: list[int], bound: list[int], errors: list[str], refused: list[bool]
) -> list[Row]:
    now = txn.model.clock()
    for id_, n, error, no in sorted(zip(ids, bound, errors, refused, strict=True)):
        await txn.lock("said", (id_,))
        old = txn.see("said", (id_,))
        last = now if n else old["last_bound_at"] if old else None
        txn.put(
            "said",
            {
                "channel_id": id_, "node": node, "bound": n, "last_bound_at": last, "last_error": error,
                "updated_at": now, "refused": no,
            },
        )  # fmt: skip
    return []


@_models("config.channels._SAID")
async def _said(txn: Transaction) -> list[Row]:
    now = txn.model.clock()

    def ago(at: datetime | None) -> float | None:
        return None if at is None else (now - at).total_seconds()

    return [
        {name: value for name, value in row.items() if name != "updated_at"}
        | {"ago": ago(row["updated_at"]), "bound_ago": ago(row["last_bound_at"])}
        for row in txn.all("said")
    ]


@_models("config.throttles._KEEP")
@_models("config.throttles._PRUNE")
async def _throttles(txn: Transaction, *_: Any) -> list[Row]:
    return []  # for people alone: nothing that sends reads it


@_models("messages.report_ids._TAKE")
async def _take_parked(txn: Transaction, channel_id: int | None, limit: int, since: datetime) -> list[Row]:
    wanted = [
        row
        for row in txn.all("orphan")
        if (channel_id is None or row["channel_id"] == channel_id) and row["received_at"] >= since
    ]
    taken = []
    for row in sorted(wanted, key=lambda row: row["received_at"]):
        key = (row["channel_id"], row["carrier_id"], row["code"])
        if len(taken) < limit and txn.lock_free("orphan", key):
            txn.drop("orphan", key)
            taken.append(row)
    return taken
