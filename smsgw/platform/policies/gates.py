"""Which signatures are sent with, and what marketing needs; what other values would have refused yesterday."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA, first_id
from smsgw.core.model import MessageType, Origin
from smsgw.pipeline.accept.checks import Checker
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.pipeline.snapshot import Snapshot
from smsgw.platform.change import Change
from smsgw.platform.policies import service
from smsgw.platform.review.rules import AT_ONCE, Place, taken, with_policies
from smsgw.store.engine.database import Database

NAMES = ("sign_policy", "filed_links", "consent")
_REFUSED_BY = {
    "SIGN_NOT_APPROVED": "sign_policy", "SIGN_NOT_REGISTERED": "sign_policy", "LINK_NOT_FILED": "filed_links",
    "NUMBER_NO_CONSENT": "consent",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of messages that are drawn evenly from yesterday."""

    messages: int
    refused: Mapping[str, int]
    """By each policy as it is wanted; a message may be counted by several."""
    refused_now: int
    """By any of those in force."""


async def put(change: Change, place: Place, wanted: Mapping[str, str], *, seen: str) -> int:
    """What is put there from now on, as ``service.replace`` does; how many have changed."""
    return await service.replace(change, service.Where(place.account_id, place.type, NAMES), wanted, seen=seen)


async def outcome(
    database: Database, checker: Checker, snapshot: Snapshot, place: Place, wanted: Mapping[str, str], now: datetime
) -> Outcome:
    """What the policies would have refused yesterday (China), by the signatures, filings and consents of now."""
    today = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = await taken(database, (first_id(today - timedelta(days=1)), first_id(today)), snapshot, place)
    after = replace(snapshot, policies=with_policies(snapshot.policies, place, NAMES, wanted))
    refused: Counter[str] = Counter()
    refused_now = 0
    for n, row in enumerate(rows):
        account = snapshot.account(row["account_id"])
        if account is None:
            continue
        if n % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        request = SendRequest(
            account, (SendItem("+" + row["number"], row["content"], sign=row["sign"]),), MessageType(row["type"]),
            Origin(row["origin"]), ActorLabel(""), kind=snapshot.kinds.get(row["kind"]),
        )  # fmt: skip
        refused.update(_refusing(checker, request, after, now))
        refused_now += bool(_refusing(checker, request, snapshot, now))
    return Outcome(len(rows), refused, refused_now)


def _refusing(checker: Checker, request: SendRequest, snapshot: Snapshot, now: datetime) -> set[str]:
    """Which of the policies refuse it."""
    try:
        passed, failed = checker.check(request, snapshot, now, now, explain=True)
    except Invalid:  # its text was made a pseudonym, or is not kept
        return set()
    tried = [one for passing in passed for one in passing.tried] + [one for failing in failed for one in failing.tried]
    return {_REFUSED_BY[one.reason[0]] for one in tried if one.reason is not None and one.reason[0] in _REFUSED_BY}
