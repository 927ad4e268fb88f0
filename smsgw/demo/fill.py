"""Fills an empty database with the demo data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.actor import Actor
from smsgw.core.errors import Refused
from smsgw.core.words import phrase
from smsgw.demo import (
    carriers,
    content,
    course,
    evidence,
    figures,
    interfaces,
    links,
    load_tests,
    messages,
    organisation,
    routing,
    submits,
    tasks,
)
from smsgw.demo.world import LINK_DOMAIN, World, texts
from smsgw.platform.accounts.reminders import AccountReminders
from smsgw.store.config.segments import load_segments
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit, audit_chain

DOMAINS = (
    carriers, organisation, routing, content, messages, tasks, course, interfaces, evidence, submits, load_tests,
    links,
)  # fmt: skip
"""In this order; what they plan for later comes after them, the figures over it all last."""
DAYS, DAILY, SEED = 90, 350, 7
MAX_DAYS, MAX_DAILY = 180, 2000

_USED = """
SELECT (SELECT count(*) FROM message) AS messages, (SELECT count(*) FROM account) AS accounts,
       (SELECT count(*) FROM channel WHERE id > 0) AS channels
"""


@dataclass(frozen=True, slots=True)
class Filled:
    """What was made."""

    messages: int
    people: tuple[str, ...]
    """Logins."""


async def fill(
    database: Database,
    sealer: Sealer,
    *,
    password_hash: str,
    now: datetime,
    days: int = DAYS,
    daily: int = DAILY,
    seed: int = SEED,
    ports: Mapping[str, int] | None = None,
    link_domain: str = LINK_DOMAIN,
) -> Filled:
    """Make the history that ends ``now``. ``ports``: on loopback, of carriers that wait for the channels of these
    names; the others are stopped. ``link_domain``: of its short links.

    Raises ``STATE_CONFLICT`` for a database that has accounts, channels or messages: nothing of it is touched.
    """
    used = await database.fetchrow(_USED)
    if used is None or any(used.values()):
        raise Refused("STATE_CONFLICT", reason=phrase("demo.not_empty"))
    known = dict(ports or {})
    world = World(database, sealer, load_segments(), now, days, daily, seed, password_hash, known, link_domain)
    with world.then(world.start):
        after = {"days": days, "seed": seed, "note": texts()["fill"]}
        await audit.record(database, Actor.system("demo").author, "demo.fill", "database", after=after)
    for domain in DOMAINS:
        await domain.fill(world)
    for at, happens in sorted(world.later, key=lambda planned: planned[0]):
        with world.then(at):
            await happens()
    await figures.fill(world)
    await AccountReminders(database).step()
    while await audit_chain.seal(database, sealer):
        pass
    count: int = await database.fetchval("SELECT count(*) FROM message")
    return Filled(count, tuple(f"demo-{row['key']}" for row in texts()["person"]))
