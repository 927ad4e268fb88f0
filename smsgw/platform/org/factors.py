"""Second factors of people: authenticator apps (TOTP), recovery codes, passkeys, and codes sent to a phone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from smsgw.core import totp
from smsgw.core.actor import ActorKind
from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change, Unit
from smsgw.platform.org import service
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

RECOVERY_CODES = 10
MAX_PASSKEYS = 10
SMS_SECONDS = 300.0
"""How long a code that was sent is good."""
SMS_AGAIN = 60.0
"""Seconds until another one is sent."""
SMS_TRIES = 5
SMS_A_DAY = 20
"""Codes to one person in a day: who has the password must not spend the money of all."""
SMS_A_DAY_TO_ONE = 30
"""Codes to one number in a day, of all people together: who has several logins must not pester a stranger."""
OWN = Permission.SELF_EDIT
"""What setting up one's factors takes."""
_PURPOSE = "smsgw sms code v1"


@dataclass(frozen=True, slots=True)
class Factors:
    """What a person can prove themselves with beside the password."""

    totp: bool
    passkeys: int
    recovery_codes: int
    """That are left."""
    phone: bool
    """A number that was verified."""


_FACTORS = """
SELECT EXISTS (SELECT FROM staff_totp t WHERE t.staff_id = s.id AND t.confirmed_at IS NOT NULL) AS totp,
       (SELECT count(*) FROM staff_passkey k WHERE k.staff_id = s.id) AS passkeys,
       (SELECT count(*) FROM staff_recovery_code c WHERE c.staff_id = s.id AND c.used_at IS NULL
        AND (c.expires_at IS NULL OR c.expires_at > now())) AS recovery_codes,
       s.phone <> '' AND s.phone_verified_at IS NOT NULL AS phone
FROM staff s WHERE s.id = $1
"""


async def factors(database: Database, staff_id: int) -> Factors:
    """What the person has set up. Raises ``NOT_FOUND``."""
    row = await database.fetchrow(_FACTORS, staff_id)
    if row is None:
        raise Refused("NOT_FOUND")
    return Factors(**dict(row))


def _own(unit: Unit) -> int:
    """The id of the person who acts: factors are set up by nobody else."""
    if unit.actor.kind is not ActorKind.PERSON:
        raise Refused("PERMISSION_DENIED", permission=Permission.SELF_EDIT.value)
    return unit.actor.id


# --- authenticator app -------------------------------------------------------------------------------------------

_BEGIN_TOTP = """
INSERT INTO staff_totp AS t (staff_id, secret_sealed) VALUES ($1, $2)
ON CONFLICT (staff_id) DO UPDATE SET secret_sealed = excluded.secret_sealed, last_step = 0 WHERE t.confirmed_at IS NULL
RETURNING staff_id
"""
_TOTP = """
SELECT secret_sealed, last_step FROM staff_totp
WHERE staff_id = $1 AND (confirmed_at IS NOT NULL) = $2 FOR UPDATE
"""
_CONFIRM = "UPDATE staff_totp SET confirmed_at = now(), last_step = $2 WHERE staff_id = $1"
_STEP = "UPDATE staff_totp SET last_step = $2 WHERE staff_id = $1"


def _context(staff_id: int) -> str:
    return f"staff_totp/{staff_id}"


async def begin_totp(change: Change, sealer: Sealer) -> str:
    """A new secret for the person's authenticator app, in base 32; counts for nothing until it is confirmed.

    Raises ``STATE_CONFLICT`` when there is a confirmed one.
    """
    secret = base64.b32encode(secrets.token_bytes(20)).decode()
    async with change.unit(Permission.SELF_EDIT) as unit:
        staff_id = _own(unit)
        sealed = sealer.seal(secret, _context(staff_id))
        if await unit.connection.fetchval(_BEGIN_TOTP, staff_id, sealed) is None:
            raise Refused("STATE_CONFLICT", reason=phrase("factor.has_totp"))
        unit.record("factor.begin", f"staff/{unit.actor.name}", after={"factor": "totp"})
    return secret


async def confirm_totp(change: Change, sealer: Sealer, code: str) -> None:
    """The app shows the right code: from now on it is a factor. Raises ``CODE_WRONG``."""
    async with change.unit(Permission.SELF_EDIT) as unit:
        step = await _step(unit.connection, sealer, _own(unit), code, confirmed=False)
        if step is None:
            raise Invalid("CODE_WRONG")
        await unit.connection.execute(_CONFIRM, unit.actor.id, step)
        unit.record("factor.add", f"staff/{unit.actor.name}", after={"factor": "totp"})


