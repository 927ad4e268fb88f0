"""The queries of messages: one, many, and the story of one. ``accounts`` (None: all) is whose may be seen, in SQL, and
``submitter`` (None: anybody) whose submissions of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from smsgw.core import states
from smsgw.core.actor import ActorLabel
from smsgw.core.ids import CHINA, first_id, time_of
from smsgw.core.model import REPORT_CLASSES
from smsgw.core.pseudonyms import shown
from smsgw.core.states import PartState
from smsgw.core.wording_json import Remembered
from smsgw.core.words import Wording, labels_of, listed, phrase
from smsgw.platform.login.model import CODE_SENDER
from smsgw.platform.messages import codes
from smsgw.platform.messages.model import MessageView, PartView, Trace, TraceStep
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages import request_keys
from smsgw.store.messages.evidence import EARLY
from smsgw.store.messages.message_links import LINK_SINCE
from smsgw.store.records import pseudonyms

MAX_PAGE = 500
SLICE = 50
"""Messages that are put together before the event loop turns."""

# The parts of a page of messages ride along as arrays: a message has few.
SELECT = """
SELECT m.*, COALESCE(a.name, '@probe') AS account_name, p.states, p.bys, p.codes, p.classes, p.channel_id,
       c.name AS channel_name, p.submitted_at, p.done_at{also}
FROM ({page}) m
LEFT JOIN account a ON a.id = m.account_id
CROSS JOIN LATERAL (
    SELECT array_agg(state ORDER BY part) AS states, array_agg(by_us ORDER BY part) AS bys,
           array_agg(code ORDER BY part) AS codes, array_agg(class ORDER BY part) AS classes,
           max(channel_id) AS channel_id, max(COALESCE(answered_at, claimed_at)) AS submitted_at,
           max(final_at) AS done_at
    FROM part WHERE part.id = m.id
) p
LEFT JOIN channel c ON c.id = p.channel_id
ORDER BY m.id {way}
"""
"""Views of the messages of a page, in the order of their ids; ``also``: further columns."""

SUBJECT = """
COALESCE((
    SELECT t.name FROM (SELECT task_id, base_id + size AS behind FROM task_chunk WHERE base_id <= m.id
                        ORDER BY base_id DESC LIMIT 1) k JOIN task t ON t.id = k.task_id WHERE m.id < k.behind
), (SELECT t.name FROM message_resend h JOIN task t ON t.id = h.task_id WHERE h.again_id = m.id AND h.hop > 0), '')
"""
"""What the task of a message ``m`` is called (发送主题), of a hop that of its chain; else empty."""

LABEL = "CASE WHEN m.kind = '' THEN '' ELSE (SELECT label FROM message_kind WHERE name = m.kind) END"
"""How people read the operator's kind of a message ``m``; empty: it is of none."""

CLICKS = """
(SELECT COALESCE(v.humans, 0) FROM message_link k LEFT JOIN link_visitor v ON v.link_id = k.link_id AND v.n = k.n
 WHERE k.id = m.id AND k.clicked IS NOT NULL)
"""
"""How often people have clicked the personal link in a message ``m``; NULL: it has none."""
CLICKED_AT = """
(SELECT v.first_at FROM message_link k JOIN link_visitor v ON v.link_id = k.link_id AND v.n = k.n
 WHERE k.id = m.id AND k.clicked)
"""
"""When for the first time; NULL: never, or it has none."""

CARRIED = "(SELECT l.{} FROM message_link k JOIN short_link l ON l.id = k.link_id WHERE k.id = m.id)"
"""A column of the short link in a message ``m``; NULL: it has none."""
LAST_CLICK = CLICKED_AT.replace("first_at", "last_at")
"""The same of the last time."""
# A code that goes out once more may have been clicked before its message was made, but never before its link was.
CLICK_AGENT = f"""
COALESCE((SELECT d.agent FROM message_link k JOIN short_link l ON l.id = k.link_id
 JOIN link_click d ON d.link_id = k.link_id AND d.n = k.n
 WHERE k.id = m.id AND k.clicked AND d.id >= {LINK_SINCE} AND d.verdict = 'human' ORDER BY d.id DESC LIMIT 1), '')
"""  # noqa: S608 - a constant
"""With what people have clicked it last; empty: never, or it is not kept any more."""

_ONE = SELECT.format(
    also=f", {CLICKS} AS clicks, {CLICKED_AT} AS clicked_at",
    way="DESC",
    page="SELECT * FROM message WHERE id = $1 AND ($2::bigint[] IS NULL OR account_id = ANY($2)) "
    "AND ($3::bool IS NULL OR test = $3) AND ($4::text IS NULL OR submitter = $4)",
)

