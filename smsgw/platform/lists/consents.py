"""The ledger of consents (同意台账): who has agreed to get marketing of an account, with the proof, and who withdrew.

Where the policy ``consent`` is ``marketing``, marketing goes to nobody else. Each entry is a row of its own, which
stays: withdrawn by the owner, or replaced by a newer proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum

from smsgw.core import moments
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.runtime import clock
from smsgw.store.config import consents as store
from smsgw.store.engine.database import Connection, Database, Row

MOST = 1000
"""Numbers that are entered at a time."""
MOST_TEXT = 200


class Source(StrEnum):
    """How somebody has agreed."""

    PAPER = "paper"
    WEB = "web"
    APP = "app"
    SMS = "sms"
    CALL = "call"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Consent:
    """One row; ``number`` in E.164 digits."""

    id: int
    account_id: int
    account: str
    number: str
    source: str
    wording: str
    proof: str
    given_at: datetime
    entered_by: ActorLabel
    entered_at: datetime
    withdrawn_at: datetime | None
    withdrawn_by: ActorLabel
    withdrawal: str
    replaced: bool
    proof_file: int | None = None
    """Id of the file that proves it; None: there is none here."""

    @property
    def state(self) -> str:
        """``given``, ``withdrawn`` or ``replaced``."""
        if self.withdrawn_at is None:
            return "given"
        return "replaced" if self.replaced else "withdrawn"


@dataclass(frozen=True, slots=True)
class WantedConsents:
    """Which are looked for; empty and None: all."""

    number: str = ""
    state: str = ""
    source: str = ""
    account_id: int | None = None


_ORDERS = {"at": Order("c.id", "bigint")}
_FROM = """
FROM consent c JOIN account a ON a.id = c.account_id
WHERE ($1::bigint[] IS NULL OR c.account_id = ANY($1)) AND ($2::bigint IS NULL OR c.id = $2)
  AND ($3::bigint IS NULL OR c.number = $3) AND ($4 = '' OR $4 = CASE
    WHEN c.withdrawn_at IS NULL THEN 'given' WHEN c.replaced THEN 'replaced' ELSE 'withdrawn' END)
  AND ($5 = '' OR c.source = $5) AND ($6::bigint IS NULL OR c.account_id = $6)
"""
_SEARCH = f"""
SELECT {{key}} AS _key, c.id, c.account_id, a.name AS account, c.number::text, c.source, c.wording, c.proof, c.given_at,
       c.entered_by, c.entered_at, c.withdrawn_at, c.withdrawn_by, c.withdrawal,
       c.replaced, c.proof_file
{_FROM} AND {{where}} ORDER BY {{order}}
"""
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} LIMIT $7) f"  # noqa: S608


def _asked(accounts: Sequence[int] | None, wanted: WantedConsents, id_: int | None = None) -> tuple[object, ...]:
    number = int(wanted.number) if wanted.number else None
    whose = None if accounts is None else list(accounts)
    return whose, id_, number, wanted.state, wanted.source, wanted.account_id


def _consent(row: Row) -> Consent:
    return Consent(*list(row.values())[1:])


async def search(
    database: Database | Connection, wanted: WantedConsents, window: Window, *, accounts: Sequence[int] | None,
    id_: int | None = None,
) -> Slice[Consent]:  # fmt: skip
    """Rows of these accounts (None: all)."""
    asked = _asked(accounts, wanted, id_)
    return await read(database, _SEARCH, asked, _ORDERS, window, _consent, id_="c.id", timeout=30)


async def how_many(database: Database, wanted: WantedConsents, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1, timeout=30)
    return count


async def one(database: Database | Connection, id_: int, *, accounts: Sequence[int] | None) -> Consent | None:
    """One of them."""
    found = await search(database, WantedConsents(), Window(limit=1), accounts=accounts, id_=id_)
    return found.rows[0] if found.rows else None


@dataclass(frozen=True, slots=True)
class Given:
    """What is entered: how and when somebody has agreed to what, and where that can be looked at."""

    source: Source
    wording: str
    proof: str
    given_at: datetime


# Inside the writers' turn. Who has withdrawn after that day (or on it, when no time is said) has not agreed again.
_OPEN = """
SELECT n.number, EXISTS (
    SELECT FROM consent c WHERE c.account_id = $1 AND c.number = n.number AND c.withdrawn_at IS NULL
) AS held
FROM unnest($2::bigint[], $3::timestamptz[]) AS n(number, given_at)
WHERE NOT EXISTS (
    SELECT FROM consent w
    WHERE w.account_id = $1 AND w.number = n.number AND NOT w.replaced AND w.withdrawn_at >= n.given_at
)
"""
_REPLACE = """
UPDATE consent SET withdrawn_at = now(), withdrawn_by = $3, replaced = true
WHERE account_id = $1 AND number = ANY($2::bigint[]) AND withdrawn_at IS NULL
"""
_GIVE = """
INSERT INTO consent (account_id, number, source, wording, proof, given_at, entered_by)
SELECT $1, n.number, n.source, n.wording, n.proof, n.given_at, $7
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
     AS n(number, source, wording, proof, given_at)
