"""What carriers say of parts, made durable: answers and reports; refunds and the report to the customer.

All of it runs in the transactions of one writer a node, so within a node nothing overtakes; rows of a message that
several nodes may touch are locked before its end is judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core import states
from smsgw.core.ids import EPOCH_MS
from smsgw.core.model import PROBE_ACCOUNT, TEST_CHANNEL, TEST_POOL, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.store.engine import latest_version
from smsgw.store.engine.cte_batch import Together, enter
from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages import counters, credit
from smsgw.store.messages.events import EVENT_TYPES, EventRow
from smsgw.store.messages.evidence import PROOF
from smsgw.store.messages.matching import chosen, tails
from smsgw.store.messages.reattempt import late_reports
from smsgw.store.messages.report_ids import report_of

Ids = Callable[[], int]

TAKEN_OVER = "TAKEN_OVER"
"""Code of parts that are UNKNOWN because another node took their channel over: the first owner may know better."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome with the times the database needs."""

    outcome: Outcome
    at: datetime
    next_at: datetime | None
    """DEFERRED: next try; SENT: report deadline."""
    policy: UnknownPolicy = UnknownPolicy.HOLD
    """UNKNOWN: the channel's policy, for parts that have none of their own."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Parts of one message that were claimed and certainly never written (``UNSENT``), in one piece."""

    outcomes: tuple[Outcome, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an unknown outcome waits before its policy acts."""

    hold: timedelta
    hold_short: timedelta
    resend: timedelta


_TARGET = {
    OutcomeKind.ACCEPTED: PartState.SENT,
    OutcomeKind.REFUSED: PartState.REJECTED,
    OutcomeKind.DEFERRED: PartState.DEFERRED,
    OutcomeKind.UNSENT: PartState.DEFERRED,
    OutcomeKind.UNKNOWN: PartState.UNKNOWN,
}


# The whole message, or none of it, goes back to its pool: a claim begins with part 1 and takes what is queued. What is
# sent twice stays where its first attempt may still arrive.
_GIVE_BACK = by_name("""
-- ids from $5 to $1
WITH a AS (
    SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::timestamptz[]) AS a(id, part, attempt, at)
),
mine AS MATERIALIZED (
    SELECT p.id, p.total, p.resent, a.at FROM a JOIN part p ON p.id = a.id AND p.part = a.part
    WHERE p.attempt = a.attempt AND +p.state IN (:SENDING, :UNKNOWN) AND p.id >= $5
    ORDER BY p.id, p.part FOR UPDATE OF p
),
whole AS (SELECT id, max(at) AS at FROM mine GROUP BY id, total HAVING count(*) = total AND max(resent) = 0)
UPDATE part p SET
    state = CASE WHEN p.expires_at > whole.at THEN :QUEUED WHEN p.resent > 0 THEN :UNCONFIRMED
        WHEN p.failed THEN :UNDELIVERABLE ELSE :EXPIRED END,
    channel_id = NULL, epoch = NULL, claimed_at = NULL, next_at = NULL,
    code = CASE WHEN p.failed THEN p.code ELSE '' END, class = CASE WHEN p.failed THEN p.class ELSE '' END,
    final_at = CASE WHEN p.expires_at <= whole.at THEN whole.at END
FROM whole WHERE p.id = whole.id AND p.id >= $5
RETURNING p.id, p.part, p.total, p.state, p.channel_id, p.carrier_id, p.account_id, p.code, p.class,
          p.answered_at, p.claimed_at, p.final_at