_SEVERAL = SELECT.format(
    also="",
    way="DESC",
    page="SELECT * FROM message WHERE id = ANY($1::bigint[]) AND ($2::bigint[] IS NULL OR account_id = ANY($2)) "
    "AND ($3::bool IS NULL OR test = $3)",
)

_PAGE = SELECT.format(
    also="",
    way="DESC",
    page="""
    SELECT * FROM message x
    WHERE id >= $1 AND id < $2 AND ($3::bigint[] IS NULL OR account_id = ANY($3))
      AND ($10::bool IS NULL OR test = $10) AND ($11::text IS NULL OR submitter = $11)
      AND ($4::text[] IS NULL OR number = ANY($4)) AND ($5::text IS NULL OR (client_ref = $5 AND client_ref <> ''))
      AND ($6::bigint IS NULL OR batch_id = $6)
      AND ($7::smallint[] IS NULL OR EXISTS (
          SELECT 1 FROM part s WHERE s.id = x.id AND s.state = ANY($7) AND ($8::bool IS NULL OR s.by_us = $8)))
    ORDER BY id DESC LIMIT $9
    """,
)

_HISTORY = timedelta(days=90)


def _view(row: Row, whole: bool = False) -> MessageView:
    part_states = [PartState(s) for s in row["states"]]
    state = states.message_state(part_states)
    worst = part_states.index(state)
    final = states.is_final(state)
    return MessageView(
        id=row["id"],
        batch_id=row["batch_id"],
        account_id=row["account_id"],
        account_name=row["account_name"],
        origin=row["origin"],
        type=row["type"],
        number=shown(row["number"]),
        carrier=row["carrier"],
        province=row["province"],
        content=_text(row, whole),
        sign=row["sign"],
        coding=row["coding"],
        parts=row["parts"],
        price=row["price"],
        client_ref=row["client_ref"],
        ext=row["ext"],
        extend_code=row["extend_code"],
        submitter=row["submitter"],
        status=states.status_of(state, row["bys"][worst]),
        cls=row["classes"][worst],
        code=row["codes"][worst],
        channel_id=row["channel_id"],
        channel_name=row["channel_name"],
        accepted_at=time_of(row["id"]),
        submitted_at=row["submitted_at"],
        done_at=row["done_at"] if final else None,
        parts_ok=sum(s is PartState.DELIVERED for s in part_states),
        refusal=row["refusal"],
        kind=row["kind"],
        test=row["test"],
        refund_failed=row["refund_failed"],
        subject=row.get("subject", ""),
        label=row.get("label", ""),
        clicks=row.get("clicks"),
        clicked_at=row.get("clicked_at"),
    )


def _text(row: Row, whole: bool) -> str:
    text: str = row["content"]
    if whole and row["submitter"] != CODE_SENDER:
        return text
    return codes.without(row["type"], row["submitter"], text)


async def views(rows: Sequence[Row], *, whole: bool = False) -> list[MessageView]:
    """Of rows of ``SELECT``, however large, with others' turns in between: a message may have dozens of parts.
    ``whole``, here and below: with verification codes in their texts, as the system has them that sent them."""
    made: list[MessageView] = []
    for begin in range(0, len(rows), SLICE):
        if begin:
            await asyncio.sleep(0)
        made += [_view(row, whole) for row in rows[begin : begin + SLICE]]
    return made


async def get(
    database: Database | Connection,
    message_id: int,
    *,
    accounts: Sequence[int] | None,
    test: bool | None = None,
    submitter: ActorLabel | None = None,
    whole: bool = False,
) -> MessageView | None:
    """One message, or None when there is none that the accounts may see. ``test``: only (or no) test messages."""
    if not 0 < message_id < 2**63:
        return None
    row = await database.fetchrow(_ONE, message_id, None if accounts is None else list(accounts), test, submitter)
    return None if row is None else _view(row, whole)


async def several(
    database: Database,
    message_ids: Sequence[int],
    *,
    accounts: Sequence[int] | None,
    test: bool | None = None,
    whole: bool = False,
) -> list[MessageView]:
    """Those of the messages that the accounts may see, newest first."""
    rows = await database.fetch(_SEVERAL, list(message_ids), None if accounts is None else list(accounts), test)
    return await views(rows, whole=whole)


def states_of(status: str) -> tuple[list[int], bool | None]:
    """The part states behind a status word, and whether our own refusal is asked for (None: either)."""
    if status == "rejected":
        return [int(PartState.REJECTED)], True
    found = [int(s) for s, word in states.STATUS.items() if word == status]
    return found, (False if status == "failed" else None)


