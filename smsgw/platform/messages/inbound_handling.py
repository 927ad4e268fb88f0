"""Looking after what phones have sent: read, given to somebody, answered from the platform, done with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from smsgw.core.actor import Actor, Scope
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.core.pseudonyms import is_pseudonym
from smsgw.core.words import phrase
from smsgw.pipeline.accept.requests import ItemResult, SendItem, SendRequest
from smsgw.pipeline.snapshot import Snapshot
from smsgw.platform.change import Change
from smsgw.platform.messages.inbound import SEEN, InboundView
from smsgw.platform.messages.resend import Door
from smsgw.platform.org import queries as org
from smsgw.store.engine.database import Connection, Row

# What is known of it, held until the end of the change; nothing when it is not the actor's.
_HOLD = f"""
INSERT INTO inbound_care (mo_id)
SELECT o.id FROM mo o WHERE o.id = $3 AND {SEEN}
ON CONFLICT (mo_id) DO UPDATE SET mo_id = excluded.mo_id RETURNING assignee, done_at, done_by, answered_by
"""  # noqa: S608 - constants
_SEEN = f"""
WITH opened AS (
    DELETE FROM inbound_unread WHERE mo_id = $3 AND EXISTS (SELECT FROM mo o WHERE o.id = $3 AND {SEEN}) RETURNING mo_id
)
INSERT INTO inbound_care AS c (mo_id, seen_at, seen_by) SELECT mo_id, now(), $4 FROM opened
ON CONFLICT (mo_id) DO UPDATE SET seen_at = COALESCE(c.seen_at, now()), seen_by = COALESCE(c.seen_by, $4)
RETURNING mo_id
"""  # noqa: S608
_ASSIGN = "UPDATE inbound_care SET assignee = $2, assigned_by = $3 WHERE mo_id = $1"
_DONE = "UPDATE inbound_care SET done_at = now(), done_by = $2 WHERE mo_id = $1"
_REOPEN = "UPDATE inbound_care SET done_at = NULL, done_by = NULL WHERE mo_id = $1"
_ANSWERED = "UPDATE inbound_care SET answered_by = $2 WHERE mo_id = $1"
MOST_CONTENT = 1000


def _sees(scope: Scope, one: InboundView) -> bool:
    return scope.whole is None if one.account is None else scope.covers(one.account)


async def _hold(connection: Connection, change: Change, inbound_id: int) -> Row:
    """What is known of it. ``NOT_FOUND``: there is no such message that the actor sees."""
    row = await connection.fetchrow(_HOLD, *change.actor.scope.narrowed, inbound_id)
    if row is None:
        raise Refused("NOT_FOUND")
    return row


async def _opened(connection: Connection, change: Change, inbound_id: int) -> bool:
    """It is read with whatever is done to it; whether it was unread."""
    row = await connection.fetchrow(_SEEN, *change.actor.scope.narrowed, inbound_id, change.actor.label)
    return row is not None


async def seen(change: Change, inbound_id: int) -> bool:
    """Somebody who looks after such messages has opened it; whether it was unread."""
    async with change.unit(Permission.INBOUND_HANDLE) as unit:
        unread = await _opened(unit.connection, change, inbound_id)
        if unread:
            unit.record("inbound.seen", f"inbound/{inbound_id}")
        else:
            unit.unchanged()
    return unread


async def assign(change: Change, one: InboundView, login: str) -> None:
    """Give it to somebody, who is told; oneself, too.

    ``PARAM_INVALID`` (``assignee``): there is nobody of that login who may look after messages of its account;
    ``STATE_CONFLICT``: it is done with, or theirs already; ``NOT_FOUND``.
    """
    person = await org.person(change.database, login)
    if person is None or Permission.INBOUND_HANDLE not in person.permissions or not _sees(person.scope, one):
        raise Invalid("PARAM_INVALID", field="assignee", reason=phrase("inbound.assignee"))
    async with change.unit(Permission.INBOUND_HANDLE) as unit:
        row = await _hold(unit.connection, change, one.id)
        if row["done_at"] is not None or row["assignee"] == login:
            raise Refused("STATE_CONFLICT", reason=phrase("inbound.assigned"))
        await _opened(unit.connection, change, one.id)
        await unit.connection.execute(_ASSIGN, one.id, login, change.actor.label)
        unit.record(
            "inbound.assign", f"inbound/{one.id}", before={"assignee": row["assignee"]}, after={"assignee": login}
        )


async def done(change: Change, inbound_id: int) -> None:
    """Nothing more is to be done about it. ``STATE_CONFLICT``: that was so before; ``NOT_FOUND``."""
    async with change.unit(Permission.INBOUND_HANDLE) as unit:
        row = await _hold(unit.connection, change, inbound_id)
        if row["done_at"] is not None:
            raise Refused("STATE_CONFLICT", reason=phrase("inbound.done"))
        await _opened(unit.connection, change, inbound_id)
        await unit.connection.execute(_DONE, inbound_id, change.actor.label)
        after = {"done_by": change.actor.label}
        unit.record("inbound.done", f"inbound/{inbound_id}", before={"done_by": None}, after=after)


async def reopen(change: Change, inbound_id: int) -> None:
    """Something is to be done about it all the same. ``STATE_CONFLICT``: it is not done with; ``NOT_FOUND``."""
    async with change.unit(Permission.INBOUND_HANDLE) as unit:
        row = await _hold(unit.connection, change, inbound_id)
        if row["done_at"] is None:
            raise Refused("STATE_CONFLICT", reason=phrase("inbound.open"))
        await unit.connection.execute(_REOPEN, inbound_id)
        before = {"done_by": row["done_by"]}
        unit.record("inbound.reopen", f"inbound/{inbound_id}", before=before, after={"done_by": None})


# --- answers ---------------------------------------------------------------------------------------------------------


def reply(actor: Actor, one: InboundView, now: Snapshot, content: str) -> SendRequest:
    """The answer to a message, with the signature of what it answers and the digits that the phone has answered to,
    so that its next answer finds here again; to be explained, or sent with ``answer``.

    ``NOT_FOUND``: it belongs to no account, or comes from no phone but from the simulated carrier of test keys.
    """
    actor.require(Permission.MESSAGE_SEND, one.account)
    account = now.account(one.account) if one.account is not None else None
    if account is None or one.test:
        raise Refused("NOT_FOUND")
    if is_pseudonym(one.number):
        raise Refused("STATE_CONFLICT", reason=phrase("number.gone"))
    item = SendItem(f"+{one.number}", content, extend_code=one.extension, sign=one.sign or "")
    key = f"reply-{one.id}-{one.answered_by or 0}"
    return SendRequest(
        account, (item,), MessageType.NOTICE, Origin.PORTAL,
        actor.label, idempotency_key=key, request_sha256=hashlib.sha256(content.encode()).digest(),
    )  # fmt: skip


def overtaken() -> Refused:
    """Somebody has answered in between, otherwise."""
    return Refused("STATE_CONFLICT", reason=phrase("inbound.overtaken"))


class _Gate:
    """In the transaction that stores the answer: what it answers is noted as answered."""

    def __init__(self, change: Change, one: InboundView) -> None:
        self._change, self._one = change, one
        self._refusal: SmsgwError | None = None
        self._answer = 0

    def given(self, results: Sequence[ItemResult]) -> _Gate:
        """What the door says of it."""
        (only,) = results
        self._refusal = Refused(only.code) if only.code else None
        self._answer = int(only.message_id or 0)
        return self

    async def admit(self, connection: Connection) -> SmsgwError | None:
        """Not when the door refuses it."""
        return self._refusal

    async def mark(self, connection: Connection) -> None:
        """It is answered."""
        one = self._one
        async with self._change.within(connection, Permission.MESSAGE_SEND, one.account) as unit:
            await _hold(connection, self._change, one.id)
            await _opened(connection, self._change, one.id)
            await connection.execute(_ANSWERED, one.id, self._answer)
            unit.record("inbound.reply", f"inbound/{one.id}", after={"message": str(self._answer)})


async def answer(change: Change, door: Door, now: Snapshot, one: InboundView, content: str) -> int:
    """Send an answer; the id of its message. One answer follows the last that ``one.answered_by`` knows of: of several
    who answer at a time one does, and the others have ``STATE_CONFLICT``, as the same text a second time.

    What the door refuses is refused as for any other message, and leaves nothing behind.
    """
    request = replace(reply(change.actor, one, now, content), gate=_Gate(change, one).given)
    try:
        result = await door.send(request)
    except Invalid as error:
        raise overtaken() if error.code == "IDEMPOTENCY_MISMATCH" else error from error
    if result.replayed:
        raise Refused("STATE_CONFLICT", reason=phrase("inbound.answered"))
    (only,) = result.items
    if only.message_id is None:
        raise Temporary("BACKPRESSURE", retry_after=1)
    return int(only.message_id)