""")


async def commit_given_back(connection: Connection, given: Sequence[GivenBack]) -> tuple[list[Row], list[Answer]]:
    """Whole messages are QUEUED again for any channel; the rest, as answers that leave it with its channel."""
    if not given:
        return [], []
    # Once each, though it was said twice: the whole of a message is told by counting.
    said = {(o.id, o.part, o.attempt): (o, g.at) for g in given for o in g.outcomes}
    flat = [said[key] for key in sorted(said)]
    rows = await connection.fetch(
        _GIVE_BACK,
        [o.id for o, _ in flat],
        [o.part for o, _ in flat],
        [o.attempt for o, _ in flat],
        [at for _, at in flat],
        flat[0][0].id,
    )
    done = {row["id"] for row in rows}
    return rows, [Answer(o, at, at) for o, at in flat if o.id not in done]


# Here and below the lowest id of a batch, or the oldest that may be meant, keeps old days out of the plan: without it
# every statement would open all of them.

# From SENDING and UNKNOWN (but never UNKNOWN anew); a refusal for now that comes when the part's validity is over, is
# final. When a part was sent twice, a refusal of the second does not tell whether the first has arrived; when a carrier
# has taken it before and reported a failure, that stands. Early reports of the ids that just became known are handed
# over.
_ANSWERS = by_name("""
-- ids from $14 to $1
WITH a AS (
    SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::smallint[], $5::text[], $6::text[],
                         $7::text[], $8::timestamptz[], $9::timestamptz[], $10::text[])
    AS a(id, part, attempt, state, carrier_id, code, class, at, next_at, policy)
),
done AS (
    UPDATE part p SET
        state = CASE WHEN a.state = :REJECTED OR (a.state = :DEFERRED AND p.expires_at <= a.at)
                     THEN CASE WHEN p.resent > 0 THEN :UNCONFIRMED WHEN p.failed THEN :UNDELIVERABLE
                         WHEN a.state = :REJECTED THEN :REJECTED ELSE :EXPIRED END
                     ELSE a.state END,
        carrier_id = COALESCE(NULLIF(a.carrier_id, ''), p.carrier_id),
        code = a.code, class = a.class,
        answered_at = CASE WHEN a.state IN (:SENT, :REJECTED) THEN a.at ELSE p.answered_at END,
        next_at = CASE WHEN a.state = :UNKNOWN THEN a.at + CASE COALESCE(p.unknown_policy, a.policy)
                                                     WHEN 'hold_short' THEN $12::interval
                                                     WHEN 'resend' THEN $13::interval ELSE $11::interval END
                       ELSE a.next_at END,
        final_at = CASE WHEN a.state = :REJECTED OR (a.state = :DEFERRED AND p.expires_at <= a.at) THEN a.at END
    FROM a
    WHERE p.id = a.id AND p.part = a.part AND p.attempt = a.attempt AND p.id >= $14
      AND (+p.state = :SENDING OR (+p.state = :UNKNOWN AND a.state <> :UNKNOWN))
    RETURNING p.id, p.part, p.total, p.state, p.channel_id, p.carrier_id, p.account_id, p.code, p.class,
              p.answered_at, p.claimed_at, p.final_at, p.attempt
)
SELECT * FROM done
""")

# Answers that have changed nothing, and that the parts as they are seen now do not account for: the claim is not seen
# yet, or they ought to have been changed.
_UNSEEN = by_name("""
-- ids from $5 to $1
SELECT count(*) FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::smallint[]) AS a(id, part, attempt, state)
JOIN part p ON p.id = a.id AND p.part = a.part AND p.id >= $5
WHERE p.attempt < a.attempt OR (p.attempt = a.attempt
    AND (+p.state = :SENDING OR (+p.state = :UNKNOWN AND a.state <> :UNKNOWN)))
