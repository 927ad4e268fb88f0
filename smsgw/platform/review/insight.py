"""What a reviewer should know of a text and its numbers: the approved template that it is most like, and risks.

Only what was looked up is told. Numbers are asked about by some of them from everywhere (``ASKED``), so what is said of
them is a share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.number_state import NumberState
from smsgw.core.policy import PolicySet
from smsgw.core.pseudonyms import is_pseudonym
from smsgw.core.templates import PLACE, Review, Template
from smsgw.core.text_similarity import ANY, Stretch, compared, likeness, pairs
from smsgw.core.url_filings import found_in, shown
from smsgw.pipeline.snapshot import Snapshot
from smsgw.platform.review.model import Reviewed
from smsgw.store.engine.database import Database
from smsgw.store.records import pseudonyms

MOST_TEMPLATES = 500
"""The newest ones are compared."""
AT_ONCE = 50
"""Templates that are compared before others have their turn."""
LIKE = 0.35
"""A template that has less in common is not near."""
ASKED = 300
"""Numbers that are asked about."""
NEW_SIGN = timedelta(days=7)
NIGHT = (21, 8)
"""Hours between which marketing disturbs people."""
MANY = 0.3
"""A share of numbers from which on it is a risk."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """An approved template, and how a text differs from it."""

    template: Template
    share: float
    stretches: Sequence[Stretch]
    """Of the text, and of the template with ``ANY`` for its places."""

    @property
    def fits(self) -> bool:
        """Nothing differs but what stands at the template's places."""
        return all(one.same or (not one.other.replace(ANY, "") and ANY in one.other) for one in self.stretches)


async def nearest(policies: PolicySet, line: Sequence[int], review: Reviewed) -> Nearest | None:
    """The template of these accounts that the text is most like; None: none is near."""
    body = PLACE.sub(ANY, review.content.removeprefix(f"【{review.sign}】"))
    own = pairs(body)
    best: Template | None = None
    share = 0.0
    usable = [one for one in policies.book.usable(line) if one.type == review.type][:MOST_TEMPLATES]
    for n, template in enumerate(usable):
        if n % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        if (like := likeness(own, pairs(PLACE.sub("", template.content)))) > share:
            best, share = template, like
    if best is None or share < LIKE:
        return None
    return Nearest(best, share, compared(body, PLACE.sub(ANY, best.content)))


@dataclass(frozen=True, slots=True)
class Risk:
    """Something to think about; ``kind`` names the sentence."""

    kind: str
    values: dict[str, object]


_OF_CALL = """
SELECT array_agg(number) FROM (SELECT number FROM message WHERE batch_id = $1 AND id >= $1 AND id < $1 + 4096
    ORDER BY id LIMIT $2) m
"""
_OF_TASK = """
SELECT array_agg(number) FROM task_row
WHERE task_id = $1 AND n IN (SELECT 1 + i * greatest($3::bigint - 1, 0) / greatest(least($2::bigint, $3) - 1, 1)
                             FROM generate_series(0, least($2::bigint, $3::bigint) - 1) i)
"""
_WRITTEN_TO = """
SELECT count(*) FROM unnest($1::text[], $4::text[]) AS asked(number, hash)
WHERE EXISTS (SELECT FROM message m WHERE m.number IN (asked.number, asked.hash) AND m.id < $2 AND m.account_id = $3)
"""
_STATES = "SELECT state, count(*) AS n FROM number_status WHERE number = ANY($1) AND removed_at IS NULL GROUP BY state"
_SENT = "SELECT EXISTS (SELECT FROM message WHERE submitter = $1 AND id < $2)"


async def risks(database: Database, snapshot: Snapshot, review: Reviewed, now: datetime) -> list[Risk]:
    """What is to be thought about."""
    found = _of_text(snapshot, review, now)
    if review.task_id is not None:
        numbers = await database.fetchval(_OF_TASK, review.task_id, ASKED, review.numbers) or []
    else:
        numbers = await database.fetchval(_OF_CALL, review.batch_id, ASKED) or []
    numbers = [number for number in numbers if not is_pseudonym(number)]  # of what was decided long ago
    if numbers:
        asked = len(numbers)
        hashes = await pseudonyms.of(database, numbers)
        known = await database.fetchval(_WRITTEN_TO, numbers, review.batch_id, review.account_id, hashes, timeout=10)
        if asked - known >= MANY * asked:
            found.append(Risk("strangers", {"share": round(100 * (asked - known) / asked), "asked": asked}))
        states = {row["state"]: row["n"] for row in await database.fetch(_STATES, [int(n) for n in numbers])}
        empty, unknown = states.get(NumberState.EMPTY, 0), asked - sum(states.values())
        if empty:
            found.append(Risk("empty", {"share": max(1, round(100 * empty / asked)), "asked": asked}))
        if unknown >= MANY * asked:
            found.append(Risk("unknown", {"share": round(100 * unknown / asked), "asked": asked}))
    if not await database.fetchval(_SENT, review.submitter, review.batch_id):
        found.append(Risk("first", {"submitter": review.submitter}))
    return found


def _of_text(snapshot: Snapshot, review: Reviewed, now: datetime) -> list[Risk]:
    policies, account = snapshot.policies, snapshot.account(review.account_id)
    line = (review.account_id, *(account.above if account else ()))
    found = list[Risk]()
    if links := found_in(review.content):
        new = policies.new_links(links, line)
        found.append(Risk("new_link" if new else "link", {"links": shown(new or links)}))
    if review.sign:
        known = policies.book.sign(line, review.sign)
        since = known.approved_at if known is not None and known.state is Review.APPROVED else None
        if since is None:
            found.append(Risk("no_sign", {"sign": review.sign}))
        elif now - since < NEW_SIGN:
            found.append(Risk("new_sign", {"sign": review.sign, "days": (now - since).days}))
    if review.type == MessageType.MARKETING and account is not None:
        at = max(now, review.due_at or now)
        begins = policies.limits(account, MessageType.MARKETING).hours.opens(at) or at
        hour = begins.astimezone(CHINA).hour
        if hour >= NIGHT[0] or hour < NIGHT[1]:
            found.append(Risk("night", {"time": f"{begins.astimezone(CHINA):%H:%M}"}))
    return found
