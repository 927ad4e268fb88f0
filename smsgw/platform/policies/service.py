"""Changes of policies; every node follows within seconds."""

from __future__ import annotations

from smsgw.core import policy
from smsgw.core.errors import Invalid
from smsgw.core.permissions import Permission
from smsgw.core.words import reason_of
from smsgw.platform.change import Change

_PUT = """
INSERT INTO policy (account_id, type, name, value) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id, type, name) DO UPDATE SET value = excluded.value, at = now()
"""
_CLEAR = "DELETE FROM policy WHERE account_id = $1 AND type = $2 AND name = $3 RETURNING value"
_GET = "SELECT value FROM policy WHERE account_id = $1 AND type = $2 AND name = $3"


async def put(change: Change, name: str, text: str, *, account_id: int = 0, type_: str = "") -> None:
    """Change a policy for an account (0: all) and type ("": all). ``PARAM_INVALID`` says what is wanted."""
    policy.check_type(type_)
    try:
        value = policy.shown(policy.parse(name, text))
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field=name, reason=reason_of(exc)) from exc
    async with change.unit(Permission.POLICY_EDIT, account_id) as unit:
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


async def relax(change: Change) -> None:
    """No limits of frequency, no quiet hours, no opt-out wording demanded: for benches and demonstrations."""
    for name in policy.RELAXED:
        await put(change, name, "off")
