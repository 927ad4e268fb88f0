"""Types of messages and the operator's kinds of them, as people read them."""

from __future__ import annotations

from smsgw.admin.call import Call
from smsgw.admin.words.messages import TYPE
from smsgw.core import kinds
from smsgw.core.kinds import CustomKind, Kinds
from smsgw.core.model import MessageType
from smsgw.pipeline.snapshot import Snapshot
from smsgw.platform.kinds import queries


async def in_force(call: Call) -> Snapshot:
    """What is configured, with kinds and policies as they have just been changed."""
    return await queries.in_force(call.db, call.portal.context.snapshots.current)


def base_of(call: Call, name: str) -> str:
    """The type that a name stands for, of a retired kind, too; what is neither type nor kind stays as it is."""
    found = call.portal.context.snapshots.current.kinds.get(name)
    return name if found is None else found.base.value


def kind_in_use(call: Call, name: str) -> CustomKind | None:
    """The kind of the name; None for a type, and for one that is retired or none."""
    found = call.portal.context.snapshots.current.kinds.get(name)
    return None if found is None or found.retired else found


def names_of(call: Call, *, retired: bool = False, of: Kinds | None = None) -> dict[str, str]:
    """Name -> what people read: the fixed types, then the kinds in use; ``retired``: and the others. ``of``: these."""
    found = call.portal.context.snapshots.current.kinds if of is None else of
    names = {t.value: call.gettext(TYPE[t.value]) for t in MessageType}
    if retired:
        return names | {one.name: one.label for one in found.values()}
    return names | {name: found[name].label for name in kinds.known(found) if name in found}
