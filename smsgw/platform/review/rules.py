"""Rules of what a reviewer has to see, and what other ones would have held: policies of all, an account or a type."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from smsgw.core import policy
from smsgw.core.ids import CHINA, first_id, time_of
from smsgw.core.model import MessageType, Origin
from smsgw.core.policy import PolicySet
from smsgw.pipeline.accept.checks import Asked, held_for
from smsgw.pipeline.snapshot import Snapshot
from smsgw.platform.change import Change
from smsgw.platform.policies import service as policies
from smsgw.store.engine.database import Database, Row

NAMES = ("review", "review_over", "review_new_sign", "review_new_link")
HOURS = ("hours",)
MOST = 5000
"""Messages of a day that are looked at, and …"""
MOST_TASKS = 500
"""… tasks."""
MOST_READ = 100_000
"""Of the first so many of a day, whatever their type: what is rare is not looked for in all of them."""
PATIENCE = 20.0
"""Seconds for each statement about a day."""
AT_ONCE = 100
"""Texts that are judged before others have their turn."""

_UNTIL = """
SELECT id FROM message WHERE id >= $1 AND id < $2 AND ($3::bigint[] IS NULL OR account_id = ANY($3))
ORDER BY id OFFSET $4 LIMIT 1
"""
_MESSAGES = """
SELECT account_id, type, kind, sign, content, template_id, batch_id FROM message
WHERE id >= $1 AND id < $2 AND ($3::bigint[] IS NULL OR account_id = ANY($3)) AND ($4 = '' OR type = $4 OR kind = $4)
  AND origin <> 'task' AND NOT test
ORDER BY id LIMIT $5
"""
_TASKS = """
SELECT account_id, type, message_kind AS kind, sign, content, COALESCE(template_id, 0) AS template_id,
       valid AS numbers FROM task
WHERE id >= $1 AND id < $2 AND ($3::bigint[] IS NULL OR account_id = ANY($3))
  AND ($4 = '' OR type = $4 OR message_kind = $4)
ORDER BY id LIMIT $5
"""


SLICES = 288
"""Pieces of a day of which …"""
MOST_OF_SLICE = 20
"""… so many messages each are looked at, when it is about hours, …"""
MOST_READ_OF_SLICE = 500
"""… of the first so many, whatever their type."""
_TAKEN = """
SELECT m.id, m.account_id, m.type, m.kind, m.origin, m.number, m.sign, m.content
FROM generate_series(0, $6::int - 1) AS slice (n), LATERAL (SELECT ($2::bigint - $1::bigint) / $6 AS long) s,
LATERAL (
    SELECT * FROM (
        SELECT id, account_id, type, kind, origin, test, number, sign, content FROM message
        WHERE id >= $1 + s.long * slice.n AND id < $1 + s.long * (slice.n + 1)
          AND ($3::bigint[] IS NULL OR account_id = ANY($3))
        ORDER BY id LIMIT $7) r
    WHERE ($4 = '' OR type = $4 OR kind = $4) AND NOT test
    ORDER BY id LIMIT $5) m
