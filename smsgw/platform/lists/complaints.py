"""The register of complaints: what was said about which message, until when it has to be answered, each step of
dealing with it, and the reply.

What belongs to a complaint is found when it is looked at: the number's messages, its rows in the ledger of consents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from smsgw.core.actor import ActorLabel
from smsgw.core.blocklist import COMPLAINT, Scope
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import first_id
from smsgw.core.model import MessageType
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.core.printable import lines_printable
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.lists import service as lists
from smsgw.platform.org.queries import named
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.runtime import clock
from smsgw.store.config import settings
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.records import pseudonyms

MOST_TEXT = 1000
"""Characters of what was complained about, and of a step."""
MOST_REFERENCE = 64
DUE_DAYS, MOST_DUE_DAYS = 3, 30
MOST_STEPS = 100
"""Of one complaint."""


class State(StrEnum):
    """How far a complaint is."""

    OPEN = "open"
    CHECKING = "checking"
    ANSWERED = "answered"
    CLOSED = "closed"


STEPS: dict[State, tuple[State, ...]] = {
    State.OPEN: (State.OPEN, State.CHECKING, State.ANSWERED, State.CLOSED),
    State.CHECKING: (State.CHECKING, State.ANSWERED, State.CLOSED),
    State.ANSWERED: (State.ANSWERED, State.CHECKING, State.CLOSED),
}
"""What may follow; the same again is a note. Closed ones are over."""


class Origin(StrEnum):
    """Who has brought it to us."""

    USER = "user"
    CARRIER = "carrier"
    AUTHORITY = "authority"
    """Such as 12321."""


class Due(StrEnum):
    """What is looked for by the time that is left."""

    OVER = "over"
    DAY = "day"
    """Over within a day."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A complaint; ``number`` in E.164 digits, ``account`` and ``channel`` names, None when they are gone or were never
    known."""

    id: int
    number: str
    message_id: int | None
    account_id: int | None
    channel_id: int | None
    sign: str
    note: str
    actor: ActorLabel
    at: datetime
    account: str | None
    channel: str | None
    state: str
    origin: str
    reference: str
    due_at: datetime
    reply: str
    changed_by: ActorLabel
    changed_at: datetime | None
    entered_name: str
    """What people call whoever has entered it; the label of who is no person."""
    changed_name: str

    def late(self, now: datetime) -> bool:
        """Whether nobody has answered in time."""
        return self.state in (State.OPEN, State.CHECKING) and self.due_at < now


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done about it; ``state`` is where it stood then."""

    at: datetime
    state: str
    said: str
    actor: ActorLabel
    name: str
    """What people call whoever did it."""


@dataclass(frozen=True, slots=True)
class WantedComplaints:
    """Which are looked for; empty and None: all."""

    number: str = ""
    state: str = ""
    origin: str = ""
    due: str = ""
    account_id: int | None = None
    sign: str = ""
    reference: str = ""
    since: datetime | None = None
    until: datetime | None = None
    message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """A complaint as it was entered."""

    id: int
    message_id: int | None
    channel_id: int | None
    sign: str


# --- looked at -------------------------------------------------------------------------------------------------------

_ORDERS = {"at": Order("k.id", "bigint"), "due_at": Order("k.due_at", "timestamptz")}
_FROM = """
FROM complaint k LEFT JOIN account a ON a.id = k.account_id LEFT JOIN channel c ON c.id = k.channel_id
WHERE ($1::bigint[] IS NULL OR k.account_id = ANY($1)) AND ($2::bigint IS NULL OR k.id = $2)
  AND ($3 = '' OR k.number = $3) AND ($4 = '' OR k.state = $4) AND ($5 = '' OR k.origin = $5)
  AND ($6::timestamptz IS NULL OR k.state IN ('open', 'checking') AND k.due_at < $6)
  AND ($7::bigint IS NULL OR k.account_id = $7) AND ($8 = '' OR k.sign = $8) AND ($9 = '' OR k.reference = $9)
  AND ($10::timestamptz IS NULL OR k.at >= $10) AND ($11::timestamptz IS NULL OR k.at < $11)
  AND ($12::bigint IS NULL OR k.message_id = $12)
"""
_SEARCH = f"""
SELECT {{key}} AS _key, k.id, k.number, k.message_id, k.account_id, k.channel_id, k.sign, k.note, k.actor, k.at,
       a.name AS account, c.name AS channel, k.state, k.origin, k.reference, k.due_at, k.reply, k.changed_by,
       k.changed_at, {named("k.actor")} AS entered_name, {named("k.changed_by")} AS changed_name
{_FROM} AND {{where}} ORDER BY {{order}}
"""
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} LIMIT $13) f"  # noqa: S608