""")

_EARLY = """
DELETE FROM receipt_orphan o USING unnest($1::int[], $2::text[]) AS k(channel_id, carrier_id)
WHERE o.channel_id = k.channel_id AND o.carrier_id = k.carrier_id
RETURNING o.*
"""

_ANY_EARLY = "SELECT EXISTS (SELECT 1 FROM receipt_orphan)"

_HIT = (
    "p.id, p.part, p.state AS was, p.carrier_id, r.state, r.code, r.class, r.at, r.pdu, "
    "p.resent > 0 AND r.state <> :DELIVERED AS moot"
)
_WAITS = "(was IN (:SENT, :UNKNOWN) OR (was IN (:NO_REPORT, :UNCONFIRMED) AND NOT moot))"
"""Of a hit: the report can change the part."""

# A report that hits nothing which it can change is settled only by a part whose end is told: that of a part which waits
# for another attempt, or which changed under way, is still to be heard. The last row names the reports (``hit``) whose
# part could have been changed, and those (``ended``) whose part had its end before. Of a part that was sent twice a
# report that is no delivery (``moot``) does not tell whether the other attempt has arrived.
_REPORTS = by_name(f"""
-- ids from $7 to $8
WITH r AS MATERIALIZED (
    SELECT *, $8::bigint AS newest
    FROM unnest($1::int[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::timestamptz[], $9::text[],
                $10::bytea[])
    WITH ORDINALITY AS r(channel_id, carrier_id, state, code, class, at, tail, pdu, n)
),
hit AS MATERIALIZED ({chosen(_HIT, "$7")}),
first AS MATERIALIZED (
    SELECT DISTINCT ON (id, part) * FROM hit WHERE {_WAITS}
    ORDER BY id, part, n
),
done AS (
    UPDATE part p SET state = CASE WHEN f.moot THEN :UNCONFIRMED ELSE f.state END, code = f.code, class = f.class,
        final_at = f.at, next_at = NULL
    FROM first f
    WHERE p.id = f.id AND p.part = f.part
        AND (+p.state IN (:SENT, :UNKNOWN) OR (+p.state IN (:NO_REPORT, :UNCONFIRMED) AND NOT f.moot))
        AND p.carrier_id IS NOT DISTINCT FROM f.carrier_id AND p.id >= $7
    RETURNING f.n, p.id, p.part, p.total, p.state, p.channel_id, p.carrier_id, p.account_id, p.code, p.class,
              p.answered_at, p.claimed_at, p.final_at, p.channel_id AS told_channel, p.carrier_id AS told_id, f.pdu
),
proof AS ({PROOF})
SELECT n, id, part, total, state, channel_id, carrier_id, account_id, code, class, answered_at, claimed_at, final_at,
       NULL::bigint[] AS hit, NULL::bigint[] AS ended
FROM done
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       array_agg(n) FILTER (WHERE {_WAITS}),
       array_agg(n) FILTER (WHERE was IN (:DELIVERED, :UNDELIVERABLE, :EXPIRED, :REJECTED, :CANCELLED, :DUPLICATE)
                                  OR (was IN (:NO_REPORT, :UNCONFIRMED) AND moot))
FROM hit
""")  # noqa: S608 - constant text

_PARK = """
INSERT INTO receipt_orphan (channel_id, carrier_id, state, code, class, number, received_at, reference, by_number,
                            submitted, pdu)
SELECT * FROM unnest($1::int[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
                     $8::int[], $9::boolean[], $10::timestamptz[], $11::bytea[])
ON CONFLICT DO NOTHING
"""


ROUNDS = 3
"""Looks at a report whose part another report of its batch, or another node, has changed meanwhile."""


@dataclass(slots=True)
class Tally:
    """What a batch did, for counters and logs."""

    stale_answers: int = 0
    duplicate_reports: int = 0
    unmatched_reports: int = 0


async def commit_answers(
    connection: Connection, answers: Sequence[Answer], tally: Tally, patience: Patience
) -> tuple[list[Row], list[Report]]:
    """Apply answers; the rows that changed, and the early reports that have found their part."""
    if not answers:
        return [], []
    best: dict[tuple[int, int, int], Answer] = {}
    for answer in answers:  # a late answer may come in the same breath as the time-out that it corrects
        key = (answer.outcome.id, answer.outcome.part, answer.outcome.attempt)
        if key not in best or best[key].outcome.kind is OutcomeKind.UNKNOWN:
            best[key] = answer
    ordered = [best[key] for key in sorted(best)]
    o = [a.outcome for a in ordered]
    rows = await connection.fetch(
        _ANSWERS,
        [x.id for x in o],
        [x.part for x in o],
        [x.attempt for x in o],
        [int(_TARGET[x.kind]) for x in o],
        [x.carrier_id for x in o],
        [x.code for x in o],
        [x.cls for x in o],
        [a.at for a in ordered],
        [a.next_at for a in ordered],
        [a.policy for a in ordered],
        patience.hold,
        patience.hold_short,
        patience.resend,
        o[0].id,
    )
    # With SGIP the id is known without an answer: a report settles what a lost answer left unknown.
    known = [row for row in rows if row["carrier_id"] and row["state"] in (PartState.SENT, PartState.UNKNOWN)]
    if len(rows) < len(best):
        tally.stale_answers += len(best) - len(rows)
        applied = {(row["id"], row["part"], row["attempt"]) for row in rows}
        await accounted_for(connection, [x for x in o if (x.id, x.part, x.attempt) not in applied])
        known += await _too_late(connection, ordered, applied)
        known += await _still_unknown(connection, ordered, applied)
    early: list[Report] = []
    if known and await connection.fetchval(_ANY_EARLY):
        keys = [row["channel_id"] for row in known], [row["carrier_id"] for row in known]
        early = [report_of(row) for row in await connection.fetch(_EARLY, *keys)]
    return rows, early


class Unseen(RuntimeError):
    """Parts are not seen as their answers say that they were, or as they were a moment ago: what was said is tried
    again, and never taken for told. A part whose answer is lost here would be found claimed and in nobody's hand, and
    be sent twice."""


async def accounted_for(connection: Connection, unapplied: Sequence[Outcome]) -> None:
    """Raise ``Unseen`` where an answer that has changed nothing ought to have."""
    unseen = await connection.fetchval(
        _UNSEEN,
        [x.id for x in unapplied],
        [x.part for x in unapplied],
        [x.attempt for x in unapplied],
        [int(_TARGET[x.kind]) for x in unapplied],
        min(x.id for x in unapplied),
    )
    if unseen:
        raise Unseen(f"{unseen} of {len(unapplied)} answers that changed nothing")


# The answer came after the policy had acted, or after an earlier attempt had turned out to be delivered: its id lets
# a report find home.
_TOO_LATE = by_name("""
UPDATE part p SET carrier_id = a.carrier_id
FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::text[]) AS a(id, part, attempt, carrier_id)
WHERE p.id = a.id AND p.part = a.part AND p.attempt = a.attempt AND p.state IN (:DELIVERED, :UNCONFIRMED) AND p.id >= $5
  AND p.carrier_id IS NULL
RETURNING p.channel_id, p.carrier_id
""")


# … or the part was sent again: the attempt that the answer is about lies aside by then.
_SUPERSEDED = """
UPDATE attempt t SET carrier_id = a.carrier_id, answered_at = a.at
FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::text[], $6::timestamptz[])
    AS a(id, part, attempt, carrier_id, at)