async def search(
    database: Database,
    *,
    accounts: Sequence[int] | None,
    batch_id: int | None = None,
    client_ref: str | None = None,
    number: str | None = None,
    from_time: datetime | None = None,
    to_time: datetime | None = None,
    status: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
    now: datetime,
    test: bool | None = None,
    submitter: ActorLabel | None = None,
    whole: bool = False,
) -> list[MessageView]:
    """Newest first; the next page begins before the last id. Without times: the last 90 days.

    ``status`` matches messages that have a part in it.
    """
    low = first_id(from_time or now - _HISTORY)
    high = first_id(to_time or now + timedelta(days=1))
    if batch_id is not None:
        if not 0 < batch_id < 2**63:
            return []
        # A call's ids are made in one go: they lie within moments of the first.
        low, high = max(low, batch_id), min(high, first_id(time_of(batch_id) + timedelta(seconds=10)))
    if before_id is not None:
        high = min(high, before_id)
    wanted, by_us = states_of(status) if status else (None, None)
    spelled = await pseudonyms.spellings(database, number)
    rows = await database.fetch(
        _PAGE, max(low, 0), max(high, 0), None if accounts is None else list(accounts), spelled, client_ref, batch_id,
        wanted, by_us, max(1, min(limit, MAX_PAGE)), test, submitter,
    )  # fmt: skip
    return await views(rows, whole=whole)


TALLIED = 20_000
"""Messages that are counted; of more it is said that there are more."""
_TALLY = """
WITH m AS MATERIALIZED (
    SELECT id FROM message
    WHERE id >= $1 AND id < $2 AND ($3::bigint[] IS NULL OR account_id = ANY($3))
      AND ($8::text IS NULL OR submitter = $8) ORDER BY id DESC LIMIT $4
)
SELECT '' AS word, count(*) AS n FROM m
UNION ALL
SELECT w.word, count(DISTINCT p.id)
FROM m JOIN part p ON p.id = m.id AND p.id >= $1 AND p.id < $2
JOIN unnest($5::text[], $6::smallint[], $7::bool[]) AS w (word, state, by_us)
     ON w.state = p.state AND (w.by_us IS NULL OR w.by_us = p.by_us)
GROUP BY w.word
"""


async def tally(
    database: Database, *, accounts: Sequence[int] | None, from_time: datetime, to_time: datetime,
    submitter: ActorLabel | None = None,
) -> dict[str, int]:  # fmt: skip
    """Status -> messages that ``search`` finds by it in that time; ``""`` -> all. At most ``TALLIED`` are looked at."""
    rows = [
        (status, state, by_us)
        for status in states.STATUS_NAMES
        for found, by_us in [states_of(status)]
        for state in found
    ]
    words, numbers, bys = zip(*rows, strict=True)
    found = await database.fetch(
        _TALLY, first_id(from_time), first_id(to_time), None if accounts is None else list(accounts), TALLIED,
        list(words), list(numbers), list(bys), submitter,
    )  # fmt: skip
    return dict.fromkeys(states.STATUS_NAMES, 0) | {row["word"]: row["n"] for row in found}


_REASONS = """
WITH m AS MATERIALIZED (
    SELECT id FROM message
    WHERE id >= $1 AND id < $2 AND ($3::bigint[] IS NULL OR account_id = ANY($3))
      AND ($7::text IS NULL OR submitter = $7) ORDER BY id DESC LIMIT $4
)
SELECT p.class, count(DISTINCT p.id) AS n
FROM m JOIN part p ON p.id = m.id AND p.id >= $1 AND p.id < $2
WHERE p.class <> '' AND p.state = ANY($5) AND NOT p.by_us GROUP BY p.class ORDER BY n DESC, p.class LIMIT $6
"""


async def reasons(
    database: Database, *, accounts: Sequence[int] | None, from_time: datetime, to_time: datetime, limit: int = 5,
    submitter: ActorLabel | None = None,
) -> list[tuple[str, int]]:  # fmt: skip
    """Why messages of that time failed: (class, messages of which a part failed with it), the commonest
    first. At most ``TALLIED`` messages are looked at."""
    rows = await database.fetch(
        _REASONS, first_id(from_time), first_id(to_time), None if accounts is None else list(accounts), TALLIED,
        states_of("failed")[0], limit, submitter,
    )  # fmt: skip
    return [(row["class"], row["n"]) for row in rows]


