"""Preferences and saved views: everybody changes their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.preferences import queries
from smsgw.platform.preferences.queries import owner

MOST_NAMES = 300
"""Preferences of one person."""
MOST_OCTETS = 4096
MOST_VIEWS = 20
"""Saved views of one person and page."""
MOST_NAME = 40
MOST_QUERY = 2000

_SET = """
INSERT INTO staff_preference (staff_id, name, value) VALUES ($1, $2, $3::jsonb)
ON CONFLICT (staff_id, name) DO UPDATE SET value = EXCLUDED.value
"""
_HOW_MANY = "SELECT count(*) FROM staff_preference WHERE staff_id = $1 AND name <> $2"


async def set_value(change: Change, name: str, value: Mapping[str, Any]) -> None:
    """Choose something under a name. ``PARAM_INVALID``; ``STATE_CONFLICT``: there are too many."""
    text = json.dumps(value, ensure_ascii=False)
    if not 1 <= len(name) <= 64 or len(text.encode()) > MOST_OCTETS:
        raise Invalid("PARAM_INVALID", field="preference", reason=f"{MOST_OCTETS}")
    async with change.unit(Permission.SELF_EDIT) as unit:
        before = await queries.value(unit.connection, change.actor, name)
        if before == dict(value):
            unit.unchanged()
            return
        if await unit.connection.fetchval(_HOW_MANY, owner(change.actor), name) >= MOST_NAMES:
            raise Refused("STATE_CONFLICT", reason=f"> {MOST_NAMES}")
        await unit.connection.execute(_SET, owner(change.actor), name, text)
        unit.record("preference.set", f"preference/{name}", before=before, after=value)


_LOCK = "SELECT id FROM staff WHERE id = $1 FOR UPDATE"
_SAVE = """
INSERT INTO staff_view (staff_id, page, name, query) VALUES ($1, $2, $3, $4)
ON CONFLICT (staff_id, page, name) DO UPDATE SET query = EXCLUDED.query RETURNING id
"""


async def save_view(change: Change, page: str, name: str, query: str) -> int:
    """Keep a filter of a page under a name, or put it in place of the one that has it; its id.
    ``PARAM_INVALID``; ``STATE_CONFLICT``: there are too many."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= MOST_NAME or not name.isprintable():
        raise Invalid("PARAM_INVALID", field="name", reason=f"1-{MOST_NAME}")
    if len(query) > MOST_QUERY:
        raise Invalid("PARAM_INVALID", field="query", reason=f"<= {MOST_QUERY}")
    async with change.unit(Permission.SELF_EDIT) as unit:
        await unit.connection.execute(_LOCK, owner(change.actor))
        there = {view.name: view for view in await queries.views(unit.connection, change.actor, page)}
        if name not in there and len(there) >= MOST_VIEWS:
            raise Refused("STATE_CONFLICT", reason=f"> {MOST_VIEWS}")
        id_: int = await unit.connection.fetchval(_SAVE, owner(change.actor), page, name, query)
        before = {"query": there[name].query} if name in there else None
        unit.record("view.save", f"view/{page}/{name}", before=before, after={"query": query})
    return id_


_REMOVE = "DELETE FROM staff_view WHERE staff_id = $1 AND id = $2 RETURNING page, name, query"


async def remove_view(change: Change, view_id: int) -> None:
    """Drop one of one's own views. ``NOT_FOUND``."""
    async with change.unit(Permission.SELF_EDIT) as unit:
        row = await unit.connection.fetchrow(_REMOVE, owner(change.actor), view_id)
        if row is None:
            raise Refused("NOT_FOUND")
        unit.record("view.remove", f"view/{row['page']}/{row['name']}", before={"query": row["query"]})