async def remove_totp(change: Change) -> None:
    """Unbind one's own authenticator app. Raises ``NOT_FOUND``."""
    async with change.unit(Permission.SELF_EDIT) as unit:
        tag = await unit.connection.execute("DELETE FROM staff_totp WHERE staff_id = $1", _own(unit))
        if tag == "DELETE 0":
            raise Refused("NOT_FOUND")
        unit.record("factor.remove", f"staff/{unit.actor.name}", before={"factor": "totp"})


async def begun_totp(database: Database, sealer: Sealer, staff_id: int) -> str | None:
    """The secret that was begun and not confirmed, to be shown again after a wrong code; None: there is none."""
    row = await database.fetchrow(
        "SELECT secret_sealed FROM staff_totp WHERE staff_id = $1 AND confirmed_at IS NULL", staff_id
    )
    return None if row is None else sealer.open(row["secret_sealed"], _context(staff_id))


async def check_totp(database: Database, sealer: Sealer, staff_id: int, code: str) -> bool:
    """Whether it is the code that the person's app shows now; each is good once."""
    async with database.transaction() as connection:
        step = await _step(connection, sealer, staff_id, code, confirmed=True)
        if step is not None:
            await connection.execute(_STEP, staff_id, step)
    return step is not None


async def _step(
    connection: asyncpg.Connection, sealer: Sealer, staff_id: int, code: str, *, confirmed: bool
) -> int | None:
    row = await connection.fetchrow(_TOTP, staff_id, confirmed)
    if row is None:
        return None
    secret = base64.b32decode(sealer.open(row["secret_sealed"], _context(staff_id)))
    return totp.step_of(secret, code, clock.time(), after=row["last_step"])


# --- recovery codes ----------------------------------------------------------------------------------------------

_NEW_CODES = "INSERT INTO staff_recovery_code (staff_id, code_sha256) SELECT $1, unnest($2::bytea[])"
# Of an administrator's codes it is kept that they were made: so many a day.
_END_CODES = """
WITH ended AS (
    UPDATE staff_recovery_code SET used_at = COALESCE(used_at, now()) WHERE staff_id = $1 AND expires_at > now())
DELETE FROM staff_recovery_code WHERE staff_id = $1 AND (expires_at IS NULL OR expires_at <= now())
"""
_USE_CODE = """
UPDATE staff_recovery_code SET used_at = now() WHERE staff_id = $1 AND code_sha256 = $2 AND used_at IS NULL
AND (expires_at IS NULL OR expires_at > now())
"""


def _digest(code: str) -> bytes:
    """80 random bits: no slow hash is needed."""
    return hashlib.sha256(code.replace("-", "").strip().upper().encode()).digest()


async def make_recovery_codes(change: Change) -> list[str]:
    """New recovery codes, shown once; those from before are good no more."""
    codes = [base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(RECOVERY_CODES)]
    async with change.unit(Permission.SELF_EDIT) as unit:
        staff_id = _own(unit)
        await unit.connection.execute(_END_CODES, staff_id)
        await unit.connection.execute(_NEW_CODES, staff_id, [_digest(code) for code in codes])
        unit.record("factor.add", f"staff/{unit.actor.name}", after={"factor": "recovery", "n": len(codes)})
    return ["-".join(code[n : n + 4] for n in range(0, 16, 4)) for code in codes]


async def use_recovery_code(database: Database, staff_id: int, code: str) -> bool:
    """Whether it is one of the person's codes; each is good once."""
    return await database.execute(_USE_CODE, staff_id, _digest(code)) == "UPDATE 1"


# --- passkeys ----------------------------------------------------------------------------------------------------

_ADD_PASSKEY = """
INSERT INTO staff_passkey (credential_id, staff_id, public_key, sign_count, name, rp_id)
SELECT $1, $2, $3, $4, $5, $7 WHERE (SELECT count(*) FROM staff_passkey WHERE staff_id = $2) < $6
ON CONFLICT DO NOTHING RETURNING staff_id
"""
_REMOVE_PASSKEY = "DELETE FROM staff_passkey WHERE staff_id = $1 AND credential_id = $2 RETURNING name"


