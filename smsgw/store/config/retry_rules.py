"""The retry table and the meanings of codes, as far as an operator has changed them."""

from __future__ import annotations

from typing import Any

from smsgw.core.code_book import CodeBook, Entry, Source
from smsgw.core.model import MessageType
from smsgw.core.retry import DEFAULTS, Fault, RetryAction, Rule, Table
from smsgw.store.engine.database import Connection, Database

_RULES = "SELECT * FROM retry_rule"


async def changed_rules(source: Connection | Database) -> dict[tuple[Fault, MessageType], Rule]:
    """The cells that an operator has set."""
    return {
        (Fault(row["fault"]), MessageType(row["type"])): Rule(
            RetryAction(row["how"]), row["tries"], row["deadline_s"], row["first_s"], row["most_s"]
        )
        for row in await source.fetch(_RULES)
    }


async def load_rules(source: Connection | Database) -> Table:
    """The table in force."""
    return {**DEFAULTS, **await changed_rules(source)}


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
    )
