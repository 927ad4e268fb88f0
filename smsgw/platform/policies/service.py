"""Changes of policies; every node follows within seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smsgw.core import policy
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase, reason_of
from smsgw.platform.change import Change
from smsgw.store.config import kinds

_PUT = """
INSERT INTO policy (account_id, type, name, value) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id, type, name) DO UPDATE SET value = excluded.value, at = now()
"""
_CLEAR = "DELETE FROM policy WHERE account_id = $1 AND type = $2 AND name = $3 RETURNING value"
_THERE = "SELECT name, value FROM policy WHERE account_id = $1 AND type = $2 AND name = ANY($3)"
_TURN = "LOCK TABLE policy IN SHARE ROW EXCLUSIVE MODE"
_GET = "SELECT value FROM policy WHERE account_id = $1 AND type = $2 AND name = $3"


async def put(change: Change, name: str, text: str, *, account_id: int = 0, type_: str = "") -> None:
    """Change a policy for an account (0: all) and type ("": all). ``PARAM_INVALID`` says what is wanted."""
    try:
        value = policy.shown(policy.parse(name, text))
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field=name, reason=reason_of(exc)) from exc
    async with change.unit(Permission.POLICY_EDIT, account_id) as unit:
        policy.check_type(type_, await kinds.load(unit.connection) if type_ else ())
        before = await unit.connection.fetchval(_GET, account_id, type_, name)
        await unit.connection.execute(_PUT, account_id, type_, name, value)
        after = {"account": account_id, "type": type_, "value": value}
        unit.record("policy.set", f"policy/{name}", before={"value": before}, after=after)


async def clear(change: Change, name: str, *, account_id: int = 0, type_: str = "") -> bool:
    """Go back to what is less particular; whether there was anything to take back."""
    async with change.unit(Permission.POLICY_EDIT, account_id) as unit:
        before = await unit.connection.fetchval(_CLEAR, account_id, type_, name)
        if before is None:
            unit.unchanged()
        else:
            was = {"account": account_id, "type": type_, "value": before}
            unit.record("policy.clear", f"policy/{name}", before=was)
    return before is not None


@dataclass(frozen=True, slots=True)
class Where:
    """Some policies of an account (0: all) and a type ("": all)."""

    account_id: int
    type: str
    names: Sequence[str]


def seen_as(values: Mapping[str, str]) -> str:
    """What was there when somebody began to change it, for ``replace`` to compare."""
    return json.dumps(values, sort_keys=True)


async def replace(change: Change, where: Where, wanted: Mapping[str, str], *, seen: str = "") -> int:
    """Put these policies, and take back those of ``where`` that are not wanted, together or not at all; how many have
    changed. ``STATE_CONFLICT`` when there is something else than was ``seen`` (empty: whatever there is)."""
    at = where.account_id, where.type
    async with change.unit(Permission.POLICY_EDIT, where.account_id) as unit:
        await unit.connection.execute(_TURN)
        rows = await unit.connection.fetch(_THERE, *at, list(where.names))
        there: dict[str, str] = {row["name"]: row["value"] for row in rows}
        if seen and seen != seen_as(there):
            raise Refused("STATE_CONFLICT", reason=phrase("policy.changed"))
        differ = [name for name in where.names if there.get(name) != wanted.get(name)]
        for name in differ:
            if name in wanted:
                await put(change, name, wanted[name], account_id=at[0], type_=at[1])
            else:
                await clear(change, name, account_id=at[0], type_=at[1])
        unit.unchanged()  # each has its own entry
    return len(differ)


async def relax(change: Change) -> None:
    """Switch off whatever limits by default: for benches and demonstrations."""
    for name in policy.RELAXED:
        await put(change, name, "off")