def _asked(accounts: Sequence[int] | None, wanted: WantedComplaints, id_: int | None = None) -> tuple[object, ...]:
    within = {Due.OVER: timedelta(0), Due.DAY: timedelta(days=1)}
    before = clock.now() + within[Due(wanted.due)] if wanted.due else None
    whose = None if accounts is None else list(accounts)
    return (
        whose, id_, wanted.number, wanted.state, wanted.origin, before, wanted.account_id, wanted.sign,
        wanted.reference, wanted.since, wanted.until, wanted.message_id,
    )  # fmt: skip


def _complaint(row: Row) -> Complaint:
    return Complaint(*list(row.values())[1:])


async def search(
    database: Database | Connection, wanted: WantedComplaints, window: Window, *, accounts: Sequence[int] | None,
    id_: int | None = None,
) -> Slice[Complaint]:  # fmt: skip
    """Complaints about these accounts' messages (None: all, and those about no message of ours)."""
    return await read(database, _SEARCH, _asked(accounts, wanted, id_), _ORDERS, window, _complaint, id_="k.id")


async def how_many(database: Database, wanted: WantedComplaints, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1)
    return count


async def one(database: Database | Connection, id_: int, *, accounts: Sequence[int] | None) -> Complaint | None:
    """One of them."""
    found = await search(database, WantedComplaints(), Window(limit=1), accounts=accounts, id_=id_)
    return found.rows[0] if found.rows else None


_STEPS = f"""
SELECT s.at, s.state, s.said, s.actor, {named("s.actor")} AS name FROM complaint_step s
WHERE s.complaint_id = $1 ORDER BY s.id LIMIT $2
"""  # noqa: S608 - constants


async def steps(database: Database, complaint: Complaint) -> list[Step]:
    """What was done about one that the actor may see, the oldest first."""
    return [Step(*row.values()) for row in await database.fetch(_STEPS, complaint.id, MOST_STEPS)]


# --- entered, dealt with ---------------------------------------------------------------------------------------------

_AHEAD = timedelta(minutes=1)
"""By which nodes that make ids may be ahead of us."""
# What the person complains about: the newest message that fits.
_ABOUT = """
SELECT m.id, m.account_id, m.sign, p.channel_id FROM message m LEFT JOIN part p ON p.id = m.id AND p.part = 1
WHERE m.number = ANY($1::text[]) AND m.id >= $2 AND ($3 = '' OR m.sign = $3) AND ($4::int IS NULL OR p.channel_id = $4)
  AND ($5::bigint[] IS NULL OR m.account_id = ANY($5)) AND ($6::bigint IS NULL OR m.id = $6) AND m.id < $7
ORDER BY m.id DESC LIMIT 1
"""
_ENTER = """
INSERT INTO complaint (number, message_id, account_id, channel_id, sign, note, actor, origin, reference, due_at, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id
"""


def _text(field: str, text: str, least: int, most: int) -> str:
    text = text.strip()
    if not least <= len(text) <= most or not lines_printable(text):
        raise Invalid("PARAM_INVALID", field=field, reason=phrase("text.between", low=least, high=most))
    return text


