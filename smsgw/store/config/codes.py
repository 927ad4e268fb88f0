"""Numbers that the phones see, as the configuration in memory has them: extensions, and former access codes."""

from __future__ import annotations

from dataclasses import dataclass

from smsgw.store.engine.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Extension:
    """Digits behind an access code that lead to an account; ``sign`` empty: the account's own."""

    account_id: int
    sign: str
    code: str
    former: bool = False


@dataclass(frozen=True, slots=True)
class AccessCode:
    """A number of a channel, present or former."""

    channel_id: int
    code: str


_EXTENSIONS = """
SELECT account_id, sign, extend_code AS code, false AS former FROM sign_code
UNION ALL
SELECT account_id, sign, code, true FROM old_code WHERE account_id IS NOT NULL AND until > now()
"""
_FORMER_ACCESS = "SELECT channel_id, code FROM old_code WHERE channel_id IS NOT NULL AND until > now()"


async def load(source: Connection | Database) -> tuple[list[Extension], list[AccessCode]]:
    """Extensions of signatures and former ones of accounts; former access codes."""
    extensions = [Extension(*row.values()) for row in await source.fetch(_EXTENSIONS)]
    return extensions, [AccessCode(*row.values()) for row in await source.fetch(_FORMER_ACCESS)]


_OVER = "SELECT EXISTS (SELECT FROM old_code WHERE until < now())"
_SWEEP = "DELETE FROM old_code WHERE until < now()"


async def sweep(connection: Connection) -> None:
    """Forget former numbers whose time is over."""
    if await connection.fetchval(_OVER):  # a statement that finds none would have all nodes read them again, too
        await connection.execute(_SWEEP)