WHERE t.id = a.id AND t.part = a.part AND t.attempt = a.attempt AND t.id >= $5 AND t.carrier_id IS NULL
RETURNING t.channel_id, t.carrier_id
"""


async def _too_late(connection: Connection, answers: Sequence[Answer], applied: set[tuple[int, int, int]]) -> list[Row]:
    late = [
        a
        for a in answers
        if a.outcome.carrier_id
        and a.outcome.kind is OutcomeKind.ACCEPTED
        and (a.outcome.id, a.outcome.part, a.outcome.attempt) not in applied
    ]
    if not late:
        return []
    o = [a.outcome for a in late]
    named = (
        [x.id for x in o],
        [x.part for x in o],
        [x.attempt for x in o],
        [x.carrier_id for x in o],
        min(x.id for x in o),
    )
    rows = await connection.fetch(_TOO_LATE, *named)
    return rows + await connection.fetch(_SUPERSEDED, *named, [a.at for a in late])


# The first owner does not know either, and has settled its books: whatever it says later proves nothing.
_STILL_UNKNOWN = by_name("""
UPDATE part p SET code = a.code, carrier_id = COALESCE(NULLIF(a.carrier_id, ''), p.carrier_id)
FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::text[], $5::text[])
    AS a(id, part, attempt, code, carrier_id)
WHERE p.id = a.id AND p.part = a.part AND p.attempt = a.attempt AND +p.state = :UNKNOWN AND p.id >= $6
  AND p.code = 'TAKEN_OVER'
