"""Changes of what is known of numbers; every node follows within a second or so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from smsgw.core.number_state import NumberState
from smsgw.core.permissions import Permission
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.numbers import queries
from smsgw.platform.numbers.model import KnownNumber
from smsgw.store.config import number_status

MAX_KNOWN = number_status.MAX_KNOWN
"""Numbers that are remembered; beyond it the oldest are forgotten."""
CHUNK = 5000
"""Numbers that are written at a time."""

_FORGET = """
UPDATE number_status SET removed_at = now(), version = nextval('number_status_version')
WHERE number = ANY($1::bigint[]) AND removed_at IS NULL
"""


async def learn(change: Change, states: Mapping[str, NumberState], at: datetime) -> int:
    """Enter what a provider has told (E.164 digits -> state); how many entries have changed.

    More than ``CHUNK`` are written in several steps, each for itself; the entry in the audit log comes with the first.
    """
    changed = 0
    ordered = sorted(states)
    for start in range(0, max(len(ordered), 1), CHUNK):
        async with change.unit(Permission.NUMBER_EDIT, timeout=60) as unit:
            if start == 0:
                unit.record("number_status.import", "number_status", after={"numbers": len(ordered)})
            else:
                unit.unchanged()  # its entry came with the first
            some = {n: states[n] for n in ordered[start : start + CHUNK]}
            changed += await number_status.put(unit.connection, some, at)
    return changed


async def forget(change: Change, numbers: Sequence[str], *, reason: str = "") -> int:
    """Forget what is known of numbers, which all accounts share; of how many something was. ``reason``: for people."""
    async with change.unit(Permission.NUMBER_EDIT, EVERYBODY, timeout=60) as unit:
        await number_status.take_turns(unit.connection)
        done = await unit.connection.execute(_FORGET, [int(n) for n in numbers])
        gone = int(done.rpartition(" ")[2])
        after = {"numbers": len(numbers), "entries": gone} | ({"reason": reason} if reason else {})
        unit.record("number_status.remove", "number_status", after=after)
    return gone


async def unmask(change: Change, days: int, *, state: str = "", limit: int = 100) -> list[KnownNumber]:
    """What was learned or imported last, to be shown with whole numbers: that is entered into the audit log."""
    async with change.unit(Permission.NUMBER_VIEW) as unit:
        unit.actor.require(Permission.MESSAGE_UNMASK)
        found = await queries.newest(unit.connection, days, state=state, limit=limit)
        unit.record("numbers.unmask", "number-status", after={"numbers": len(found)})
    return found