async def add_passkey(
    change: Change, credential_id: bytes, public_key: bytes, sign_count: int, name: str, *, rp_id: str = ""
) -> None:
    """Keep a passkey whose registration was verified, for the host ``rp_id``.
    Raises ``PARAM_INVALID``, ``STATE_CONFLICT``."""
    name = name.strip()
    if not 0 < len(name) <= 64:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("text.between", low=1, high=64))
    async with change.unit(Permission.SELF_EDIT) as unit:
        added = await unit.connection.fetchval(
            _ADD_PASSKEY, credential_id, _own(unit), public_key, sign_count, name, MAX_PASSKEYS, rp_id
        )
        if added is None:
            raise Refused("STATE_CONFLICT", reason=phrase("factor.passkey_full", most=MAX_PASSKEYS))
        unit.record("factor.add", f"staff/{unit.actor.name}", after={"factor": "passkey", "name": name})


async def remove_passkey(change: Change, credential_id: bytes) -> None:
    """Forget one of one's own passkeys. Raises ``NOT_FOUND``."""
    async with change.unit(Permission.SELF_EDIT) as unit:
        name = await unit.connection.fetchval(_REMOVE_PASSKEY, _own(unit), credential_id)
        if name is None:
            raise Refused("NOT_FOUND")
        unit.record("factor.remove", f"staff/{unit.actor.name}", before={"factor": "passkey", "name": name})


# --- codes sent to a phone ---------------------------------------------------------------------------------------

_SMS_ROOM = """
SELECT sent_at, CASE WHEN day = current_date THEN sent_today ELSE 0 END AS today
FROM staff_sms_code WHERE staff_id = $1 FOR UPDATE
"""
_ONE_BY_ONE = "SELECT pg_advisory_xact_lock(hashtextextended('login code ' || $1, 0))"
_TO_NUMBER = """
SELECT max(sent_at) FILTER (WHERE sent_at > '-infinity') AS sent_at, COALESCE(sum(sent_today), 0) AS today
FROM staff_sms_code WHERE phone = $1 AND day = current_date AND staff_id <> $2
"""
_PUT_SMS = """
INSERT INTO staff_sms_code AS c (staff_id, phone, purpose, code_mac, day, sent_today)
VALUES ($1, $2, $3, $4, current_date, 1)
ON CONFLICT (staff_id) DO UPDATE SET phone = excluded.phone, purpose = excluded.purpose, code_mac = excluded.code_mac,
    sent_at = now(), tries = 0, day = current_date,
    sent_today = CASE WHEN c.day = current_date THEN c.sent_today ELSE 0 END + 1
"""
_USE_UP = "UPDATE staff_sms_code SET tries = $2, sent_at = '-infinity' WHERE staff_id = $1"
_TRY_SMS = """
UPDATE staff_sms_code SET tries = tries + 1
WHERE staff_id = $1 AND purpose = $2 AND tries < $3 AND sent_at > now() - make_interval(secs => $4)
  AND phone = (SELECT phone FROM staff WHERE id = $1)
RETURNING code_mac, phone
"""
_PHONE = "SELECT phone, phone_verified_at FROM staff WHERE id = $1 AND status = 'active' FOR UPDATE"
_VERIFIED = "UPDATE staff SET phone_verified_at = now() WHERE id = $1 AND phone = $2"


def _mac(sealer: Sealer, staff_id: int, purpose: str, code: str) -> bytes:
    """Six digits are soon tried out: what is stored tells nothing without the key file."""
    _, key = sealer.derive(_PURPOSE)
    return hmac.digest(key, f"{staff_id}\n{purpose}\n{code}".encode(), "sha256")


async def new_sms_code(database: Database, sealer: Sealer, staff_id: int, purpose: str) -> tuple[str, str]:
    """A code to be sent to the person's phone now: (number, code). ``purpose``: ``login``, or ``phone`` to verify it.

    Raises ``STATE_CONFLICT`` when there is no number, or none that was verified to log in with; ``RATE_LIMITED``.
    """
    code = f"{secrets.randbelow(10**6):06d}"
    async with database.transaction() as connection:
        person = await connection.fetchrow(_PHONE, staff_id)  # whose row is locked: two at a time take turns
        if person is None or not person["phone"] or (purpose == "login" and person["phone_verified_at"] is None):
            raise Refused("STATE_CONFLICT", reason=phrase("factor.no_phone"))
        row = await connection.fetchrow(_SMS_ROOM, staff_id)
        if row is not None:
            now: datetime = await connection.fetchval("SELECT now()")
            _check_room(row["sent_at"], row["today"], now)
        await _check_number(connection, staff_id, person["phone"], 0 if row is None else row["today"])
        await connection.execute(_PUT_SMS, staff_id, person["phone"], purpose, _mac(sealer, staff_id, purpose, code))
    return person["phone"], code