RETURNING p.channel_id, p.carrier_id
""")


async def _still_unknown(
    connection: Connection, answers: Sequence[Answer], applied: set[tuple[int, int, int]]
) -> list[Row]:
    unknown = [
        a.outcome
        for a in answers
        if a.outcome.kind is OutcomeKind.UNKNOWN
        and a.outcome.code != TAKEN_OVER
        and (a.outcome.id, a.outcome.part, a.outcome.attempt) not in applied
    ]
    if not unknown:
        return []
    rows = await connection.fetch(
        _STILL_UNKNOWN,
        [o.id for o in unknown],
        [o.part for o in unknown],
        [o.attempt for o in unknown],
        [o.code for o in unknown],
        [o.carrier_id for o in unknown],
        min(o.id for o in unknown),
    )
    return [row for row in rows if row["carrier_id"]]


async def match_reports(
    connection: Connection, reports: Sequence[Report], tally: Tally, *, recent: int, oldest: int, newest: int
) -> tuple[list[Row], list[Report]]:
    """Apply reports; the rows that changed, and the reports that have found no part.

    Looks among ids from ``recent`` on first (nearly all reports come within a day), then from ``oldest`` on, never
    after ``newest``.
    """
    changed: list[Row] = []
    pending = list(reports)
    for since in (recent, oldest):
        looked: list[Report] = []
        for _ in range(ROUNDS):
            if not pending:
                break
            rows, left, none = await _apply(connection, pending, tally, since, newest)
            changed += rows
            pending = left
            looked += none
        pending += looked
    if pending:
        updated, found = await late_reports(connection, pending, oldest=oldest)
        changed += updated
        tally.duplicate_reports += len(found) - len(updated)
        pending = [r for n, r in enumerate(pending) if n not in found]
    return changed, pending


async def _apply(
    connection: Connection, reports: list[Report], tally: Tally, since: int, newest: int
) -> tuple[list[Row], list[Report], list[Report]]:
    """One look: the rows that changed, the reports to look at again, and those that have found nothing to change."""
    rows = await connection.fetch(
        _REPORTS,
        [r.channel_id for r in reports],
        [r.carrier_id for r in reports],
        [int(r.state) for r in reports],
        [r.code for r in reports],
        [r.cls for r in reports],
        [r.received_at for r in reports],
        since,
        newest,
        tails(reports),
        [r.pdu for r in reports],
    )
    changed = [row for row in rows if row["n"] is not None]
    applied = {row["n"] for row in changed}
    if len(applied) == len(reports):
        return changed, [], []
    said = next(row for row in rows if row["n"] is None)
    ended, hit = set(said["ended"] or ()), set(said["hit"] or ())
    tally.duplicate_reports += len(ended)
    left: list[Report] = []
    none: list[Report] = []
    for n, report in enumerate(reports, 1):
        if n not in applied and n not in ended:
            (left if n in hit else none).append(report)
    return changed, left, none


async def park(connection: Connection, reports: Sequence[Report], tally: Tally) -> None:
    """Keep reports without a part for the answer that will come, or for an operator."""
    if not reports:
        return
    tally.unmatched_reports += len(reports)
    await connection.execute(
        _PARK,
        [r.channel_id for r in reports],
        [r.carrier_id for r in reports],
        [int(r.state) for r in reports],
        [r.code for r in reports],
        [r.cls for r in reports],
        [r.number for r in reports],
        [r.received_at for r in reports],
        [r.reference for r in reports],
        [r.by_number for r in reports],
        [r.submitted for r in reports],
        [r.pdu for r in reports],
    )


# After the update, in a statement of its own: whoever comes last to a message's rows sees all of them final.
_SIBLINGS = """
-- ids from $2 to $1
SELECT id, part, total, state, code, class, by_us, account_id, answered_at, claimed_at, final_at, pool_id,
       channel_id
FROM part WHERE id = ANY($1::bigint[]) AND id >= $2 ORDER BY id, part FOR UPDATE
"""

# What is given back of each message.
_OWED = """
-- ids from $4 to $1
SELECT m.id, m.account_id, m.submitter, m.type, m.batch_id,
       m.price / m.parts * (p.unsent + CASE WHEN m.refund_failed THEN p.failed ELSE 0 END) AS units
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS p(message_id, unsent, failed)
JOIN message m ON m.id = p.message_id
WHERE m.price > 0 AND m.id >= $4 AND (p.unsent > 0 OR m.refund_failed)
"""

_SKEW, _LATE = "interval '5 seconds'", "interval '1 day'"
"""How far a node's clock may be ahead of the server's. How long after its id was made a call is booked at most: tasks
set calls apart, a spool keeps them."""

# Under the accounts' lock, as at acceptance: nobody waits for the other crosswise. ``former``: calls whose debit
# was at another price than the one in force; looked for only where the price has changed since the call was made.
_REFUND = {
    "owed": """
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
    AS o(id, account_id, submitter, type, batch_id, units)
