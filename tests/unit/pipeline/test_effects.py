"""The steps that follow a batch of outcomes: their order, and that a batch of many costs what a batch of one does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from smsgw.core.model import PROBE_ACCOUNT, Inbound
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes import effects as module
from smsgw.pipeline.outcomes.effects import STEPS, Effects, follow_up
from smsgw.store.messages.inbound import Arrived
from smsgw.store.messages.outcomes import EVENT_TYPES

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
        self.events: list[tuple[Any, ...]] = []
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
            self.events += zip(*args, strict=True)

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


@pytest.mark.parametrize("n", [1, 40])
async def test_each_step_is_as_many_statements_whatever_the_size_of_the_batch(n: int) -> None:
    effects = batch(n)
    await follow_up(effects)
    assert effects.connection.asked == ORDER  # type: ignore[attr-defined]


async def test_reports_and_counts_are_one_statement_where_no_message_has_an_address_of_its_own() -> None:
    effects = batch(1)
    effects.callbacks = ()
    await follow_up(effects)
    connection: Any = effects.connection
    written = [table for table in ORDER if table not in ("customer_event", "callback_url")]
    assert connection.asked == written
    assert "INTO customer_event" in connection.last
    told = zip(*connection.arguments[: len(EVENT_TYPES)], strict=True)
    assert [event[3] for event in told] == [100, 101, 102]


async def test_where_nothing_is_given_back_no_account_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    effects = batch(1)
    monkeypatch.setattr(Connection, "units", 0)
    await follow_up(effects)
    assert effects.connection.asked == [ORDER[0], *ORDER[3:]]  # type: ignore[attr-defined]


async def test_a_batch_without_an_end_is_only_counted() -> None:
    connection: Any = Connection([])
    effects = Effects(connection, 1, count(1).__next__, (), (), lambda *_: None, changed=[part(1, S.SENT)])  # type: ignore[list-item]
    await follow_up(effects)
    assert connection.asked == ["stat_minute"]


async def test_whole_messages_are_reported_in_the_order_of_their_ids_and_probes_are_not() -> None:
    effects = batch(2)
    await follow_up(effects)
    connection: Any = effects.connection
    assert [event[3] for event in connection.events] == [100, 101, 102, 200, 201, 202]
    assert effects.told == {"report": {5}, "mo": set()}


async def test_whoever_is_told_nothing_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    async def withhold_all(effects: Effects) -> None:
        effects.withheld |= effects.ended.keys()

    monkeypatch.setattr(module, "STEPS", (STEPS[0], STEPS[1], withhold_all, *STEPS[2:]))
    effects = batch(1)
    await follow_up(effects)
    assert effects.told["report"] == set()
    assert "customer_event" not in effects.connection.asked  # type: ignore[attr-defined]
