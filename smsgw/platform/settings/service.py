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


async def put(change: Change, name: str, value: Any) -> None:
    """Change a setting. ``PARAM_INVALID`` says what is wanted."""
    try:
        checked = settings.parse(name, value)
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field=name, reason=reason_of(exc)) from exc
    before = await queries.current(change.database)
    async with change.unit(Permission.SETTING_EDIT) as unit:
        await unit.connection.execute(_PUT, name, json.dumps(checked, ensure_ascii=False))
        unit.record(
            "setting.set",
            f"setting/{name}",
            before={"value": getattr(before, name)},
            after={"value": checked},
        )