_PARTS = f"""
SELECT p.*, c.name AS channel_name, e.digest, e.kind AS proved_by
FROM part p LEFT JOIN channel c ON c.id = p.channel_id LEFT JOIN LATERAL (
    SELECT digest, kind FROM evidence x
    WHERE x.message_id = p.id AND x.part = p.part AND x.id >= $1 - {EARLY} AND x.state = p.state
    ORDER BY x.id DESC LIMIT 1
) e ON true
WHERE p.id = $1 ORDER BY p.part
"""  # noqa: S608 - constants
_EVENTS = "SELECT at, part, kind, detail FROM event WHERE id = $1 ORDER BY at LIMIT 1000"
_OFFERS = "SELECT * FROM customer_event WHERE message_id = $1 AND kind = 'report' AND id >= $1 ORDER BY id"

STEPS = labels_of("step")
"""What the steps of a message's story are called: events by their kind, and what is told of rows."""


async def trace(
    database: Database | Connection,
    message_id: int,
    *,
    accounts: Sequence[int] | None,
    test: bool | None = None,
    submitter: ActorLabel | None = None,
    whole: bool = False,
) -> Trace | None:
    """The whole story of a message, or None when there is none that the accounts may see."""
    view = await get(database, message_id, accounts=accounts, test=test, submitter=submitter, whole=whole)
    if view is None:
        return None
    rows = await database.fetch(_PARTS, message_id)
    events = await database.fetch(_EVENTS, message_id)
    offers = await database.fetch(_OFFERS, message_id)
    parts = [_part(row) for row in rows]
    origin: dict[str, str | int | Wording] = {
        "origin": view.origin, "account": view.account_name, "parts": view.parts, "coding": view.coding
    }  # fmt: skip
    home: dict[str, str | int | Wording] = {"carrier": view.carrier, "province": view.province}
    steps = [TraceStep(view.accepted_at, "accepted", STEPS["accepted"], 0, origin)]
    review = await database.fetchrow(_REVIEW, view.batch_id)
    if review is not None:
        steps.append(TraceStep(view.accepted_at, "held_for_review", STEPS["held_for_review"], 0, _why_held(review)))
    elif rows[0]["state"] == PartState.SCHEDULED or any(event["kind"] == "released" for event in events):
        steps.append(TraceStep(view.accepted_at, "scheduled", STEPS["waiting"], 0, home | _due(rows[0])))
    elif not _refused_at_once(parts):
        steps.append(TraceStep(view.accepted_at, "queued", STEPS["queued"], 0, home))
    for part in parts:
        steps += _part_steps(part, view)
    for event in events:
        detail = json.loads(event["detail"])
        steps.append(
            TraceStep(event["at"], event["kind"], STEPS.get(event["kind"], event["kind"]), event["part"], detail)
        )
    for offer in offers:
        about: dict[str, str | int | Wording] = {
            "status": states.STATUS_NAMES[offer["status"]],
            "event_id": str(offer["id"]),
        }
        steps.append(TraceStep(time_of(offer["id"]), "report_ready", STEPS["report_ready"], 0, about))
        steps += _offered(offer)
    order = {
        "accepted": 0,
        "queued": 1,
        "scheduled": 1,
        "held_for_review": 1,
        "claimed": 2,
        "submitted": 3,
        "report": 5,
        "report_ready": 8,
    } | dict.fromkeys(("offered", "push_failed", "push_dead", "pushed", "acknowledged"), 9)
    steps.sort(key=lambda s: (_millisecond(s.at), order.get(s.step, 6), s.part))
    return Trace(view, parts, steps)