"""


def _text(field: str, text: str, least: int) -> str:
    text = " ".join(text.split())
    if not least <= len(text) <= MOST_TEXT or not text.isprintable():
        raise Invalid("PARAM_INVALID", field=field, reason=phrase("text.between", low=least, high=MOST_TEXT))
    return text


def moment(text: str) -> datetime:
    """When somebody has agreed, as people write it: a day, from its beginning, or a minute. ``ValueError``."""
    day, _, rest = text.strip().replace("/", "-").replace("T", " ").partition(" ")
    year, month, of_month = (int(part) for part in day.split("-"))
    at = datetime.combine(date(year, month, of_month), time.fromisoformat(rest) if rest else time.min, CHINA)
    if not 2000 <= at.year <= 2100 or len(rest) not in (0, 5, 8):
        raise ValueError(text)
    return at


def checked(given: Given) -> Given:
    """In its form. ``PARAM_INVALID``."""
    proof, wording = _text("proof", given.proof, 2), _text("wording", given.wording, 0)
    if given.given_at > clock.now():
        raise Invalid("PARAM_INVALID", field="given_at", reason=phrase("consent.future"))
    if given.given_at <= moments.FIRST:  # what lies before it is not known
        raise Invalid("PARAM_INVALID", field="given_at", reason=phrase("consent.early"))
    return Given(given.source, wording, proof, given.given_at)


async def enter(
    connection: Connection, account_id: int, entries: Mapping[int, Given], label: ActorLabel
) -> dict[int, bool]:
    """Enter what is in its form, by number, in the writers' turn: of those that were entered, whether another consent
    was in force. Who has withdrawn after that day has not agreed again, and is left out."""
    await store.take_turns(connection)
    some = sorted(entries)
    rows = await connection.fetch(_OPEN, account_id, some, [entries[n].given_at for n in some])
    open_ = {row["number"]: row["held"] for row in rows}
    await connection.execute(_REPLACE, account_id, list(open_), label)
    given = [entries[n] for n in open_]
    await connection.execute(
        _GIVE, account_id, list(open_), [g.source.value for g in given], [g.wording for g in given],
        [g.proof for g in given], [g.given_at for g in given], label,
    )  # fmt: skip
    return open_


async def give(change: Change, account_id: int, numbers: Sequence[str], given: Given) -> int:
    """Enter consents of numbers (E.164 digits); of how many. One that was withdrawn later than this was given stays
    withdrawn; one in force is replaced, and stays in the ledger with its proof. ``PARAM_INVALID``, ``TO_TOO_MANY``."""
    if len(numbers) > MOST:
        raise Invalid("TO_TOO_MANY")
    given = checked(given)
    async with change.unit(Permission.BLOCK_EDIT, account_id, timeout=30) as unit:
        entered = len(await enter(unit.connection, account_id, {int(n): given for n in numbers}, unit.actor.label))
        after = {"account": account_id, "numbers": len(numbers), "entries": entered, "source": given.source.value,
                 "proof": given.proof}  # fmt: skip
        unit.record("consent.give", "consent", after=after)
    return entered


_WITHDRAW = """
UPDATE consent SET withdrawn_at = now(), withdrawn_by = $2, withdrawal = $3, version = nextval('consent_version')
WHERE id = $1
"""


async def withdraw(change: Change, id_: int, how: str) -> None:
    """Somebody agrees no more. ``NOT_FOUND``; ``STATE_CONFLICT``: it was withdrawn already."""
    how = _text("reason", how, 2)
    async with change.unit(Permission.BLOCK_EDIT) as unit:
        await store.take_turns(unit.connection)
        before = await one(unit.connection, id_, accounts=unit.actor.scope.whole)
        if before is None:
            raise Refused("NOT_FOUND")
        if before.withdrawn_at is not None:
            raise Refused("STATE_CONFLICT", reason=phrase("consent.withdrawn"))
        await unit.connection.execute(_WITHDRAW, id_, unit.actor.label, how)
        was = {"account": before.account_id, "number": mask(before.number), "proof": before.proof}
        unit.record("consent.withdraw", f"consent/{id_}", before=was, after={"reason": how})
