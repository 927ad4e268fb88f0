"""The accept transaction: idempotency, credit, messages and parts, all or nothing for each call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Protocol

from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.frequency import Reason, Watch, seconds_of
from smsgw.core.ids import CHINA, day_of, time_of
from smsgw.core.states import PartState, status_of
from smsgw.store import audit, complaints, frequency, partnerparts, stats
from smsgw.store.db import Connection, Database
from smsgw.store.outcomes import EVENT_COLUMNS

MESSAGE_COLUMNS = (
    "id", "batch_id", "account_id", "origin", "type", "number", "carrier", "province", "content", "sign",
    "coding", "parts", "concat_ref", "price", "client_ref", "ext", "extend_code", "submitter", "refund_failed",
    "test", "template_id",
)  # fmt: skip
_SIGN, _PARTS, _TYPE, _SUBMITTER, _TEST = (
    MESSAGE_COLUMNS.index(c) for c in ("sign", "parts", "type", "submitter", "test")
)
PART_COLUMNS = (
    "id", "part", "total", "account_id", "pool_id", "lane", "state", "unknown_policy", "next_at", "expires_at",
    "code", "class", "by_us", "accepted_at", "final_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An Idempotency-Key (``k``) or client_ref (``r``) with what it stands for."""

    kind: str
    key: str
    request_sha256: bytes
    message_id: int
    answers: bool = True
    """A repeat is answered with the first answer; False: with ``CLIENT_REF_EXISTS`` (one reference of many)."""


class Gate(Protocol):
    """What else has to hold, and is written, in the transaction that stores a call."""

    async def admit(self, connection: Connection) -> SmsgwError | None:
        """Why the call may not be stored; None when it may. Must not wait for locks."""

    async def mark(self, connection: Connection) -> None:
        """The call is being stored."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient that gets nothing: it stands in the record, and is reported."""

    message: tuple[object, ...]
    part: tuple[object, ...]
    text: str
    """Why, for people."""
    event_id: int
    """Of the report."""
    told: bool = True
    """False: nobody is offered the report; it is there for the statistics."""


@dataclass(frozen=True, slots=True)
class NewReview:
    """Why a call is HELD, and what the reviewer sees of it at first."""

    type: str
    origin: str
    submitter: str
    reasons: tuple[str, ...]
    numbers: int
    content: str
    due: datetime | None
    validity_s: float
    """Seconds, from its release on."""
    expires: datetime
    """When nobody is asked any more."""


@dataclass(frozen=True, slots=True)
class NewCall:
    """All rows of one send call. Tuples in the order of ``MESSAGE_COLUMNS`` and ``PART_COLUMNS``."""

    account_id: int
    batch_id: int
    messages: Sequence[tuple[object, ...]]
    parts: Sequence[tuple[object, ...]]
    units: int
    """Debited from the account."""
    keys: tuple[RequestKey, ...]
    answer: bytes
    """What a repeat of the call is answered with."""
    emergency_by: str = ""
    """Who has sent it on the emergency lane: that is audited."""
    above: tuple[int, ...] = ()
    """Accounts above, whose quotas count it."""
    guards: tuple[int, ...] = ()
    """Those of the account and the ones above that have a quota."""
    test: bool = False
    """Of a test key: nothing is counted and nothing is paid."""
    callback_url: str = ""
    """Where the reports of these messages go."""
    joins: tuple[int, ...] = ()
    """A message put together from parts of a partner: their ids. Refused when one is part of another by now."""
    spooled: bool = False
    """Was accepted while the database was away, and comes from the spool."""
    gate: Gate | None = None
    refused: tuple[Refusal, ...] = ()
    """Recipients that were refused. A call that has nothing else is stored all the same; it costs nothing."""

    watches: tuple[Watch, ...] = ()
    """Messages whose numbers must not get too many."""
    review: NewReview | None = None
    """It is HELD."""

    @property
    def first(self) -> object:
        """Id of a message of it."""
        return (self.messages or [r.message for r in self.refused])[0][0]