def _millisecond(at: datetime) -> datetime:
    """What the time of an identifier is rounded down to: a report is older than what was made of it."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


_REVIEW = "SELECT reasons, due_at FROM review WHERE batch_id = $1"


def _why_held(review: Row) -> dict[str, str | int | Wording]:
    reasons = [Remembered(reason, "review.") for reason in review["reasons"]]
    return {"reason": listed(reasons)} | _planned(review["due_at"])


def _planned(at: datetime | None) -> dict[str, str | int | Wording]:
    return {"planned_at": f"{at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"} if at else {}


def _due(part: Row) -> dict[str, str | int | Wording]:
    """When a part that waits for its time goes; what it waited for is not kept."""
    return _planned(part["next_at"]) if part["state"] == PartState.SCHEDULED else {}


def _refused_at_once(parts: Sequence[PartView]) -> bool:
    """Whether no part of a message has ever been on its way."""
    return all(part.status == "rejected" and part.claimed_at is None for part in parts)


def _offered(offer: Row) -> list[TraceStep]:
    """How a report went to the customer."""
    steps = []
    done = offer["acknowledged_at"]
    if offer["batch_id"] and offer["leased_until"] and not offer["attempts"]:
        steps.append(TraceStep(offer["leased_until"] - timedelta(seconds=60), "offered", STEPS["offered"]))
    if offer["attempts"] and offer["problem"] and done is None:
        about: dict[str, str | int | Wording] = {"tries": offer["attempts"], "problem": offer["problem"]}
        if offer["leased_until"]:
            about["next_at"] = offer["leased_until"].astimezone(CHINA).isoformat(timespec="seconds")
        steps.append(TraceStep(time_of(offer["id"]), "push_failed", STEPS["push_failed"], 0, about))
    if offer["dead_at"]:
        about = {"tries": offer["attempts"], "problem": offer["problem"]}
        steps.append(TraceStep(offer["dead_at"], "push_dead", STEPS["push_dead"], 0, about))
    elif done and offer["done_by"] in ("webhook", "bind"):
        label = STEPS[f"pushed_{offer['done_by']}"]
        steps.append(TraceStep(done, "pushed", label, 0, {"tries": offer["attempts"] + 1}))
    elif done:
        steps.append(TraceStep(done, "acknowledged", STEPS["acknowledged"]))
    return steps


def _part(row: Row) -> PartView:
    state = PartState(row["state"])
    return PartView(
        part=row["part"],
        state=state.name,
        status=states.status_of(state, row["by_us"]),
        channel_id=row["channel_id"],
        channel_name=row["channel_name"],
        attempt=row["attempt"],
        carrier_id=row["carrier_id"],
        code=row["code"],
        cls=row["class"],
        claimed_at=row["claimed_at"],
        answered_at=row["answered_at"],
        final_at=row["final_at"],
        next_at=row["next_at"],
        evidence=(row["digest"] or b"").hex(),
        proved_by=row["proved_by"] or "",
    )


def _part_steps(part: PartView, view: MessageView) -> list[TraceStep]:
    steps = []
    channel: dict[str, str | int | Wording] = {"channel": part.channel_name or ""}
    if part.claimed_at:
        steps.append(
            TraceStep(part.claimed_at, "claimed", STEPS["claimed"], part.part, channel | {"attempt": part.attempt})
        )
    ours = part.status == "rejected"
    if part.answered_at and not ours:
        if part.state != "REJECTED":
            detail = channel | {"carrier_id": part.carrier_id or ""}
            steps.append(TraceStep(part.answered_at, "submitted", STEPS["submitted"], part.part, detail))
        else:
            detail = channel | {"code": part.code}
            steps.append(TraceStep(part.answered_at, "refused", STEPS["refused_by_carrier"], part.part, detail))
    if part.final_at and ours:
        # Refused at the call: its time is taken a moment before the id that the message's time stands in.
        at = max(part.final_at, view.accepted_at)
        about: dict[str, str | int | Wording] = {"code": part.code, "reason": view.refused}
        steps.append(TraceStep(at, "rejected", STEPS["rejected"], part.part, about))
    elif part.final_at and part.status in ("delivered", "failed") and part.carrier_id:
        said = phrase("step.report", status=states.STATUS_NAMES[part.status])
        reason = REPORT_CLASSES.get(part.cls, part.cls)
        detail = {"code": part.code}
        if reason:
            detail["class"] = reason
        steps.append(TraceStep(part.final_at, "report", said, part.part, detail))
    elif part.final_at and part.status not in ("delivered", "failed"):
        steps.append(
            TraceStep(part.final_at, "final", states.STATUS_NAMES[part.status], part.part, {"code": part.code})
        )
    return steps


_UNKNOWN = by_name("""
SELECT p.id, p.part, p.account_id, a.name AS account_name, c.name AS channel_name, m.number, p.state, p.claimed_at,
       p.next_at, p.code, COALESCE(p.unknown_policy, c.unknown_policy) AS policy
FROM part p JOIN message m ON m.id = p.id JOIN account a ON a.id = p.account_id
LEFT JOIN channel c ON c.id = p.channel_id
WHERE p.state = :UNKNOWN AND p.id > $1 ORDER BY p.id LIMIT $2
""")


async def unknown(database: Database, *, after_id: int = 0, limit: int = 500) -> list[Row]:
    """Parts whose outcome is unknown, oldest first."""
    return await database.fetch(_UNKNOWN, after_id, limit)


async def answer_of(database: Database, account_id: int, key: str) -> bytes | None:
    """What a send call was answered, by its idempotency key."""
    return await request_keys.answer_of(database, account_id, key)