""",
    "former": f"""
SELECT o.batch_id, p.price FROM (SELECT DISTINCT account_id, batch_id FROM owed) o
CROSS JOIN LATERAL (SELECT to_timestamp(((o.batch_id >> 22) + {EPOCH_MS}) / 1000.0) AS at) made
CROSS JOIN LATERAL (
    SELECT valid_from, price FROM account_price WHERE account_id = o.account_id ORDER BY valid_from DESC LIMIT 1
) newest
CROSS JOIN LATERAL (
    SELECT price FROM account_price WHERE account_id = o.account_id AND valid_from <= COALESCE((
        SELECT l.at FROM ledger l WHERE l.account_id = o.account_id AND l.id = o.batch_id AND l.kind = 'debit'
        AND l.at >= made.at - {_SKEW} AND l.at < LEAST(made.at + {_LATE}, newest.valid_from) ORDER BY l.at LIMIT 1
    ), made.at + {_LATE}) ORDER BY valid_from DESC LIMIT 1
) p
WHERE newest.valid_from > made.at - {_SKEW} AND p.price <> newest.price
""",  # noqa: S608 - constants
    "back": "SELECT account_id AS id, sum(units) AS units FROM owed GROUP BY account_id",
    **latest_version.changed("paid", "account", "id", "balance = t.balance + s.units", "back", ", t.balance"),
    "entry": """