Revise = Callable[[NewCall, Mapping[int, Reason]], NewCall]
"""Makes of a call, and the messages of it (by index) that are one too many and why, the call without them."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The call is committed; ``replay`` holds the first answer when it had been made before, as ``batch_id``."""

    batch_id: int
    replay: bytes | None = None
    present: bool = field(default=False, compare=False)
    """It had been committed before: a repeat of the transaction, or of a replay, has found it."""
    revised: bytes | None = None
    """The answer, where it is another than the call had."""


_PRESENT = "SELECT id FROM message WHERE id = ANY($1::bigint[])"

_LOCK_ACCOUNTS = """
SELECT id, halted OR status <> 'active' AS halted, balance - credit_floor AS available, quota_day, quota_month
FROM account WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE
"""

# Asked after the lock: only then is it certain that no other node is adding to it.
_USED = """
SELECT a.id, COALESCE(sum(q.parts) FILTER (WHERE q.day = $2), 0)::bigint AS day,
       COALESCE(sum(q.parts), 0)::bigint AS month
FROM unnest($1::bigint[]) AS a(id)
LEFT JOIN quota_used q ON q.account_id = a.id AND q.day BETWEEN date_trunc('month', $2::date)::date AND $2
GROUP BY a.id
"""

_INSERT_KEYS = """
INSERT INTO request_key (account_id, kind, key, request_sha256, message_id, answer)
SELECT * FROM unnest($1::bigint[], $2::"char"[], $3::text[], $4::bytea[], $5::bigint[], $6::bytea[])
ON CONFLICT DO NOTHING
RETURNING account_id, kind, key, message_id
"""

_EXISTING_KEYS = """
SELECT k.* FROM request_key k
JOIN unnest($1::bigint[], $2::"char"[], $3::text[]) AS w(account_id, kind, key)
  ON k.account_id = w.account_id AND k.kind = w.kind AND k.key = w.key
"""

_DELETE_KEYS = """
DELETE FROM request_key
WHERE message_id = ANY($1::bigint[])
  AND (account_id, kind, key) IN (SELECT * FROM unnest($2::bigint[], $3::"char"[], $4::text[]))
"""

# All the books of a batch in one statement. Rows that several writers share are touched in the order of their keys.
_BOOK = """
WITH d AS (
    SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[])
        AS d(account_id, batch_id, units, submitter, type, messages, parts)
),
entry AS (
    INSERT INTO ledger (id, account_id, kind, units)
    SELECT batch_id, account_id, 'debit', -units FROM d WHERE units > 0
),
usage AS (
    INSERT INTO usage_day AS u (account_id, day, submitter, type, messages, parts, units, refunded)
    SELECT account_id, $1, submitter, type, sum(messages), sum(parts), sum(units), 0 FROM d
    GROUP BY account_id, submitter, type ORDER BY account_id, submitter, type
    ON CONFLICT (account_id, day, submitter, type) DO UPDATE
    SET messages = u.messages + excluded.messages, parts = u.parts + excluded.parts, units = u.units + excluded.units
),
quota AS (
    INSERT INTO quota_used AS q (account_id, day, parts)
    SELECT id, $1, parts FROM unnest($9::bigint[], $10::bigint[]) AS t(id, parts) ORDER BY id
    ON CONFLICT (account_id, day) DO UPDATE SET parts = q.parts + excluded.parts
)
UPDATE account a SET balance = a.balance - s.units
FROM (SELECT account_id, sum(units) AS units FROM d GROUP BY account_id) s
WHERE a.id = s.account_id AND s.units > 0
"""


_OWN_ADDRESS = "UPDATE customer_event SET target = $2 WHERE id = ANY($1::bigint[])"
_CALLBACK = "UPDATE message SET callback_url = $2 WHERE id = ANY($1::bigint[])"


