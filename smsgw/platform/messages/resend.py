"""Failed messages once more (失败重发): what has definitely failed is sent as a new message, and never twice; what may
have arrived is refused, and so is what a reviewer has not passed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.code_book import CodeBook
from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.core.pseudonyms import is_pseudonym
from smsgw.core.report_codes import DEAD, REFUSED_CONTENT
from smsgw.core.retry import NEVER_RETRIED
from smsgw.core.states import FINAL, MAY_HAVE_ARRIVED, PartState
from smsgw.core.words import phrase
from smsgw.pipeline.accept.requests import ItemResult, SendItem, SendRequest, SendResult
from smsgw.pipeline.snapshot import Snapshot
from smsgw.platform.change import Change
from smsgw.platform.links.sending import following
from smsgw.platform.login.model import CODE_SENDER
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import resends

MOST = 1000
"""Messages that are judged at a time."""
REASONS = {
    "delivered": "resend.delivered", "maybe": "resend.maybe", "waiting": "resend.waiting",
    "withdrawn": "resend.withdrawn", "duplicate": "resend.duplicate", "uncertain": "resend.uncertain",
    "earlier": "resend.earlier", "again": "resend.again", "test": "resend.test", "code": "resend.code",
    "gone": "number.gone", "reviewed": "resend.reviewed", "dead": "resend.dead", "content": "resend.content",
}  # fmt: skip
"""Why a message is not sent again, and the phrase that says so."""
FOR_GOOD = ("dead", "content")
"""Those that somebody may overrule: it has definitely failed, and will again."""
_BY_OPERATOR = "OPERATOR:"
_REJECTED = "REVIEW_REJECTED"


class Door(Protocol):
    """Takes messages."""

    async def send(self, request: SendRequest) -> SendResult:
        """Accept a call."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a message may be sent again."""

    id: int
    parts: int
    reason: str
    """One of ``REASONS``; empty: it may."""


_JUDGED = """
SELECT m.id, m.account_id, m.number, m.type, m.kind, m.content, m.sign, m.parts, m.extend_code, m.submitter, m.test,
       m.origin, m.ext, m.callback_url, p.states, p.codes, p.classes, p.channels, p.resent, p.lane,
       r.message_id IS NOT NULL AS again, COALESCE(v.state, 'passed') AS review
FROM message m
CROSS JOIN LATERAL (
    SELECT array_agg(state) AS states, array_agg(code) AS codes, array_agg(class) AS classes,
           array_agg(COALESCE(channel_id, 0)) AS channels, max(resent) AS resent,
           min(lane) AS lane
    FROM part WHERE part.id = m.id AND part.id >= $3 AND part.id <= $4
) p
LEFT JOIN message_resend r ON r.message_id = m.id
LEFT JOIN review v ON v.batch_id = m.batch_id
WHERE m.id = ANY($1::bigint[]) AND m.id >= $3 AND m.id <= $4 AND ($2::bigint[] IS NULL OR m.account_id = ANY($2))
  AND ($5::text IS NULL OR m.submitter = $5)
"""


async def judge(database: Database, actor: Actor, book: CodeBook, ids: Sequence[int]) -> Mapping[int, Verdict]:
    """What is to be said of the messages in the actor's scope, by their ids; ``MOST`` at most."""
    rows = await judged(database, ids, *actor.scope.narrowed)
    return {row["id"]: Verdict(row["id"], row["parts"], why_not(row, book) or for_good(row)) for row in rows}


async def judged(
    database: Database, ids: Sequence[int], accounts: Sequence[int] | None, submitter: ActorLabel | None = None
) -> list[Row]:
    """What ``why_not`` looks at, of the messages of these accounts (None: all) and this submitter (None: anybody)."""
    some = list(ids)[:MOST]
    if not some:
        return []
    whose = None if accounts is None else list(accounts)
    return await database.fetch(_JUDGED, some, whose, min(some), max(some), submitter)


