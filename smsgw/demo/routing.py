"""A route table with its history, and drafts that people have begun."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from smsgw.core.actor import EVERYTHING, Actor, ActorKind
from smsgw.core.model import MessageType
from smsgw.core.permissions import ALL
from smsgw.demo.world import World, texts
from smsgw.platform.change import Change
from smsgw.platform.kinds import service as kinds
from smsgw.platform.policies import service as policies
from smsgw.platform.routing import drafts, prefix_imports, prefixes, service
from smsgw.platform.settings import service as settings
from smsgw.store.config import numbers

_EDITORS = """
SELECT DISTINCT s.id, s.login FROM staff s JOIN staff_role r ON r.staff_id = s.id JOIN role o ON o.id = r.role_id
WHERE o.code IN ('super', 'admin', 'ops') ORDER BY s.id
"""


def _document(said: dict[str, Any], rules: int) -> dict[str, Any]:
    return {"pool": said["pool"], "rule": said["rule"][:rules]}


async def _submit(world: World, said: dict[str, Any]) -> None:
    """A table with one more rule waits for a second person."""
    await settings.put(world.change(), "route_approval", 1)
    await service.publish(world.change(), _document(said, len(said["rule"])), said["waits"])
    for who in ("demo", "demo-2"):  # it takes two
        await settings.put(world.change(Actor.system(who)), "route_approval", 0)
    await world.date("route_submission.made_at")


async def kinds_of_business(world: World) -> None:
    """Kinds beside the fixed types, with hours, frequency and review of their own, and one that is retired."""
    for one in texts()["kinds"]:
        await kinds.add(world.change(), one["name"], one["label"], MessageType(one["base"]))
        for name, value in one.get("policies", {}).items():
            await policies.put(world.change(), name, value, type_=one["name"])
        if one.get("retired"):
            await kinds.retire(world.change(), one["name"])


async def fill(world: World) -> None:
    """Versions, a table that waits, and for those who may a draft with one more rule."""
    await kinds_of_business(world)
    said = texts()["routes"]
    for n, note in enumerate(said["notes"], 1):
        with world.then(world.now - timedelta(days=9 - 3 * n)):
            await service.publish(world.change(), _document(said, n), note)
            await world.date("route_version.published_at")
    world.coded = world.now - timedelta(days=6)
    world.pools["codes"] = await world.database.fetchval("SELECT id FROM pool WHERE name = 'codes'")
    with world.then(world.now - timedelta(hours=2)):
        await _submit(world, said)
    with world.then(world.now - timedelta(days=2)):
        for prefix, carrier, province in said["prefixes"]:
            await prefixes.put(world.change(), prefix, carrier, province)
        async with world.database.transaction() as connection:
            await numbers.learn(connection, said["ported"], "CTCC", "NP:1243")
        await world.date("number_override.at")
    for day, one in enumerate(said["files"]):
        with world.then(world.now - timedelta(days=1, hours=-6 * day)):
            entries = {prefix: (carrier, province) for prefix, carrier, province in one["entries"]}
            id_ = await prefix_imports.bring_in(world.change(), one["name"], entries)
            await world.date("number_override.at number_import.made_at number_import_entry.at")
            if one.get("taken_back"):
                await prefix_imports.take_back(world.change(), id_)
                await world.date("number_import.undone_at")
    for row in await world.database.fetch(_EDITORS):
        actor = Actor(ActorKind.PERSON, row["login"], row["id"], ALL, EVERYTHING)
        change = Change(world.database, actor)
        await drafts.begin(change)
        await drafts.edit(change, 1, lambda document: {**document, "rule": [*document["rule"], said["rule"][-1]]})