async def commit_calls(
    connection: Connection,
    calls: list[NewCall],
    again: bool,
    *,
    node: int,
    seen: Callable[[Mapping[int, int]], None] = lambda _: None,
    revise: Revise | None = None,
) -> list[Stored | SmsgwError]:
    """Store the calls inside the caller's transaction; one result a call, in order.

    A refused call (credit, stopped account, key used otherwise) leaves nothing behind and does not disturb others.
    ``seen`` is told the units that the accounts can still spend. ``revise`` gives a call without some of its messages;
    without it no frequency is limited.
    """
    results: dict[int, Stored | SmsgwError] = {}
    todo = calls
    doubtful = [c for c in calls if again or c.spooled]
    if doubtful:  # an earlier try may have been committed: what is there is done
        present = {row["id"] for row in await connection.fetch(_PRESENT, [c.first for c in doubtful])}
        for call in doubtful:
            if call.first in present:
                results[id(call)] = Stored(call.batch_id, present=True)
        todo = [c for c in calls if id(c) not in results]

    day = day_of(calls[-1].batch_id)
    limits = await _limits(connection, todo, day)
    fresh: list[NewCall] = []
    if joining := [c for c in todo if c.joins]:
        open_parts = await partnerparts.lock(connection, {i for c in joining for i in c.joins})
        for call in joining:
            if open_parts.issuperset(call.joins):
                open_parts.difference_update(call.joins)
            else:
                results[id(call)] = Refused("STATE_CONFLICT", reason="长短信分段已被合并")
        todo = [c for c in todo if id(c) not in results]
    for call in todo:
        if call.gate is not None and (shut := await call.gate.admit(connection)) is not None:
            results[id(call)] = shut
    todo = [c for c in todo if id(c) not in results]
    while todo:
        lost = await _settle_keys(connection, [c for c in todo if c.keys])
        refused: list[NewCall] = []
        for call in todo:
            if id(call) in lost:
                continue
            refusal = limits.refusal(call)
            if refusal is None:
                limits.take(call)
                fresh.append(call)
            else:
                results[id(call)] = refusal
                refused.append(call)
        await _drop_keys(connection, [c for c in refused if c.keys])
        # A key whose winner, in this very batch, was refused is free again.
        gone = {id_ for call in refused for id_ in (call.batch_id, *(row[0] for row in call.messages))}
        again_free = [c for c in todo if id(c) in lost and lost[id(c)].holder in gone]
        results |= {key: lost_to.result for key, lost_to in lost.items() if lost_to.holder not in gone}
        todo = again_free

    revised: dict[int, NewCall] = {}
    if revise is not None:
        too_many = await frequency.settle(connection, fresh, seconds_of(time_of(calls[-1].batch_id)))
        revised = {id(c): revise(c, too_many[id(c)]) for c in fresh if id(c) in too_many}
    if revised:
        await _rekey(connection, [(call, revised[id(call)]) for call in fresh if id(call) in revised])
    for call in fresh:
        new = revised.get(id(call))
        results[id(call)] = Stored(call.batch_id, revised=new.answer if new else None)
    fresh = [revised.get(id(call), call) for call in fresh]

    if fresh:
        messages = [row for call in fresh for row in call.messages]
        await connection.copy_records_to_table(
            "message", records=messages, columns=MESSAGE_COLUMNS, timeout=10
        )
        parts = [row for call in fresh for row in call.parts]
        await connection.copy_records_to_table("part", records=parts, columns=PART_COLUMNS, timeout=10)
        await _record(connection, [r for call in fresh for r in call.refused])
        for call in fresh:
            if call.callback_url:
                rows = [*call.messages, *(r.message for r in call.refused)]
                await connection.execute(_CALLBACK, [row[0] for row in rows], call.callback_url)
                if call.refused:
                    own = [r.event_id for r in call.refused]
                    await connection.execute(_OWN_ADDRESS, own, call.callback_url)
        live = [call for call in fresh if call.messages and not call.test]
        await _book(connection, live, day)
        delta: stats.Delta = Counter()
        for call in live:
            delta[call.account_id, 0, "accepted"] += len(call.parts)
        await stats.add(connection, node, delta)
        for call in fresh:
            if call.gate is not None:
                await call.gate.mark(connection)
            if call.emergency_by:
                await audit.append(
                    connection, actor=call.emergency_by, action="message.emergency",
                    object=f"message/{call.batch_id}", after={"account": call.account_id, "parts": len(call.parts)},
                )  # fmt: skip
        signs: Counter[str] = Counter()
        for row in (row for call in live for row in call.messages):
            signs[str(row[_SIGN])] += int(row[_PARTS])  # type: ignore[call-overload]
        del signs[""]
        await complaints.count_sent(connection, node, day, signs)
        joined = {part_id: call.batch_id for call in fresh for part_id in call.joins}
        if joined:
            await partnerparts.join(connection, joined)
        await _hold(connection, [call for call in fresh if call.review])
    seen(limits.available)
    return [results[id(call)] for call in calls]


