"""Screens on walls: let in by a code, for a time, and ended.

Who may make one is told a code of eight digits, once; whoever types it at the screen within minutes gets a token of its
own, which opens the board and nothing else.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.handles import Database
from smsgw.platform.walls import queries
from smsgw.platform.walls.queries import CODE_FOR, LONGEST, MOST, SCREENS, Shown
from smsgw.runtime import clock

MOST_NAME = 60
DIGITS = 8
SEEN_EVERY = timedelta(minutes=1)
KEPT_DAYS = 90
"""How long a screen that is over is remembered."""
# What was over long ago goes with the next that is made.
_SWEEP = "DELETE FROM wall_screen WHERE COALESCE(ended_at, until) < $1"
_ADD = """
INSERT INTO wall_screen (name, maker_id, made_by, made_at, until, code_sha256, code_until)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id
"""
_OPEN = """
UPDATE wall_screen SET code_sha256 = NULL, token_sha256 = $2, opened_at = $3, seen_at = $3, seen_ip = $4::text::inet
WHERE id = $1
"""
_SEEN = "UPDATE wall_screen SET seen_at = $2, seen_ip = $3::text::inet WHERE id = $1"
_END = "UPDATE wall_screen SET ended_at = $2, ended_by = $3, code_sha256 = NULL WHERE id = $1"


@dataclass(frozen=True, slots=True)
class NewScreen:
    """One that was just made; the code is kept nowhere."""

    id: int
    name: str
    code: str
    code_until: datetime
    until: datetime


async def add(change: Change, name: str, lasts: timedelta) -> NewScreen:
    """Make a code that lets a screen in, for so long. ``PARAM_INVALID``; ``STATE_CONFLICT`` beyond ``MOST``."""
    now, name = clock.now(), " ".join(name.split())
    if not 0 < len(name) <= MOST_NAME:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("text.at_most", limit=MOST_NAME))
    if not timedelta(0) < lasts <= LONGEST:
        raise Invalid("PARAM_INVALID", field="hours", reason=phrase("wall.longest", days=LONGEST.days))
    code = "".join(secrets.choice("0123456789") for _ in range(DIGITS))
    async with change.unit(Permission.WALL_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(_SWEEP, now - timedelta(days=KEPT_DAYS))
        if await queries.standing(unit.connection) >= MOST:
            raise Refused("STATE_CONFLICT", reason=phrase("wall.full", most=MOST))
        until, code_until = now + lasts, now + CODE_FOR
        id_: int = await unit.connection.fetchval(
            _ADD, name, unit.actor.id, unit.actor.label, now, until, queries.digest(code), code_until
        )
        unit.record("wall.add", f"wall/{id_}", after={"name": name, "until": until.isoformat()})
    return NewScreen(id_, name, code, code_until, until)


async def open_(change: Change, code: str, address: str | None) -> tuple[str, Shown] | None:
    """The token of a screen that shows its code; None: no code that is good now."""
    code = re.sub(r"[^0-9]", "", code[:64])
    if len(code) != DIGITS:
        return None
    now, token = clock.now(), secrets.token_urlsafe(32)
    async with change.unit(Permission.WALL_EDIT) as unit:
        row = await queries.of_code(unit.connection, code)
        if row is None:
            unit.unchanged()
            return None
        await unit.connection.execute(_OPEN, row["id"], queries.digest(token), now, address)
        unit.record("wall.open", f"wall/{row['id']}", after={"name": row["name"], "address": address or ""})
    return token, Shown(row["id"], row["name"], row["until"], now)


async def seen(database: Database, screen: Shown, address: str | None) -> None:
    """It has asked for the board; written down at most once a minute."""
    if (now := clock.now()) - screen.seen_at >= SEEN_EVERY:
        await database.execute(_SEEN, screen.id, now, address)


async def end(change: Change, id_: int) -> None:
    """It shows nothing any more, from its next look on. ``NOT_FOUND``; ``STATE_CONFLICT`` when it was over before."""
    async with change.unit(Permission.WALL_EDIT, EVERYBODY) as unit:
        found = await SCREENS.get(unit.connection, unit.actor, id_)
        if found is None:
            raise Refused("NOT_FOUND")
        if found.state == "over":
            raise Refused("STATE_CONFLICT", reason=phrase("wall.over"))
        await unit.connection.execute(_END, id_, clock.now(), unit.actor.label)
        unit.record("wall.end", f"wall/{id_}", before={"name": found.name, "until": found.until.isoformat()})
