"""Changes of settings; every node follows within seconds."""

from __future__ import annotations

import json
from typing import Any

from smsgw.core import settings
from smsgw.core.errors import Invalid
from smsgw.core.permissions import Permission
from smsgw.core.words import reason_of
from smsgw.platform.change import Change
from smsgw.platform.settings import queries

_PUT = """
INSERT INTO setting (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = now()
"""


_WISHED = """
SELECT made_by FROM setting_wish
WHERE name = $1 AND value = $2::jsonb AND made_at > now() - $3 * interval '1 hour' FOR UPDATE
"""
_WISH = """
INSERT INTO setting_wish (name, value, made_by) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, made_by = excluded.made_by, made_at = now()
"""
_FORGET = "DELETE FROM setting_wish WHERE name = $1"


async def put(change: Change, name: str, value: Any) -> bool:
    """Change a setting; whether it holds now. What takes two persons waits until another one asks for the same, within
    a day. ``PARAM_INVALID`` says what is wanted."""
    try:
        checked = settings.parse(name, value)
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field=name, reason=reason_of(exc)) from exc
    before = await queries.current(change.database)
    async with change.unit(Permission.SETTING_EDIT) as unit:
        asked_by = ""
        if settings.TWO_PERSONS.get(name) == checked and getattr(before, name) != checked:
            asked_by = await unit.connection.fetchval(_WISHED, name, json.dumps(checked), settings.WISH_HOURS) or ""
            if asked_by in ("", unit.actor.label):
                await unit.connection.execute(_WISH, name, json.dumps(checked), unit.actor.label)
                unit.record("setting.ask", f"setting/{name}", after={"value": checked})
                return False
        if name in settings.TWO_PERSONS:
            await unit.connection.execute(_FORGET, name)
        await unit.connection.execute(_PUT, name, json.dumps(checked, ensure_ascii=False))
        unit.record(
            "setting.set",
            f"setting/{name}",
            before={"value": getattr(before, name)},
            after={"value": checked} | ({"asked_by": asked_by} if asked_by else {}),
        )
    return True