@dataclass(slots=True)
class _Limits:
    """What the accounts of a batch may still spend and send, under lock."""

    day: date
    halted: dict[int, bool]
    available: dict[int, int]
    """Units that may be spent."""
    quotas: dict[int, list[tuple[str, int, int]]]
    """By account: (code, limit, parts used) of its quotas."""
    taken: Counter[int] = field(default_factory=Counter)
    """Parts of this batch, by account with a quota."""

    def refusal(self, call: NewCall) -> SmsgwError | None:
        """Why the call cannot be taken."""
        if self.halted.get(call.account_id, True):
            return Refused("ACCOUNT_STOPPED")
        left = self.available[call.account_id]
        if call.units > left:
            return Refused("BALANCE_INSUFFICIENT", need=call.units, left=max(0, left))
        for guard in call.guards:
            for code, limit, used in self.quotas.get(guard, ()):
                left = limit - used - self.taken[guard]
                if len(call.parts) > left:
                    wait = self._until_next(code, call.batch_id)
                    return Refused(
                        code, retry_after=wait, limit=limit, left=max(0, left), need=len(call.parts)
                    )
        return None

    def take(self, call: NewCall) -> None:
        """The call is accepted."""
        self.available[call.account_id] -= call.units
        for guard in call.guards:
            self.taken[guard] += len(call.parts)

    def _until_next(self, code: str, id_: int) -> float:
        first = self.day + timedelta(days=1)
        if code == "QUOTA_MONTH_EXCEEDED":
            first = (self.day.replace(day=1) + timedelta(days=32)).replace(day=1)
        start = datetime(first.year, first.month, first.day, tzinfo=CHINA)
        return max(1.0, (start - time_of(id_)).total_seconds())


async def _limits(connection: Connection, calls: Sequence[NewCall], day: date) -> _Limits:
    """Lock the accounts of the calls, and those whose quotas count them, and see what is left."""
    ids = sorted({a for c in calls for a in (c.account_id, *c.guards)})
    rows = await connection.fetch(_LOCK_ACCOUNTS, ids) if ids else []
    guards = [row["id"] for row in rows if row["quota_day"] is not None or row["quota_month"] is not None]
    used = {row["id"]: row for row in await connection.fetch(_USED, guards, day)} if guards else {}
    quotas = {
        row["id"]: [
            (f"QUOTA_{period.upper()}_EXCEEDED", row[f"quota_{period}"], used[row["id"]][period])
            for period in ("day", "month")
            if row[f"quota_{period}"] is not None
        ]
        for row in rows
        if row["id"] in used
    }
    return _Limits(
        day,
        {row["id"]: row["halted"] for row in rows},
        {row["id"]: row["available"] for row in rows},
        quotas,
    )


def _status(refusal: Refusal) -> str:
    state = refusal.part[PART_COLUMNS.index("state")]
    return status_of(PartState(int(str(state))), True)