def why_not(row: Row, book: CodeBook) -> str:
    """Why nothing may follow a message (of ``judged``): one of ``REASONS``; empty: it has definitely failed."""
    states = [PartState(state) for state in row["states"]]
    if row["test"] or row["account_id"] <= 0:
        return "test"
    if all(state is PartState.DELIVERED for state in states):
        return "delivered"
    if any(state in MAY_HAVE_ARRIVED for state in states):
        return "maybe"
    if any(state not in FINAL for state in states):
        return "waiting"
    if PartState.CANCELLED in states:
        return "withdrawn"
    if PartState.DUPLICATE in states:
        return "duplicate"
    # Alone it might pass rules that the whole call has not, such as that of how many numbers it had.
    if row["review"] != "passed" or _REJECTED in row["codes"]:
        return "reviewed"
    if row["resent"]:
        return "earlier"
    for state, code, cls, channel in zip(states, row["codes"], row["classes"], row["channels"], strict=True):
        if state is PartState.UNDELIVERABLE and not code.startswith(_BY_OPERATOR):
            if book.report(channel, code, cls).fault in NEVER_RETRIED:
                return "uncertain"
    if is_pseudonym(row["number"]):
        return "gone"
    if row["again"]:
        return "again"
    return "code" if row["submitter"] == CODE_SENDER else ""


def for_good(row: Row) -> str:
    """Whether a message that may follow would fail as this one has: one of ``FOR_GOOD``; empty: perhaps not."""
    classes = set(row["classes"])
    return "dead" if classes & DEAD else "content" if classes & REFUSED_CONTENT else ""


class _Gate:
    """In the transaction that stores the new message: it has not been sent again, and is noted with who did it."""

    def __init__(self, change: Change, row: Row) -> None:
        self._change, self._row = change, row
        self._refusal, self._again = "", 0

    def given(self, results: Sequence[ItemResult]) -> _Gate:
        """What the door says of it."""
        (only,) = results
        self._refusal, self._again = only.code or "", int(only.message_id or 0)
        return self

    async def admit(self, connection: Connection) -> SmsgwError | None:
        """Not when the door refuses it: it stays as it was, and may be tried another time."""
        if self._refusal:
            return Refused(self._refusal)
        if not await resends.lock(connection, self._row["id"]):
            return Temporary("BACKPRESSURE", retry_after=1)
        return _refused("again") if await resends.done(connection, self._row["id"]) else None

    async def mark(self, connection: Connection) -> None:
        """It is sent again."""
        async with self._change.within(connection, Permission.MESSAGE_SEND, self._row["account_id"]) as unit:
            await resends.note(connection, self._row["id"], self._again)
            unit.record("message.resend", f"message/{self._row['id']}", after={"message": str(self._again)})


async def again(change: Change, door: Door, now: Snapshot, message_id: int, *, overrule: bool = False) -> int:
    """Send a message once more; the id of the new one. ``overrule``: one that has failed for good, too.

    ``NOT_FOUND`` out of the actor's scope; ``STATE_CONFLICT`` for what has not definitely failed, or was sent again
    before; ``LINK_NOT_ACTIVE`` when its short link leads nowhere any more; what the door refuses is refused as it would
    be now, and leaves nothing behind.
    """
    actor = change.actor
    actor.require(Permission.MESSAGE_SEND)
    rows = await judged(change.database, [message_id], *actor.scope.narrowed)
    if not rows or (account := now.account(rows[0]["account_id"])) is None:
        raise Refused("NOT_FOUND")
    row = rows[0]
    if reason := why_not(row, now.codes) or ("" if overrule else for_good(row)):
        raise _refused(reason)
    # A second press meets the key while the first is under way, and the note for ever after.
    key = f"resend-{message_id}"
    own = row["extend_code"].removeprefix(now.numbering.extension_of(account, row["sign"]))
    item = SendItem(
        f"+{row['number']}", row["content"], extend_code=own, sign=row["sign"],
        link=await following(change.database, message_id, clock.now()),
    )  # fmt: skip
    result = await door.send(SendRequest(
        account, (item,), MessageType(row["type"]), Origin.PORTAL, actor.label, idempotency_key=key,
        request_sha256=hashlib.sha256(key.encode()).digest(), gate=_Gate(change, row).given,
        kind=now.kinds.get(row["kind"]),
    ))  # fmt: skip
    if result.replayed:
        raise _refused("again")
    (only,) = result.items
    if only.message_id is None:
        raise Temporary("BACKPRESSURE", retry_after=1)
    return int(only.message_id)


def _refused(reason: str) -> Refused:
    return Refused("STATE_CONFLICT", reason=phrase(REASONS[reason]))
