"""The retry table and the meanings of codes, as far as an operator has changed them."""

from __future__ import annotations

from typing import Any

import asyncpg

from smsgw.core.code_book import CodeBook, Entry, Source
from smsgw.core.errors import Invalid
from smsgw.core.model import REPORT_CLASSES, MessageType
from smsgw.core.numbers import CBN, CMCC, CTCC, CUCC
from smsgw.core.retry import DEFAULTS, NEVER_RETRIED, Fault, How, Rule, Table
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Connection, Database
from smsgw.store.records import audit

CARRIERS = (CMCC, CUCC, CTCC, CBN)

_RULES = "SELECT * FROM retry_rule"


async def changed_rules(source: Connection | Database) -> dict[tuple[Fault, MessageType], Rule]:
    """The cells that an operator has set."""
    return {
        (Fault(row["fault"]), MessageType(row["type"])): Rule(
            How(row["how"]), row["tries"], row["deadline_s"], row["first_s"], row["most_s"]
        )
        for row in await source.fetch(_RULES)
    }


async def load_rules(source: Connection | Database) -> Table:
    """The table in force."""
    return {**DEFAULTS, **await changed_rules(source)}


_SET_RULE = """
INSERT INTO retry_rule (fault, type, how, tries, deadline_s, first_s, most_s) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (fault, type) DO UPDATE SET how = excluded.how, tries = excluded.tries, deadline_s = excluded.deadline_s,
    first_s = excluded.first_s, most_s = excluded.most_s
"""


async def set_rule(database: Database, fault: Fault, kind: MessageType, rule: Rule, *, actor: str) -> None:
    """Change one cell. ``PARAM_INVALID`` for what may never be retried, or impossible values."""
    if fault in NEVER_RETRIED and rule.how is not How.NEVER:
        raise Invalid("PARAM_INVALID", field="fault", reason=f"{fault} 可能已送达或含义未知,不允许重发")
    try:
        async with database.transaction() as connection:
            await connection.execute(
                _SET_RULE, fault, kind, rule.how, rule.tries, rule.deadline, rule.first, rule.most
            )
            await audit.append(
                connection, actor=actor, action="retry.set", object=f"retry/{fault}/{kind}",
                after={"how": rule.how, "tries": rule.tries, "deadline_s": rule.deadline, "first_s": rule.first,
                       "most_s": rule.most},
            )  # fmt: skip
            await connection.execute(BUMP)
    except asyncpg.CheckViolationError as exc:
        raise Invalid("PARAM_INVALID", field="retry", reason=str(exc)) from exc


async def reset_rules(
    database: Database, fault: Fault | None, kind: MessageType | None, *, actor: str
) -> int:
    """Back to the built-in cells: one, all of a fault or of a type, or all. How many were set."""
    async with database.transaction() as connection:
        gone = await connection.execute(
            "DELETE FROM retry_rule WHERE ($1::text IS NULL OR fault = $1) AND ($2::text IS NULL OR type = $2)",
            fault, kind,
        )  # fmt: skip
        await audit.append(
            connection, actor=actor, action="retry.reset", object=f"retry/{fault or '*'}/{kind or '*'}"
        )
        await connection.execute(BUMP)
    return int(gone.split()[1])


_CODES = """
SELECT k.channel_id, c.name AS channel, k.source, k.code, k.class, k.fault, k.carrier
FROM code_class k LEFT JOIN channel c ON c.id = k.channel_id ORDER BY c.name NULLS FIRST, k.source, k.code
"""


async def list_codes(source: Connection | Database) -> list[dict[str, Any]]:
    """The operator's lines, those for all channels first."""
    return [dict(row) for row in await source.fetch(_CODES)]


async def load_codes(source: Connection | Database) -> CodeBook:
    """The operator's lines, ready for use."""
    return CodeBook(
        Entry(row["channel_id"], Source(row["source"]), row["code"], row["class"], Fault(row["fault"]), row["carrier"])
        for row in await list_codes(source)
    )  # fmt: skip


_SET_CODE = """
INSERT INTO code_class (channel_id, source, code, class, fault, carrier) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (COALESCE(channel_id, 0), source, code)
DO UPDATE SET class = excluded.class, fault = excluded.fault, carrier = excluded.carrier
"""
_CHANNEL = "SELECT id FROM channel WHERE name = $1 AND removed_at IS NULL"


async def set_code(
    database: Database, channel: str | None, source: Source, code: str, cls: str, fault: Fault,
    *, carrier: str = "", actor: str,
) -> None:  # fmt: skip
    """Say what a code means, for one channel or for all. ``PARAM_INVALID``, ``NOT_FOUND``."""
    if cls not in REPORT_CLASSES or not cls:
        known = ", ".join(c for c in REPORT_CLASSES if c)
        raise Invalid("PARAM_INVALID", field="class", reason=f"可选 {known}")
    if carrier and (fault is not Fault.PORTED or carrier not in CARRIERS):
        raise Invalid("PARAM_INVALID", field="carrier", reason=f"仅用于 ported,可选 {', '.join(CARRIERS)}")
    if not 0 < len(code.strip()) <= 64:
        raise Invalid("PARAM_INVALID", field="code", reason="1–64 个字符")
    async with database.transaction() as connection:
        channel_id = None
        if channel is not None:
            channel_id = await connection.fetchval(_CHANNEL, channel)
            if channel_id is None:
                raise Invalid("NOT_FOUND")
        code = code.strip().upper()
        await connection.execute(_SET_CODE, channel_id, source, code, cls, fault, carrier)
        await audit.append(
            connection, actor=actor, action="code.set", object=f"code/{channel or '*'}/{source}/{code}",
            after={"class": cls, "fault": fault, "carrier": carrier},
        )  # fmt: skip
        await connection.execute(BUMP)


_REMOVE_CODE = """
DELETE FROM code_class WHERE COALESCE(channel_id, 0) = COALESCE((SELECT id FROM channel WHERE name = $1), 0)
AND source = $2 AND code = $3
"""


async def remove_code(
    database: Database, channel: str | None, source: Source, code: str, *, actor: str
) -> bool:
    """Back to the built-in meaning; whether there was a line."""
    code = code.strip().upper()
    async with database.transaction() as connection:
        gone = await connection.execute(_REMOVE_CODE, channel, source, code) == "DELETE 1"
        await audit.append(
            connection, actor=actor, action="code.remove", object=f"code/{channel or '*'}/{source}/{code}"
        )
        await connection.execute(BUMP)
    return gone