async def _check_number(connection: asyncpg.Connection, staff_id: int, phone: str, today: int) -> None:
    """Whether the number takes one more, whoever asked for those before."""
    await connection.execute(_ONE_BY_ONE, phone)
    row = await connection.fetchrow(_TO_NUMBER, phone, staff_id)
    if row is not None and row["sent_at"] is not None:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        _check_room(row["sent_at"], row["today"] + today, now, SMS_A_DAY_TO_ONE)


def _check_room(sent_at: datetime, today: int, now: datetime, most: int = SMS_A_DAY) -> None:
    left = SMS_AGAIN - (now - sent_at).total_seconds() if sent_at.year > 1 else 0.0
    if today >= most:
        left = 86_400.0
    if left > 0:
        raise Temporary("RATE_LIMITED", retry_after=left, n=max(1, round(left)))


async def unsent(database: Database, staff_id: int) -> None:
    """The code could not be sent: it is good for nothing, and another one need not wait."""
    await database.execute(_USE_UP, staff_id, SMS_TRIES)


async def check_sms_code(database: Database, sealer: Sealer, staff_id: int, purpose: str, code: str) -> bool:
    """Whether it is the code that was sent; ``SMS_TRIES`` tries, good once."""
    return await _sent(database, sealer, staff_id, purpose, code) is not None


async def _sent(database: Database, sealer: Sealer, staff_id: int, purpose: str, code: str) -> Mapping[str, str] | None:
    async with database.transaction() as connection:  # a wrong try is counted, so nothing is raised in here
        row = await connection.fetchrow(_TRY_SMS, staff_id, purpose, SMS_TRIES, SMS_SECONDS)
        if row is None or not hmac.compare_digest(row["code_mac"], _mac(sealer, staff_id, purpose, code)):
            return None
        await connection.execute(_USE_UP, staff_id, SMS_TRIES)
        return {"phone": row["phone"]}


async def verify_phone(change: Change, sealer: Sealer, code: str) -> None:
    """The code that was sent to one's own phone is right: login codes may go there. Raises ``CODE_WRONG``."""
    actor = change.actor
    actor.require(Permission.SELF_EDIT)
    sent = await _sent(change.database, sealer, actor.id, "phone", code)
    if sent is None:
        raise Invalid("CODE_WRONG")
    async with change.unit(Permission.SELF_EDIT) as unit:
        if await unit.connection.execute(_VERIFIED, _own(unit), sent["phone"]) != "UPDATE 1":
            raise Invalid("CODE_WRONG")  # the number was changed in between
        unit.record("factor.add", f"staff/{actor.name}", after={"factor": "phone"})


# --- taken away --------------------------------------------------------------------------------------------------

_CONTACT = "SELECT phone, phone_verified_at IS NOT NULL AS verified, email FROM staff WHERE id = $1"


async def contact(database: Database, staff_id: int) -> tuple[str, bool, str]:
    """The person's number (empty: none), whether it was verified, and the mail address."""
    row = await database.fetchrow(_CONTACT, staff_id)
    return ("", False, "") if row is None else (row["phone"], row["verified"], row["email"])


_WAIT = """
SELECT EXTRACT(epoch FROM sent_at + make_interval(secs => $2) - now())::float
FROM staff_sms_code WHERE staff_id = $1 AND sent_at > '-infinity'
"""


async def sms_wait(database: Database, staff_id: int) -> int:
    """Seconds until another code is sent."""
    left = await database.fetchval(_WAIT, staff_id, SMS_AGAIN)
    return 0 if left is None or left <= 0 else min(int(left) + 1, int(SMS_AGAIN))


_FORGET = ("staff_totp", "staff_passkey", "staff_sms_code")


async def reset_factors(change: Change, login: str) -> None:
    """Take all second factors from a person who has lost them, and end the sessions.
    Raises ``NOT_FOUND``, ``PERSON_ABOVE``, ``RIGHTS_OWN``."""
    async with change.unit(Permission.PERSON_RESET) as unit:
        person = await service.another(unit, Permission.PERSON_RESET, login)
        for table in _FORGET:
            await unit.connection.execute(f"DELETE FROM {table} WHERE staff_id = $1", person.id)  # noqa: S608
        await unit.connection.execute(_END_CODES, person.id)
        await unit.connection.execute("UPDATE staff SET phone_verified_at = NULL WHERE id = $1", person.id)
        ended = await service.end_sessions(unit, person.id)
        unit.record("factor.reset", f"staff/{login}", after={"sessions_ended": ended})
