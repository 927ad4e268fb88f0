"""Numbers that the phones see: access codes of channels, extensions of accounts and signatures, and former ones.

A move takes effect for everything that is written from then on. The number before stays known for 30 days, so that
replies to it still find their account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from smsgw.core.errors import Invalid
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Connection, Database
from smsgw.store.records import audit


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


MATCHED_DAYS = 30
"""For which replies to a former access code are matched."""

_KEEP = """
INSERT INTO old_code (channel_id, account_id, sign, code, until)
VALUES ($1, NULL, '', $2, now() + make_interval(days => $3))
"""


async def move_channel(database: Database, channel: str, to: str, *, actor: str) -> str:
    """Give a channel another access code, for all accounts that send through it; the former one."""
    if not re.fullmatch(r"[0-9]{1,20}", to):
        raise Invalid("PARAM_INVALID", field="access_code", reason="应为不超过 20 位的数字")
    async with database.transaction() as connection:
        row = await connection.fetchrow(
            "SELECT * FROM channel WHERE name = $1 AND removed_at IS NULL AND id > 0 FOR UPDATE", channel
        )
        if row is None:
            raise Invalid("NOT_FOUND")
        before: str = row["access_code"]
        if before and before != to:
            await connection.execute(_KEEP, row["id"], before, MATCHED_DAYS)
        await connection.execute(
            "UPDATE channel SET access_code = $2, version = nextval('config_version') WHERE id = $1",
            row["id"],
            to,
        )
        await _record(connection, f"channel/{channel}", before, to, actor)
    return before


async def _record(connection: Connection, object_: str, before: str, after: str, actor: str) -> None:
    await audit.append(
        connection, actor=actor, action="access_code.move", object=object_, before={"code": before},
        after={"code": after},
    )  # fmt: skip
    await connection.execute(BUMP)


_SWEEP = "DELETE FROM old_code WHERE until < now()"


async def sweep(connection: Connection) -> None:
    """Forget former numbers whose time is over."""
    await connection.execute(_SWEEP)
