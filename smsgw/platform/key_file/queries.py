"""What is under which key of the key file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smsgw.store.engine import resealing
from smsgw.store.engine.database import Database
from smsgw.store.engine.resealing import Resealed
from smsgw.store.engine.secrets import Sealer


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One key of the file."""

    id: str
    seals: bool
    """The first one; the others only open."""
    secrets: int | None
    """Stored secrets under it; told of the one that seals."""
    audit_rows: int
    """Rows of the audit log that it has signed and verifies."""


@dataclass(frozen=True, slots=True)
class KeyUses:
    """All keys, and what is amiss."""

    keys: Sequence[KeyUse]
    under_old_keys: int
    """Secrets that another key than the first has sealed."""
    missing: Sequence[str]
    """Keys that have signed rows of the audit log and are not in the file."""
    stuck: Sequence[str]
    """Places of secrets that no key of the file opens."""


_SIGNED = """
SELECT key, count(*) AS n FROM audit_link WHERE seq > (SELECT coalesce(max(seq), 0) FROM audit_checkpoint) GROUP BY key
"""


async def uses(database: Database, sealer: Sealer) -> KeyUses:
    """Look through everything that is sealed or signed; changes nothing."""
    places = await resealing.reseal(database, sealer, dry=True)
    signed = {row["key"]: row["n"] for row in await database.fetch(_SIGNED, timeout=120)}
    current = sum(place.values - place.changed - len(place.stuck) for place in places)
    keys = [KeyUse(id_, n == 0, current if n == 0 else None, signed.get(id_, 0)) for n, id_ in enumerate(sealer.ids)]
    missing = sorted(set(signed) - set(sealer.ids))
    return KeyUses(keys, sum(place.changed for place in places), missing, stuck_in(places))


def stuck_in(places: Sequence[Resealed]) -> list[str]:
    """Which do not open with any key of the file."""
    return [context for place in places for context in place.stuck]