_REKEY = """
UPDATE request_key k SET answer = d.answer
FROM unnest($1::bigint[], $2::"char"[], $3::text[], $4::bytea[]) AS d(account_id, kind, key, answer)
WHERE k.account_id = d.account_id AND k.kind = d.kind AND k.key = d.key
"""


async def _rekey(connection: Connection, changed: Sequence[tuple[NewCall, NewCall]]) -> None:
    """Calls have become others after their keys were settled: what a repeat is answered, and which keys are free."""
    await _drop_keys(
        connection, [replace(old, keys=tuple(k for k in old.keys if k not in new.keys)) for old, new in changed]
    )
    kept = [(new, k) for _, new in changed for k in new.keys if k.answers]
    if kept:
        await connection.execute(
            _REKEY,
            [c.account_id for c, _ in kept],
            [k.kind.encode() for _, k in kept],
            [k.key for _, k in kept],
            [c.answer for c, _ in kept],
        )


_HOLD = """
INSERT INTO review (batch_id, account_id, type, origin, submitter, reasons, numbers, parts, content, due_at, validity,
                    expires_at)
SELECT batch_id, account_id, type, origin, submitter, string_to_array(reasons, E'\\n'), numbers, parts, content, due,
       validity, expires
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::int[],
            $9::text[], $10::timestamptz[], $11::interval[], $12::timestamptz[])
     AS d(batch_id, account_id, type, origin, submitter, reasons, numbers, parts, content, due, validity,
          expires)
"""


async def _hold(connection: Connection, calls: Sequence[NewCall]) -> None:
    """Enter calls that a reviewer has to see first."""
    held = [(c, c.review) for c in calls if c.review is not None]
    if held:
        await connection.execute(
            _HOLD,
            [c.batch_id for c, _ in held],
            [c.account_id for c, _ in held],
            [r.type for _, r in held],
            [r.origin for _, r in held],
            [r.submitter for _, r in held],
            ["\n".join(r.reasons) for _, r in held],
            [r.numbers for _, r in held],
            [len(c.parts) for c, _ in held],
            [r.content for _, r in held],
            [r.due for _, r in held],
            [timedelta(seconds=r.validity_s) for _, r in held],
            [r.expires for _, r in held],
        )


async def _record(connection: Connection, refused: Sequence[Refusal]) -> None:
    """Enter what was refused: messages that are final from the start, with their reports."""
    if not refused:
        return
    await connection.copy_records_to_table(
        "message", records=[(*r.message, r.text) for r in refused], columns=(*MESSAGE_COLUMNS, "refusal"), timeout=10
    )
    await connection.copy_records_to_table(
        "part", records=[r.part for r in refused], columns=PART_COLUMNS, timeout=10
    )
    column = {name: n for n, name in enumerate(PART_COLUMNS)}
    events = [
        (r.event_id, r.part[column["account_id"]], "report", r.part[0], _status(r), r.part[column["class"]],
         r.part[column["code"]], 0, None, r.part[column["final_at"]], r.message[_TEST],
         None if r.told else r.part[column["final_at"]])
        for r in refused
    ]  # fmt: skip
    await connection.copy_records_to_table(
        "customer_event", records=events, columns=(*EVENT_COLUMNS, "acknowledged_at"), timeout=10
    )


async def _book(connection: Connection, calls: Sequence[NewCall], day: date) -> None:
    """Enter debits, usage and what counts against quotas."""
    if not calls:
        return
    trees: Counter[int] = Counter()
    for call in calls:
        for account_id in (call.account_id, *call.above):
            trees[account_id] += len(call.parts)
    await connection.execute(
        _BOOK,
        day,
        [c.account_id for c in calls],
        [c.batch_id for c in calls],
        [c.units for c in calls],
        [c.messages[0][_SUBMITTER] for c in calls],
        [str(c.messages[0][_TYPE]) for c in calls],
        [len(c.messages) for c in calls],
        [len(c.parts) for c in calls],
        list(trees.keys()),
        list(trees.values()),
    )


