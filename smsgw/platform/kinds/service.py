"""Changes of business kinds; every node follows within seconds.

A kind's name is for good: records, figures and programs name it. What people read may change. One that is not wanted
any more is retired: nothing new is sent of it, and what was sent is still told and counted by it.
"""

from __future__ import annotations

from smsgw.core import kinds
from smsgw.core.errors import Invalid, Refused
from smsgw.core.kinds import CustomKind
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.words import chinese_of, phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.store.config import kinds as store

_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('smsgw.kinds', 0))"
_ADD = "INSERT INTO message_kind (name, label, base) VALUES ($1, $2, $3)"
_RENAME = "UPDATE message_kind SET label = $2 WHERE name = $1"
_RETIRE = "UPDATE message_kind SET retired_at = CASE WHEN $2 THEN now() END WHERE name = $1"


async def add(change: Change, name: str, label: str, base: MessageType) -> None:
    """Make a kind of a type. ``PARAM_INVALID``; ``STATE_CONFLICT`` when there is one of the name, the label is
    another's, or there are too many."""
    if not kinds.NAME.fullmatch(name) or name in kinds.RESERVED:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("kind.name"))
    label = _label(label)
    async with change.unit(Permission.POLICY_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(_TURN)
        there = await store.load(unit.connection)
        if name in there:
            raise Refused("STATE_CONFLICT", reason=phrase("kind.exists", name=name))
        if len(there) >= kinds.MOST:
            raise Refused("STATE_CONFLICT", reason=phrase("kind.many", most=kinds.MOST))
        _free(there, name, label)
        await unit.connection.execute(_ADD, name, label, base)
        unit.record("kind.add", f"kind/{name}", after={"label": label, "base": str(base)})


async def rename(change: Change, name: str, label: str) -> None:
    """Have people read it otherwise. ``PARAM_INVALID``, ``NOT_FOUND``, ``STATE_CONFLICT``."""
    label = _label(label)
    async with change.unit(Permission.POLICY_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(_TURN)
        there = await store.load(unit.connection)
        before = _known(there, name)
        if before.label == label:
            unit.unchanged()
            return
        if not before.retired:
            _free(there, name, label)
        await unit.connection.execute(_RENAME, name, label)
        unit.record("kind.rename", f"kind/{name}", before={"label": before.label}, after={"label": label})


async def retire(change: Change, name: str) -> None:
    """Nothing new is sent of it. ``NOT_FOUND``, ``STATE_CONFLICT``."""
    await _retire(change, name, wanted=True)


async def restore(change: Change, name: str) -> None:
    """It is in use again. ``NOT_FOUND``; ``STATE_CONFLICT``, also when another one has its label by now."""
    await _retire(change, name, wanted=False)


async def _retire(change: Change, name: str, *, wanted: bool) -> None:
    async with change.unit(Permission.POLICY_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(_TURN)
        there = await store.load(unit.connection)
        before = _known(there, name)
        if before.retired is wanted:
            raise Refused("STATE_CONFLICT", reason=phrase("kind.same"))
        if not wanted:
            _free(there, name, before.label)
        await unit.connection.execute(_RETIRE, name, wanted)
        unit.record("kind.retire" if wanted else "kind.restore", f"kind/{name}",
                    before={"retired": before.retired}, after={"retired": wanted})  # fmt: skip


def _label(given: str) -> str:
    label = " ".join(given.split())
    if not 1 <= len(label) <= kinds.MOST_LABEL or not label.isprintable():
        raise Invalid("PARAM_INVALID", field="label", reason=phrase("text.between", low=1, high=kinds.MOST_LABEL))
    return label


def _known(there: kinds.Kinds, name: str) -> CustomKind:
    found = there.get(name)
    if found is None:
        raise Refused("NOT_FOUND")
    return found


def _free(there: kinds.Kinds, name: str, label: str) -> None:
    """Two that people cannot tell apart are one too many."""
    taken = {one.label for one in there.values() if not one.retired and one.name != name}
    if label in taken or label in chinese_of("type").values():
        raise Refused("STATE_CONFLICT", reason=phrase("kind.label_taken", label=label))
