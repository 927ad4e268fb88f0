"""Extensions of accounts and their signatures: who has one, who had it, and how it changes hands.

One rule for all who give one: the digits before stay their account's for ``MATCHED_DAYS``, and nobody gets digits that
another has, had within that time, or has sent from so lately that a message still waits or is answered.
"""

from __future__ import annotations

from datetime import timedelta

from smsgw.core.actor import Scope
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import first_id
from smsgw.core.model import LONGEST_VALIDITY
from smsgw.core.words import Wording, phrase
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Row

MATCHED_DAYS = 30
ANSWERED_WITHIN = timedelta(hours=72)
"""A reply later than this is tied to no message (``store.messages.inbound``)."""
PATIENCE = 300.0
"""Seconds to look through the messages of those days, of which there may be a hundred million."""

_TAKE_TURNS = "SELECT pg_advisory_xact_lock(1702390884)"  # "exten"
_LOOK_ALONE = "SELECT pg_try_advisory_xact_lock(1702390885)"
_TAKEN = """
SELECT a.id, a.name FROM account a WHERE a.extend_code = $1 AND a.id <> $2
UNION SELECT a.id, a.name FROM sign_code s JOIN account a ON a.id = s.account_id
WHERE s.extend_code = $1 AND (s.account_id, s.sign) IS DISTINCT FROM ($2, $3)
UNION SELECT a.id, a.name FROM old_code o JOIN account a ON a.id = o.account_id
WHERE o.code = $1 AND o.account_id <> $2 AND o.until > now()
LIMIT 1
"""
# A reply to these would be another's: the longest extension wins.
_LENT = """
SELECT a.id, a.name FROM (
    SELECT t.account_id, t.sign, t.extend_code FROM task t
    WHERE t.state NOT IN ('finished', 'cancelled', 'failed') AND t.extend_code <> ''
    UNION ALL SELECT c.account_id, c.sign, c.extend_code FROM scenario c WHERE c.extend_code <> ''
) lent JOIN account a ON a.id = lent.account_id
LEFT JOIN sign_code s ON s.account_id = lent.account_id AND s.sign = lent.sign
WHERE a.id <> $2 AND length($1) > length(COALESCE(s.extend_code, a.extend_code))
    AND starts_with(COALESCE(s.extend_code, a.extend_code) || lent.extend_code, $1)
LIMIT 1
"""
# Only who has, or had, what the digits begin with can have sent from below them.
_IN_USE = """
SELECT a.id, a.name FROM (
    SELECT id AS account_id FROM account WHERE starts_with($1, extend_code)
    UNION SELECT account_id FROM sign_code WHERE starts_with($1, extend_code)
    UNION SELECT account_id FROM old_code WHERE account_id IS NOT NULL AND starts_with($1, code)
) above JOIN account a ON a.id = above.account_id
WHERE a.id <> $2 AND EXISTS (
    SELECT FROM message m
    WHERE m.account_id = a.id AND m.id >= $3 AND NOT m.test AND starts_with(m.extend_code, $1)
) LIMIT 1
"""
_HAS_SENT = "SELECT EXISTS (SELECT FROM message WHERE account_id = $1 AND id >= $2)"
_KEEP = """
INSERT INTO old_code (channel_id, account_id, sign, code, until)
VALUES (NULL, $1, $2, $3, now() + make_interval(days => $4))
"""
MOST_SIGNS = 500
"""Extensions of an account's signatures."""
_SIGNS = "SELECT count(*) FROM sign_code WHERE account_id = $1 AND sign <> $2"
_PUT_SIGN = """
INSERT INTO sign_code (account_id, sign, extend_code) VALUES ($1, $2, $3)
ON CONFLICT (account_id, sign) DO UPDATE SET extend_code = excluded.extend_code
"""


async def give(
    connection: Connection, scope: Scope, account_id: int, sign: str, to: str, *, seen: str | None = None
) -> str:
    """Give an account (or with ``sign``: that signature of it) other digits (empty: none); those before.

    ``STATE_CONFLICT``: they are another account's, which is named where it is in the ``scope``; or the present ones are
    not those that were ``seen``.
    """
    await connection.execute(_TAKE_TURNS)
    before: str = await connection.fetchval("SELECT extend_code FROM account WHERE id = $1", account_id)
    if sign:
        own = await connection.fetchval(
            "SELECT extend_code FROM sign_code WHERE account_id = $1 AND sign = $2", account_id, sign
        )
        before = own or before
    if seen is not None and seen != before:
        raise Refused("STATE_CONFLICT", reason=phrase("extension.changed", before=before))
    if to == before and not sign:
        return before
    if to:
        await check_free(connection, scope, account_id, sign, to)
        await check_unused(connection, scope, account_id, to, PATIENCE)
    if sign:
        if await connection.fetchval(_SIGNS, account_id, sign) >= MOST_SIGNS:
            raise Invalid("STATE_CONFLICT", reason=phrase("extension.most", most=MOST_SIGNS))
        await connection.execute(_PUT_SIGN, account_id, sign, to)
    else:
        await connection.execute("UPDATE account SET extend_code = $2 WHERE id = $1", account_id, to)
    if before or await connection.fetchval(_HAS_SENT, account_id, _lately()):
        await connection.execute(_KEEP, account_id, sign, before, MATCHED_DAYS)
    return before


def _lately() -> int:
    """Messages since this id may wait, or be answered."""
    return first_id(clock.now() - LONGEST_VALIDITY - ANSWERED_WITHIN)


def _named(scope: Scope, row: Row) -> str | Wording:
    """An account, for who may know of it."""
    return str(row["name"]) if scope.covers(row["id"]) else phrase("extension.outside")


async def check_free(connection: Connection, scope: Scope, account_id: int, sign: str, to: str) -> None:
    """``STATE_CONFLICT``: the digits are another's, or were lately, or replies to its tasks or scenarios would come
    there."""
    row = await connection.fetchrow(_TAKEN, to, account_id, sign)
    if row is not None:
        reason = phrase("extension.taken", to=to, account=_named(scope, row), days=MATCHED_DAYS)
        raise Invalid("STATE_CONFLICT", reason=reason)
    row = await connection.fetchrow(_LENT, to, account_id)
    if row is not None:
        raise Invalid("STATE_CONFLICT", reason=phrase("extension.lent", to=to, account=_named(scope, row)))


async def check_unused(connection: Connection, scope: Scope, account_id: int, to: str, patience: float) -> None:
    """``STATE_CONFLICT``: another account has lately sent from these digits."""
    row = await connection.fetchrow(_IN_USE, to, account_id, _lately(), timeout=patience)
    if row is not None:
        raise Invalid("STATE_CONFLICT", reason=phrase("extension.in_use", to=to, account=_named(scope, row)))


async def alone(connection: Connection) -> bool:
    """Whether nobody else looks through messages ahead of a change; until the transaction ends, nobody does."""
    return bool(await connection.fetchval(_LOOK_ALONE))