async def enter(
    change: Change, number: str, *, sign: str = "", channel: str = "", note: str = "", block_number: bool = False,
    origin: Origin = Origin.USER, reference: str = "", due_days: int = DUE_DAYS, message_id: int | None = None,
) -> Registered:  # fmt: skip
    """Enter a complaint; what is not given is taken from the number's newest message that the actor may see, or from
    the message that is named.

    ``block_number``: it gets no marketing any more, of any account. Raises ``NOT_FOUND`` for a channel or a message
    that does not exist.
    """
    note = _text("note", note, 0, MOST_TEXT)
    reference = _text("reference", " ".join(reference.split()), 0, MOST_REFERENCE)
    if not 1 <= due_days <= MOST_DUE_DAYS:
        raise Invalid("PARAM_INVALID", field="due_days", reason=f"1-{MOST_DUE_DAYS}")
    days = (await settings.load(change.database)).complaint_days
    async with change.unit(Permission.COMPLAINT_EDIT) as unit:
        channel_id: int | None = None
        if channel:
            channel_id = await unit.connection.fetchval("SELECT id FROM channel WHERE name = $1", channel)
            if channel_id is None:
                raise Invalid("NOT_FOUND")
        seen, now = change.actor.scope.whole, clock.now()
        since = 0 if message_id is not None else first_id(now - timedelta(days=days))
        spelled = await pseudonyms.spellings(change.database, number, unit.connection)
        about = await unit.connection.fetchrow(
            _ABOUT, spelled, since, sign, channel_id, None if seen is None else list(seen), message_id,
            first_id(now + _AHEAD),
        )  # fmt: skip
        if about is None and message_id is not None:
            raise Invalid("NOT_FOUND")
        found_id = about["id"] if about else None
        account_id = about["account_id"] if about else None
        if about:
            channel_id, sign = channel_id or about["channel_id"], sign or about["sign"]
        due_at = now + timedelta(days=due_days)
        id_: int = await unit.connection.fetchval(
            _ENTER, number, found_id, account_id, channel_id, sign, note, change.actor.label, origin.value, reference,
            due_at, now,
        )  # fmt: skip
        after = {"message_id": str(found_id or ""), "sign": sign, "channel_id": channel_id, "origin": origin.value,
                 "reference": reference, "due_at": due_at.isoformat()}  # fmt: skip
        unit.record("complaint.add", f"complaint/{id_}", after=after)
        if block_number:
            reason = str(phrase("block.complaint", id=id_))
            await lists.block(change, [number], Scope(EVERYBODY, MessageType.MARKETING, ""), COMPLAINT, reason)
    return Registered(id_, found_id, channel_id, sign)


_STEP = "INSERT INTO complaint_step (complaint_id, state, said, actor, at) VALUES ($1, $2, $3, $4, $5)"
_MOVE = """
UPDATE complaint SET state = $2, reply = CASE WHEN $3 = '' THEN reply ELSE $3 END, changed_by = $4, changed_at = $5
WHERE id = $1
"""
_HAS = "SELECT count(*) FROM complaint_step WHERE complaint_id = $1"


async def step(change: Change, id_: int, state: State, said: str) -> None:
    """Write down what was done about a complaint, and where it stands now; what is said to the complainer is its reply.
    ``STATE_CONFLICT`` for a step that cannot follow; ``NOT_FOUND``."""
    said = _text("said", said, 2, MOST_TEXT)
    async with change.unit(Permission.COMPLAINT_EDIT) as unit:
        await unit.connection.execute("SELECT FROM complaint WHERE id = $1 FOR UPDATE", id_)
        before = await one(unit.connection, id_, accounts=unit.actor.scope.whole)
        if before is None:
            raise Refused("NOT_FOUND")
        full = await unit.connection.fetchval(_HAS, id_) >= MOST_STEPS
        if full or state not in STEPS.get(State(before.state), ()):
            raise Refused("STATE_CONFLICT", reason=phrase("complaint.full" if full else "complaint.step"))
        now = clock.now()
        await unit.connection.execute(_STEP, id_, state.value, said, unit.actor.label, now)
        reply = said if state is State.ANSWERED else ""
        await unit.connection.execute(_MOVE, id_, state.value, reply, unit.actor.label, now)
        was = {"state": before.state, "number": mask(before.number)}
        unit.record("complaint.step", f"complaint/{id_}", before=was, after={"state": state.value, "reason": said})