@dataclass(frozen=True, slots=True)
class _Lost:
    """A call's key was taken before."""

    result: Stored | SmsgwError
    holder: int
    """The first message of the call that has it (of a ``client_ref``: the message)."""


async def _settle_keys(connection: Connection, calls: list[NewCall]) -> dict[int, _Lost]:
    """Insert the calls' keys; what becomes of the calls whose key was taken before (replay, mismatch, conflict)."""
    if not calls:
        return {}
    flat = sorted(
        ((c, k) for c in calls for k in c.keys), key=lambda e: (e[0].account_id, e[1].kind, e[1].key)
    )
    won = {
        (row["account_id"], row["kind"].decode(), row["key"], row["message_id"])
        for row in await connection.fetch(
            _INSERT_KEYS,
            [c.account_id for c, _ in flat],
            [k.kind.encode() for _, k in flat],
            [k.key for _, k in flat],
            [k.request_sha256 for _, k in flat],
            [k.message_id for _, k in flat],
            [c.answer if k.answers else b"" for c, k in flat],
        )
    }
    missed = [(c, k) for c, k in flat if (c.account_id, k.kind, k.key, k.message_id) not in won]
    if not missed:
        return {}
    existing = {
        (row["account_id"], row["kind"].decode(), row["key"]): row
        for row in await connection.fetch(
            _EXISTING_KEYS,
            [c.account_id for c, _ in missed],
            [k.kind.encode() for _, k in missed],
            [k.key for _, k in missed],
        )
    }
    lost: dict[int, _Lost] = {}
    for call, key in missed:
        row = existing[call.account_id, key.kind, key.key]
        if id(call) in lost:
            continue  # the Idempotency-Key has decided
        result: Stored | SmsgwError
        if row["request_sha256"] == key.request_sha256 and row["answer"]:
            result = Stored(row["message_id"], replay=row["answer"])
        elif key.kind == "k":
            result = Invalid("IDEMPOTENCY_MISMATCH")
        else:
            result = Invalid("CLIENT_REF_EXISTS", id=str(row["message_id"]))
        lost[id(call)] = _Lost(result, row["message_id"])
    await _drop_keys(connection, [c for c in calls if id(c) in lost])
    return lost


async def _drop_keys(connection: Connection, calls: list[NewCall]) -> None:
    """Take back the keys that these calls have inserted in this transaction."""
    flat = [(c, k) for c in calls for k in c.keys]
    if flat:
        await connection.execute(
            _DELETE_KEYS,
            [k.message_id for _, k in flat],
            [c.account_id for c, _ in flat],
            [k.kind.encode() for _, k in flat],
            [k.key for _, k in flat],
        )


_SWEEP_KEYS = "DELETE FROM request_key WHERE created_at < $1"


async def sweep_keys(connection: Connection, before: datetime) -> str:
    """Forget keys older than ``before``."""
    return await connection.execute(_SWEEP_KEYS, before)


_RECALL = "SELECT request_sha256, answer FROM request_key WHERE account_id = $1 AND kind = $2 AND key = $3"


async def recall(database: Database, account_id: int, kind: str, key: str) -> tuple[bytes, bytes] | None:
    """Hash of the request and first answer that are stored under a key; the answer is empty for one of many."""
    row = await database.fetchrow(_RECALL, account_id, kind.encode(), key)
    return None if row is None else (row["request_sha256"], row["answer"])


_ANSWER = "SELECT answer FROM request_key WHERE account_id = $1 AND kind = 'k' AND key = $2"


async def answer_of(database: Database, account_id: int, key: str) -> bytes | None:
    """The stored answer of the call with this Idempotency-Key; None when there was none within 7 days."""
    answer: bytes | None = await database.fetchval(_ANSWER, account_id, key)
    return answer
