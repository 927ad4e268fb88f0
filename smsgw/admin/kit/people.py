"""What lists of people share: the choices of their filters, and effects in numbers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.lists import Effect
from smsgw.platform.org import queries


async def choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    """Roles, and the departments and accounts that are in the person's scope."""
    departments = await queries.departments(call.db, call.actor.scope)
    accounts = call.portal.context.snapshots.current.accounts()
    own = call.actor.scope.accounts
    return {
        "role": {role.code: role.name for role in await queries.roles(call.db)},
        "department": {str(one.id): one.name for one in departments},
        "account": {str(one.id): one.name for one in accounts if own is None or one.id in own},
    }


def effect(text: str) -> Callable[[Call, Sequence[Any]], Awaitable[Effect]]:
    """The effect on people: a sentence with their number (n), their open sessions and the names of the first ones."""

    async def tell(_: Call, rows: Sequence[Any]) -> Effect:
        names = ", ".join(row["name"] or row["login"] for row in rows[:5])
        values = {"n": len(rows), "sessions": sum(row["sessions"] for row in rows), "names": names}
        return Effect(text, values)

    return tell