INSERT INTO ledger (id, account_id, kind, units, balance, price)
SELECT o.id, o.account_id, 'refund', o.units, paid.balance - sum(o.units) OVER later + o.units, former.price
FROM owed o JOIN paid ON paid.id = o.account_id LEFT JOIN former USING (batch_id)
WINDOW later AS (PARTITION BY o.account_id ORDER BY o.id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
""",
    "unused": f"""
SELECT account_id, {credit.TODAY} AS day, submitter, type,
       0 AS messages, 0 AS parts, 0 AS units, sum(units) AS refunded FROM owed
GROUP BY account_id, submitter, type ORDER BY account_id, submitter, type
""",  # noqa: S608 - constants
    **latest_version.added("usage", "usage_day", credit.USAGE_KEY, "refunded", "unused", "messages, parts, units"),
    "priced": f"""
INSERT INTO usage_price AS u (account_id, day, submitter, type, price, units, refunded)
SELECT account_id, {credit.TODAY}, submitter, type, price, 0, sum(units) FROM owed JOIN former USING (batch_id)
GROUP BY account_id, submitter, type, price ORDER BY account_id, submitter, type, price
ON CONFLICT (account_id, day, submitter, type, price) DO UPDATE SET refunded = u.refunded + excluded.refunded
""",  # noqa: S608 - constants
}


async def refund(connection: Connection, finals: Iterable[Row]) -> None:
    """Give back the price of parts that no carrier has taken, and of failed ones where the account was promised so."""
    unsent = Counter(row["id"] for row in finals if row["state"] in states.REFUNDED)
    failed = Counter(row["id"] for row in finals if row["state"] == PartState.UNDELIVERABLE)
    ids = list(unsent | failed)
    if not ids:
        return
    counts = [unsent[id_] for id_ in ids], [failed[id_] for id_ in ids]
    owed = [row for row in await connection.fetch(_OWED, ids, *counts, min(ids)) if row["units"] > 0]
    if owed:
        await connection.fetch(credit.LOCK, sorted({row["account_id"] for row in owed}))
        changes = Together()
        changes.add(_REFUND, *zip(*owed, strict=True))
        await changes.run(connection)


# Reports of accounts with addresses of the messages' own go there.
_OWN_ADDRESS = """
UPDATE customer_event e SET target = m.callback_url FROM message m
WHERE e.id = ANY($1::bigint[]) AND m.id = e.message_id AND m.id >= $2 AND m.callback_url <> ''
"""


def final_parts(rows: Iterable[Row]) -> list[Row]:
    """Of rows whose state has changed, those that have become final; probes concern no customer."""
    return [row for row in rows if row["state"] in states.FINAL and row["account_id"] != PROBE_ACCOUNT]


async def ended_messages(connection: Connection, finals: Sequence[Row]) -> dict[int, list[Row]]:
    """The messages that have ended with these parts, in the order of their ids, each with all its parts.

    Rows need id, part, total, state, account_id, code, class, answered_at, claimed_at, final_at.
    """
    messages: dict[int, list[Row]] = {row["id"]: [row] for row in finals if row["total"] == 1}
    several = sorted({row["id"] for row in finals if row["total"] > 1})
    if several:
        siblings: dict[int, list[Row]] = {}
        for row in await connection.fetch(_SIBLINGS, several, several[0]):
            siblings.setdefault(row["id"], []).append(row)
        messages |= {id_: parts for id_, parts in siblings.items() if all(p["state"] in states.FINAL for p in parts)}
    return dict(sorted(messages.items()))


async def report(
    connection: Connection,
    messages: Mapping[int, list[Row]],
    ids: Ids,
    callbacks: Container[int] = (),
    *,
    along: Together | None = None,
) -> None:
    """Record the report of each message for its customer. ``callbacks``: accounts whose messages may have an address
    of their own. ``along``: changes that are made later in the transaction and may take the reports with them."""
    if not messages:
        return
    records = [_report_event(id_, parts, ids) for id_, parts in messages.items()]
    own = [record.id for record in records if record.account_id in callbacks] if callbacks else []
    if along is not None and not own:
        await along.enter(connection, "customer_event", EVENT_TYPES, records)
        return
    await enter(connection, "customer_event", EVENT_TYPES, records)
    if own:
        await connection.execute(_OWN_ADDRESS, own, min(messages))


def _report_event(id_: int, parts: list[Row], ids: Ids) -> EventRow:
    state = states.message_state(PartState(p["state"]) for p in parts)
    worst = next(p for p in parts if p["state"] == state)
    # What was claimed and came back without having been written was not submitted.
    submitted = [
        p["answered_at"] or p["claimed_at"]
        for p in parts
        if p["answered_at"] or (p["claimed_at"] and p["state"] not in states.REFUNDED)
    ]
    return EventRow(
        id=ids(),
        account_id=parts[0]["account_id"],
        kind="report",
        message_id=id_,
        status=states.status_of(state, bool(worst.get("by_us"))),
        class_=worst["class"],
        code=worst["code"],
        parts_ok=sum(p["state"] == PartState.DELIVERED for p in parts),
        submitted_at=max(submitted) if submitted else None,
        done_at=max(p["final_at"] for p in parts),
        # What was never claimed has no channel; the sweeps that end it tell its pool.
        test=parts[0]["channel_id"] == TEST_CHANNEL or parts[0].get("pool_id") == TEST_POOL,
    )


_METRIC = {
    PartState.SENT: "submitted",
    PartState.DELIVERED: "delivered",
    PartState.UNDELIVERABLE: "failed",
    PartState.REJECTED: "failed",
    PartState.UNKNOWN: "unknown",
    PartState.EXPIRED: "rejected",
}


def count(rows: Iterable[Row], delta: counters.Delta) -> None:
    """Add state changes to the flow's counters."""
    for row in rows:
        metric = _METRIC.get(row["state"])
        if metric:
            delta[row["account_id"], row["channel_id"] or 0, metric] += 1


_EVENTS = """
INSERT INTO event (id, at, part, kind, detail)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::smallint[], $4::text[], $5::jsonb[])
"""


_SWEEP_ORPHANS = """
DELETE FROM receipt_orphan WHERE ctid IN (
    SELECT ctid FROM receipt_orphan WHERE received_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING channel_id
"""


async def sweep_orphans(connection: Connection, before: datetime, limit: int) -> list[Row]:
    """Forget reports that have found no part in time; the channels they came by."""
    return await connection.fetch(_SWEEP_ORPHANS, before, limit)


async def add_events(connection: Connection, events: Sequence[tuple[int, datetime, int, str, str]]) -> None:
    """Record what is out of the ordinary: (message id, at, part, kind, detail as JSON)."""
    if events:
        await connection.execute(_EVENTS, *map(list, zip(*events, strict=True)))
