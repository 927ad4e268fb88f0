"""Partners' logins, and who is bound where."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from smsgw.core.errors import Invalid
from smsgw.core.model import MessageType
from smsgw.core.partners import MAX_USERNAME, PROTOCOLS, Partner
from smsgw.core.text import Coding
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit

SETTABLE = (
    "max_binds", "window", "rate", "ip_allow", "type", "code", "any_source", "any_clock", "alphabet", "message_ids",
    "long_mo", "status",
)  # fmt: skip
"""Fields of ``Partner`` that can be changed, beside the password."""
_COLUMN = {"window": "send_window"}
MAX_PASSWORD = 64
MAX_WINDOW = 1000
BIND_TTL = 15
"""Seconds after which a bind that its node has not confirmed does not count."""


def _context(protocol: str, username: str) -> str:
    return f"partner/{protocol}/{username}"


def _partner(row: Row, sealer: Sealer) -> Partner:
    return Partner(
        id=row["id"],
        account_id=row["account_id"],
        protocol=row["protocol"],
        username=row["username"],
        password=sealer.open(row["password_sealed"], _context(row["protocol"], row["username"])),
        max_binds=row["max_binds"],
        window=row["send_window"],
        rate=row["rate"],
        ip_allow=tuple(ipaddress.ip_network(n, strict=False) for n in row["ip_allow"]),
        type=MessageType(row["type"]),
        code=row["code"],
        any_source=row["any_source"],
        any_clock=row["any_clock"],
        alphabet=Coding(row["alphabet"]),
        message_ids=row["message_ids"],
        long_mo=row["long_mo"],
        status=row["status"],
    )


async def load_partners(source: Connection | Database, sealer: Sealer) -> list[Partner]:
    """All of them, their passwords opened."""
    return [_partner(row, sealer) for row in await source.fetch("SELECT * FROM partner ORDER BY id")]


_ADD = "INSERT INTO partner (account_id, protocol, username, password_sealed) VALUES ($1, $2, $3, $4) RETURNING id"


# Where nobody has chosen a way for the account's events, they go where it is bound.
_WAY = "INSERT INTO event_setting (account_id, way) VALUES ($1, 'bind') ON CONFLICT DO NOTHING"


def _checked_password(protocol: str, password: str) -> str:
    if not 1 <= len(password) <= MAX_PASSWORD or not password.isascii() or not password.isprintable():
        raise Invalid("PARAM_INVALID", field="password", reason=f"须为 1 到 {MAX_PASSWORD} 个可见 ASCII 字符")
    return password


async def add_partner(
    database: Database,
    sealer: Sealer,
    account_id: int,
    protocol: str,
    username: str,
    password: str,
    fields: Mapping[str, Any],
    *,
    actor: str,
) -> int:
    """Make a login; its id. ``PARAM_INVALID`` for what cannot be, such as a name that the protocol has taken.

    An account whose events have no way yet gets them by its binds from now on.
    """
    if protocol not in PROTOCOLS:
        raise Invalid("PARAM_INVALID", field="protocol", reason=f"可选 {', '.join(PROTOCOLS)}")
    if not 1 <= len(username) <= MAX_USERNAME[protocol]:
        raise Invalid("PARAM_INVALID", field="user", reason=f"须为 1 到 {MAX_USERNAME[protocol]} 个字符")
    _checked_password(protocol, password)
    _check_fields(fields)
    try:
        async with database.transaction() as connection:
            sealed = sealer.seal(password, _context(protocol, username))
            partner_id: int = await connection.fetchval(_ADD, account_id, protocol, username, sealed)
            await _update(connection, partner_id, fields)
            await connection.execute(_WAY, account_id)
            await audit.append(
                connection, actor=actor, action="partner.add", object=f"partner/{protocol}/{username}",
                after={"account_id": account_id, **_shown(fields)},
            )  # fmt: skip
            await connection.execute(BUMP)
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="user", reason=f"{protocol} 用户名 {username} 已存在") from exc
    except asyncpg.CheckViolationError as exc:
        raise Invalid("PARAM_INVALID", field=_field(exc), reason="超出允许范围或格式不正确") from exc
    return partner_id


def _field(exc: asyncpg.CheckViolationError) -> str:
    name = str(exc.constraint_name).removeprefix("partner_").removesuffix("_check")
    return {"send_window": "window", "username": "user"}.get(name, name)


def _check_fields(fields: Mapping[str, Any]) -> None:
    for field in fields:
        if field not in SETTABLE:
            raise Invalid("PARAM_INVALID", field=field, reason=f"可修改的字段为 {', '.join(SETTABLE)}")


def _shown(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {k: [str(n) for n in v] if k == "ip_allow" else v for k, v in fields.items()}


async def _update(connection: Connection, partner_id: int, fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        column = _COLUMN.get(field, field)
        await connection.execute(f"UPDATE partner SET {column} = $2 WHERE id = $1", partner_id, value)  # noqa: S608


_ONE = "SELECT * FROM partner WHERE username = $1 AND ($2::text IS NULL OR protocol = $2) FOR UPDATE"


async def _find(connection: Connection, username: str, protocol: str | None) -> Row:
    rows = await connection.fetch(_ONE, username, protocol)
    if not rows:
        raise Invalid("NOT_FOUND")
    if len(rows) > 1:
        raise Invalid("PARAM_MISSING", field="protocol")
    return rows[0]


async def set_partner(
    database: Database,
    sealer: Sealer,
    username: str,
    protocol: str | None,
    fields: Mapping[str, Any],
    *,
    password: str | None = None,
    actor: str,
) -> None:
    """Change a login. Without ``protocol`` the name must be unique among both."""
    _check_fields(fields)
    try:
        async with database.transaction() as connection:
            row = await _find(connection, username, protocol)
            await _update(connection, row["id"], fields)
            if password is not None:
                sealed = sealer.seal(
                    _checked_password(row["protocol"], password), _context(row["protocol"], username)
                )
                await connection.execute(
                    "UPDATE partner SET password_sealed = $2 WHERE id = $1", row["id"], sealed
                )
            before = {k: row[_COLUMN.get(k, k)] for k in fields}
            after = _shown(fields) | ({"password": "changed"} if password is not None else {})
            await audit.append(
                connection, actor=actor, action="partner.set", object=f"partner/{row['protocol']}/{username}",
                before=_shown(before), after=after,
            )  # fmt: skip
            await connection.execute(BUMP)
    except asyncpg.CheckViolationError as exc:
        raise Invalid("PARAM_INVALID", field=_field(exc), reason="超出允许范围或格式不正确") from exc


async def remove_partner(database: Database, username: str, protocol: str | None, *, actor: str) -> None:
    """Take a login away; its binds end. What it has sent stays, and its reports can be pulled."""
    async with database.transaction() as connection:
        row = await _find(connection, username, protocol)
        await connection.execute("DELETE FROM partner WHERE id = $1", row["id"])
        await audit.append(
            connection, actor=actor, action="partner.remove", object=f"partner/{row['protocol']}/{username}",
            before={"account_id": row["account_id"]},
        )  # fmt: skip
        await connection.execute(BUMP)


# --- binds -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BindRow:
    """A bind of this node, as others see it."""

    number: int
    partner_id: int
    account_id: int
    mode: str
    ip: str
    bound_at: datetime


_GONE = "DELETE FROM partner_bind WHERE node = $1 AND number <> ALL($2::bigint[])"

_CONFIRM = """
INSERT INTO partner_bind (node, number, partner_id, account_id, mode, ip, bound_at, seen_at)
SELECT $1, b.*, clock_timestamp()
FROM unnest($2::bigint[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[]) AS b
ON CONFLICT (node, number) DO UPDATE SET seen_at = excluded.seen_at
RETURNING number, kick
"""

_ELSEWHERE = """
SELECT partner_id, count(*) AS n FROM partner_bind
WHERE node <> $1 AND seen_at > clock_timestamp() - $2 * interval '1 second' GROUP BY partner_id
"""


async def confirm_binds(
    database: Database, node: int, binds: Sequence[BindRow]
) -> tuple[list[int], dict[int, int]]:
    """Say which binds this node has. The numbers of those that shall end, and binds elsewhere by partner id."""
    async with database.transaction() as connection:
        await connection.execute(_GONE, node, [b.number for b in binds])
        rows = await connection.fetch(
            _CONFIRM,
            node,
            [b.number for b in binds],
            [b.partner_id for b in binds],
            [b.account_id for b in binds],
            [b.mode for b in binds],
            [b.ip for b in binds],
            [b.bound_at for b in binds],
        )
        elsewhere = await connection.fetch(_ELSEWHERE, node, BIND_TTL)
    return [row["number"] for row in rows if row["kick"]], {r["partner_id"]: r["n"] for r in elsewhere}


_LIST = """
SELECT a.name AS account, p.protocol, p.username AS user, p.status, p.max_binds, p.send_window AS window, p.rate,
       p.ip_allow, p.type, p.code, p.any_source, p.any_clock, p.alphabet, p.message_ids, p.long_mo,
       COALESCE((SELECT json_agg(json_build_object('node', b.node, 'mode', b.mode, 'ip', b.ip, 'bound_at', b.bound_at)
                                 ORDER BY b.bound_at)
                 FROM partner_bind b
                 WHERE b.partner_id = p.id AND b.seen_at > clock_timestamp() - $1 * interval '1 second'),
                '[]') AS binds
FROM partner p JOIN account a ON a.id = p.account_id ORDER BY a.name, p.protocol, p.username
"""


async def list_partners(database: Database) -> list[Row]:
    """Logins as operators see them, with the binds of all nodes."""
    return await database.fetch(_LIST, BIND_TTL)


_KICK = "UPDATE partner_bind SET kick = true WHERE partner_id = $1"


async def kick(database: Database, username: str, protocol: str | None, *, actor: str) -> int:
    """Ask the nodes to end the binds of a login; how many there are. They may bind again."""
    async with database.transaction() as connection:
        row = await _find(connection, username, protocol)
        tag = await connection.execute(_KICK, row["id"])
        await audit.append(
            connection, actor=actor, action="partner.kick", object=f"partner/{row['protocol']}/{username}"
        )
    return int(tag.rpartition(" ")[2])


# --- addresses -------------------------------------------------------------------------------------------------

ADDRESS_DAYS = 30
"""Days after the last login from it for which an address is a login's own."""
MAX_ADDRESSES = 20_000
"""That one look reads, the newest."""
ADDRESSES_OF_ONE = 1_000
"""Of a login, the newest."""

_NOTE = """
INSERT INTO partner_address (partner_id, network, noted_at)
SELECT p.id, a.network, clock_timestamp() FROM unnest($1::int[], $2::text[]) AS a(partner_id, network)
JOIN partner p ON p.id = a.partner_id
ORDER BY 1, 2
ON CONFLICT (partner_id, network) DO UPDATE SET noted_at = excluded.noted_at
"""
_FORGET = "DELETE FROM partner_address WHERE noted_at < now() - $1 * interval '1 day'"
_BEYOND = """
DELETE FROM partner_address a USING (
    SELECT partner_id, network, row_number() OVER (PARTITION BY partner_id ORDER BY noted_at DESC) AS n
    FROM partner_address WHERE partner_id = ANY($1::int[])
) old
WHERE old.n > $2 AND a.partner_id = old.partner_id AND a.network = old.network
"""
_NOTED = """
SELECT partner_id, network, noted_at FROM partner_address
WHERE noted_at > COALESCE($1, now() - $2 * interval '1 day') ORDER BY noted_at DESC LIMIT $3
"""


async def note_addresses(database: Database, used: Sequence[tuple[int, str]]) -> None:
    """Logins (partner id, network) have come from there."""
    async with database.transaction() as connection:
        await connection.execute(_NOTE, [u[0] for u in used], [u[1] for u in used])
        await connection.execute(_FORGET, ADDRESS_DAYS)
        await connection.execute(_BEYOND, sorted({u[0] for u in used}), ADDRESSES_OF_ONE)


async def noted_addresses(database: Database, since: datetime | None) -> list[Row]:
    """What was noted after that, on any node: partner_id, network, noted_at; oldest first."""
    rows = await database.fetch(_NOTED, since, ADDRESS_DAYS, MAX_ADDRESSES)
    return rows[::-1]


# --- CONNECTs --------------------------------------------------------------------------------------------------

CONNECT_HOURS = 48
"""Hours for which they are kept: as long as their time may be near ours (``partners/connects``)."""
MAX_CONNECTS = 20_000
"""That one look reads, the newest."""

_NOTE_CONNECT = """
INSERT INTO partner_connect (partner_id, stamp, noted_at)
SELECT p.id, c.stamp, clock_timestamp() FROM unnest($1::int[], $2::bigint[]) AS c(partner_id, stamp)
JOIN partner p ON p.id = c.partner_id
ORDER BY 1, 2
ON CONFLICT (partner_id, stamp) DO NOTHING
"""
_FORGET_CONNECTS = "DELETE FROM partner_connect WHERE noted_at < now() - $1 * interval '1 hour'"
_NOTED_CONNECTS = """
SELECT partner_id, stamp, noted_at FROM partner_connect
WHERE noted_at > COALESCE($1, now() - $2 * interval '1 hour') ORDER BY noted_at DESC LIMIT $3
"""


async def note_connects(database: Database, seen: Sequence[tuple[int, int]]) -> None:
    """CONNECTs (partner id, Timestamp) have let somebody in."""
    async with database.transaction() as connection:
        await connection.execute(_NOTE_CONNECT, [s[0] for s in seen], [s[1] for s in seen])
        await connection.execute(_FORGET_CONNECTS, CONNECT_HOURS)


async def noted_connects(database: Database, since: datetime | None) -> list[Row]:
    """What was noted after that, on any node: partner_id, stamp, noted_at; oldest first."""
    rows = await database.fetch(_NOTED_CONNECTS, since, CONNECT_HOURS, MAX_CONNECTS)
    return rows[::-1]