"""
ALWAYS = "00:00-24:00"
"""The hours of who sends at any time, where a less particular place says otherwise."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where rules are put: an account (0: all) and a type ("": all)."""

    account_id: int
    type: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of what was sent yesterday: how many there were, and how many the rules hold, those of now and other ones."""

    messages: int
    held: int
    held_now: int
    tasks: int
    tasks_held: int
    tasks_held_now: int
    whole: bool
    """All were looked at; else the first ``MOST`` messages among the first ``MOST_READ``, and ``MOST_TASKS`` tasks."""


def own_hours(policies_: PolicySet, place: Place) -> str:
    """The spans of the day that are put at exactly this place; empty: none."""
    found = policies_.changes.get((place.account_id, place.type), {}).get("hours")
    return "" if found is None else str(found if found.spans else ALWAYS)


async def put_hours(change: Change, place: Place, wanted: str, *, seen: str) -> int:
    """When messages of the place may be sent, as ``policies.replace`` does; empty: as the less particular place says;
    how many rules have changed."""
    where = policies.Where(place.account_id, place.type, HOURS)
    return await policies.replace(change, where, {"hours": wanted} if wanted else {}, seen=seen)


@dataclass(frozen=True, slots=True)
class Outside:
    """Of messages of a day, drawn evenly from it, those that were taken outside of hours."""

    messages: int
    waits: int
    """Of tasks, which rest until their hours."""
    refused: int
    """Of calls, by whatever door: they are told ``TIME_WINDOW_CLOSED``."""
    now: int
    """All of them with the hours of now."""


async def taken(database: Database, span: tuple[int, int], snapshot: Snapshot, place: Place) -> list[Row]:
    """Messages of the place that are drawn evenly from a day, refused ones too."""
    return await database.fetch(
        _TAKEN, *span, accounts_below(snapshot, place), place.type, MOST_OF_SLICE, SLICES, MOST_READ_OF_SLICE,
        timeout=PATIENCE,
    )  # fmt: skip


async def outside(database: Database, snapshot: Snapshot, place: Place, wanted: str, now: datetime) -> Outside:
    """What hours would have met yesterday (China)."""
    today = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = await taken(database, (first_id(today - timedelta(days=1)), first_id(today)), snapshot, place)
    after = with_policies(snapshot.policies, place, {"hours"}, {"hours": wanted} if wanted else {})
    met: Counter[str] = Counter()
    for n, row in enumerate(rows):
        account = snapshot.account(row["account_id"])
        if account is None:
            continue
        if n % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        at, kind = time_of(row["id"]), MessageType(row["type"])
        if after.limits(account, kind, row["kind"]).hours.opens(at) is not None:
            met["waits" if row["origin"] == Origin.TASK else "refused"] += 1
        met["now"] += snapshot.policies.limits(account, kind, row["kind"]).hours.opens(at) is not None
    return Outside(len(rows), met["waits"], met["refused"], met["now"])


def own(policies_: PolicySet, place: Place, names: Sequence[str] = NAMES) -> dict[str, str]:
    """What is put at exactly this place."""
    found = policies_.changes.get((place.account_id, place.type), {})
    return {name: policy.shown(found[name]) for name in names if name in found}


async def put(change: Change, place: Place, wanted: Mapping[str, str], *, seen: str) -> int:
    """What is put there from now on, as ``policies.replace`` does; how many rules have changed."""
    where = policies.Where(place.account_id, place.type, NAMES)
    return await policies.replace(change, where, wanted, seen=seen)


def changed(policies_: PolicySet, place: Place, wanted: Mapping[str, str]) -> PolicySet:
    """The policies as they would be."""
    return with_policies(policies_, place, NAMES, wanted)


def with_policies(policies_: PolicySet, place: Place, names: Container[str], wanted: Mapping[str, str]) -> PolicySet:
    """With these policies of the place as they are wanted; one that is not is taken back."""
    key = place.account_id, place.type
    kept = {name: value for name, value in policies_.changes.get(key, {}).items() if name not in names}
    put_ = kept | {name: policy.parse(name, text) for name, text in wanted.items()}
    return replace(policies_, changes={**policies_.changes, key: put_}, _known={})


def accounts_below(snapshot: Snapshot, place: Place) -> list[int] | None:
    """The accounts for which the place's rules hold; None: all."""
    return None if not place.account_id else [
        account.id for account in snapshot.accounts() if place.account_id in (account.id, *account.above)
    ]  # fmt: skip


async def outcome(
    database: Database, snapshot: Snapshot, place: Place, wanted: Mapping[str, str], now: datetime
) -> Outcome:
    """What the rules would have held yesterday (China)."""
    today = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    span = first_id(today - timedelta(days=1)), first_id(today)
    below = accounts_below(snapshot, place)
    until = await database.fetchval(_UNTIL, *span, below, MOST_READ, timeout=PATIENCE)
    messages = await database.fetch(_MESSAGES, span[0], until or span[1], below, place.type, MOST + 1, timeout=PATIENCE)
    tasks = await database.fetch(_TASKS, *span, below, place.type, MOST_TASKS + 1, timeout=PATIENCE)
    whole = until is None and len(messages) <= MOST and len(tasks) <= MOST_TASKS
    messages, tasks = messages[:MOST], tasks[:MOST_TASKS]
    sizes = Counter(row["batch_id"] for row in messages)
    after = changed(snapshot.policies, place, wanted)
    calls = [(row, sizes[row["batch_id"]]) for row in messages]
    planned = [(row, row["numbers"]) for row in tasks]
    held, held_now = await _held(snapshot, after, calls, now)
    tasks_held, tasks_held_now = await _held(snapshot, after, planned, now)
    return Outcome(len(calls), held, held_now, len(planned), tasks_held, tasks_held_now, whole)


async def _held(snapshot: Snapshot, after: PolicySet, rows: Sequence[tuple[Any, int]], at: datetime) -> tuple[int, int]:
    known: dict[tuple[Any, ...], tuple[bool, bool]] = {}
    for row, numbers in rows:
        account = snapshot.account(row["account_id"])
        key = (row["account_id"], row["type"], row["kind"], row["sign"], row["content"], row["template_id"], numbers)
        if account is None or key in known:
            continue
        if len(known) % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        kind = MessageType(row["type"])
        asked = Asked(
            (account.id, *account.above), kind, row["sign"], row["content"], bool(row["template_id"]), numbers, at
        )
        each = [(by, by.limits(account, kind, row["kind"])) for by in (after, snapshot.policies)]
        new, old = (bool(held_for(asked, limits, by)) for by, limits in each)
        known[key] = new, old
    found = [
        known.get(
            (row["account_id"], row["type"], row["kind"], row["sign"], row["content"], row["template_id"], numbers)
        )
        for row, numbers in rows
    ]
    return sum(one[0] for one in found if one), sum(one[1] for one in found if one)
