"""How often a number gets what an account sends, and what other limits would have refused yesterday."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core import policy
from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA, first_id, time_of
from smsgw.core.model import MessageType
from smsgw.core.policy import Limits
from smsgw.core.words import reason_of
from smsgw.pipeline.snapshot import Snapshot
from smsgw.platform.change import Change
from smsgw.platform.policies import service
from smsgw.platform.review.rules import (
    AT_ONCE,
    MOST_READ_OF_SLICE,
    PATIENCE,
    SLICES,
    Place,
    accounts_below,
    with_policies,
)
from smsgw.store.engine.database import Database

NAMES = ("frequency", "frequency_all", "frequency_per", "identical_seconds")
MOST_OF_SLICE = 4
"""So many numbers are drawn of each piece of a day, and …"""
MOST_OF_NUMBER = 200
"""… so many messages of the day to one are counted."""

_DRAWN = """
WITH drawn AS (
    SELECT DISTINCT m.number
    FROM generate_series(0, $6::int - 1) AS slice (n), LATERAL (SELECT ($2::bigint - $1::bigint) / $6 AS long) s,
    LATERAL (
        SELECT number FROM (
            SELECT id, number, type, kind, test FROM message
            WHERE id >= $1 + s.long * slice.n AND id < $1 + s.long * (slice.n + 1)
              AND ($3::bigint[] IS NULL OR account_id = ANY($3))
            ORDER BY id LIMIT $8) r
        WHERE ($4 = '' OR type = $4 OR kind = $4) AND NOT test
        ORDER BY id LIMIT $5) m
)
SELECT m.id, m.number, m.account_id, m.type, m.kind, m.sign, m.template_id
FROM drawn d, LATERAL (
    SELECT id, number, account_id, type, kind, sign, template_id FROM message
    WHERE number = d.number AND id >= $1 AND id < $2
      AND ($3::bigint[] IS NULL OR account_id = ANY($3)) AND ($4 = '' OR type = $4 OR kind = $4) AND NOT test
      AND refusal = ''
    ORDER BY id LIMIT $7) m
ORDER BY m.number, m.id
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of what numbers that are drawn evenly from yesterday got that day."""

    numbers: int
    messages: int
    refused: int
    """By the wanted limits, counted from the beginning of the day."""
    refused_now: int
    """By those in force, counted so."""


def check(wanted: Mapping[str, str]) -> None:
    """``PARAM_INVALID`` with the field that is no value of its policy."""
    for name, text in wanted.items():
        try:
            policy.parse(name, text)
        except ValueError as exc:
            raise Invalid("PARAM_INVALID", field=name, reason=reason_of(exc)) from exc


async def put(change: Change, place: Place, wanted: Mapping[str, str], *, seen: str) -> int:
    """What is put there from now on, as ``service.replace`` does; how many have changed."""
    where = service.Where(place.account_id, place.type, NAMES)
    return await service.replace(change, where, wanted, seen=seen)


async def outcome(
    database: Database, snapshot: Snapshot, place: Place, wanted: Mapping[str, str], now: datetime
) -> Outcome:
    """What the limits would have refused yesterday (China). Frequency alone: whether texts are the same, and what other
    accounts send, is not looked at."""
    today = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = await database.fetch(
        _DRAWN, first_id(today - timedelta(days=1)), first_id(today), accounts_below(snapshot, place), place.type,
        MOST_OF_SLICE, SLICES, MOST_OF_NUMBER, MOST_READ_OF_SLICE, timeout=PATIENCE,
    )  # fmt: skip
    tables = (with_policies(snapshot.policies, place, NAMES, wanted), snapshot.policies)
    refused: Counter[int] = Counter()
    taken: dict[tuple[object, ...], list[float]] = defaultdict(list)
    for n, row in enumerate(rows):
        account = snapshot.account(row["account_id"])
        if account is None:
            continue
        if n % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        at = time_of(row["id"]).timestamp()
        for which, policies in enumerate(tables):
            limits = policies.limits(account, MessageType(row["type"]), row["kind"])
            apart = (row["template_id"] or row["sign"]) if limits.frequency_per == "template" else ""
            sent = taken[which, row["number"], account.id, row["type"], limits.counted_as, apart]
            if _over(limits, sent, at):
                refused[which] += 1
            else:
                sent.append(at)
    return Outcome(len({row["number"] for row in rows}), len(rows), refused[0], refused[1])


def _over(limits: Limits, sent: list[float], at: float) -> bool:
    return any(sum(at - before < rate.seconds for before in sent) >= rate.most for rate in limits.frequency)
