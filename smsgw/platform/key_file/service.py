"""Replacement of the key that seals and signs: a new one that only opens, its turn to seal, everything sealed anew.

The file is changed inside the unit: a database that is away is found before it, and a file that cannot be changed
leaves no entry.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.key_file import queries
from smsgw.store.engine import resealing, secrets
from smsgw.store.engine.secrets import KeyFileError, Sealer, key_id


async def add(change: Change, path: Path) -> str:
    """Put a new key into the file that only opens for now; its id. Raises ``KeyFileError``."""
    new = random.token_bytes(32)
    async with change.unit(Permission.SETTING_EDIT) as unit:
        secrets.change_keys(path, lambda keys: (*keys, new))
        unit.record("key_file.add", f"key/{key_id(new)}")
    return key_id(new)


_LIVE = "SELECT count(*) FROM lease WHERE resource LIKE 'node/%' AND expires_at > clock_timestamp()"


async def rotate(change: Change, path: Path, id_: str | None) -> str:
    """Let a key of the file seal and sign from now on, without ``id_`` a new one; its id. What is stored stays under
    the keys before until ``reseal``. Raises ``KeyFileError``: no such key, or a new one while several nodes run."""
    new = random.token_bytes(32)
    async with change.unit(Permission.SETTING_EDIT) as unit:
        if id_ is None and await unit.connection.fetchval(_LIVE) > 1:
            raise KeyFileError(
                "more nodes than one are running, and each needs the key before anything is sealed with it: "
                "smsgwctl key-file add, copy the key file to every node, then smsgwctl key-file rotate KEY on each"
            )
        before = secrets.change_keys(path, lambda keys: _first(keys, path, id_, new))
        first = new if id_ is None else _find(before, path, id_)
        if first == before[0]:
            unit.unchanged()
        else:
            named = f"key/{key_id(first)}"
            unit.record("key_file.rotate", named, before={"key": key_id(before[0])})
    return key_id(first)


def _first(keys: tuple[bytes, ...], path: Path, id_: str | None, new: bytes) -> tuple[bytes, ...]:
    first = new if id_ is None else _find(keys, path, id_)
    return first, *(key for key in keys if key != first)


def _find(keys: tuple[bytes, ...], path: Path, id_: str) -> bytes:
    for key in keys:
        if key_id(key) == id_:
            return key
    raise KeyFileError(f"no key {id_} in {path}: it has {', '.join(map(key_id, keys))}")


@dataclass(frozen=True, slots=True)
class Sealed:
    """What ``reseal`` has done."""

    changed: int
    """Secrets that are under the first key now."""
    of: int
    """Secrets that there are."""
    stuck: Sequence[str]
    """Places of those that no key of the file opens."""


async def reseal(change: Change, sealer: Sealer) -> Sealed:
    """Seal everything that is stored with the first key: in steps of their own, so that it holds up nothing and may be
    broken off and repeated."""
    change.actor.require(Permission.SETTING_EDIT)
    places = await resealing.reseal(change.database, sealer)
    changed = sum(place.changed for place in places)
    async with change.unit(Permission.SETTING_EDIT) as unit:
        if changed:
            unit.record("key_file.reseal", f"key/{sealer.ids[0]}", after={"values": changed})
        else:
            unit.unchanged()
    return Sealed(changed, sum(place.values for place in places), queries.stuck_in(places))
