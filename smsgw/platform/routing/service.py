"""Changes of routes, retry rules, classes of codes and number overrides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smsgw.core import routes as core
from smsgw.core.code_book import Source
from smsgw.core.errors import Invalid, Refused
from smsgw.core.model import REPORT_CLASSES, MessageType
from smsgw.core.permissions import Permission
from smsgw.core.retry import NEVER_RETRIED, Fault, RetryAction, Rule
from smsgw.core.words import phrase
from smsgw.pipeline.upkeep import rerouting
from smsgw.pipeline.upkeep.rerouting import Followed
from smsgw.platform.change import Change
from smsgw.platform.routing import publication, queries
from smsgw.platform.routing.model import CARRIERS, EMPTY
from smsgw.platform.routing.publication import LOCK, Made
from smsgw.store.config import numbers
from smsgw.store.config.channels import load_pools
from smsgw.store.engine.database import Database, Row


async def publish(change: Change, document: Mapping[str, Any], note: str) -> Made:
    """Check the document against the channels that exist and put it in force, or have it wait for a second person.

    ``PARAM_INVALID`` names everything that is wrong. Messages that are queued stay in their pools.
    """
    async with change.unit(Permission.ROUTE_EDIT) as unit:
        await unit.connection.execute(LOCK)
        return await publication.publish(unit, document, note)


async def rollback(change: Change, version: int, note: str = "", *, seen: int | None = None) -> Made:
    """Publish an old version again, 0 being that without rules. ``NOT_FOUND``; ``STATE_CONFLICT`` when another version
    is in force than was ``seen``."""
    async with change.unit(Permission.ROUTE_EDIT) as unit:
        await unit.connection.execute(LOCK)
        newest = await queries.newest(unit.connection)
        if seen is not None and seen != (now := newest.version if newest else 0):
            raise Refused("STATE_CONFLICT", reason=phrase("route.newer_back", version=now))
        old = (await queries.version(unit.connection, version)).document if version else EMPTY
        return await publication.publish(unit, old, note or f"rollback to version {version}")


_CARRIERS = "SELECT carriers FROM channel WHERE name = $1 AND removed_at IS NULL"
_ACCOUNT = "SELECT id FROM account WHERE name = $1"


async def move(change: Change, kind: str, value: str, channel: str, note: str) -> Made:
    """Give an account or a signature (``kind``) to one channel, by a rule before all others; the new version.

    ``NOT_FOUND`` for a channel or an account that does not exist.
    """
    async with change.unit(Permission.ROUTE_EDIT) as unit:
        await unit.connection.execute(LOCK)
        row = await unit.connection.fetchrow(_CARRIERS, channel)
        if row is None:
            raise Invalid("NOT_FOUND")
        if kind == "account":
            account_id = await unit.connection.fetchval(_ACCOUNT, value)
            if account_id is None or not unit.actor.scope.covers(account_id):
                raise Invalid("NOT_FOUND")
        newest = await queries.newest(unit.connection)
        document = newest.document if newest is not None else EMPTY
        changed = core.moved(document, kind=kind, value=value, channel=channel, carriers=row["carriers"])
        return await publication.publish(unit, changed, note)


async def restore(change: Change, kind: str, value: str, note: str) -> Made:
    """Take such a rule away: the account or signature goes by the others again; the new version. ``NOT_FOUND`` for an
    account that does not exist; ``STATE_CONFLICT``: there is no such rule."""
    async with change.unit(Permission.ROUTE_EDIT) as unit:
        await unit.connection.execute(LOCK)
        if kind == "account":
            account_id = await unit.connection.fetchval(_ACCOUNT, value)
            if account_id is None or not unit.actor.scope.covers(account_id):
                raise Invalid("NOT_FOUND")
        newest = await queries.newest(unit.connection)
        document = None if newest is None else core.restored(newest.document, kind=kind, value=value)
        if document is None:
            raise Refused("STATE_CONFLICT", reason=phrase("route.not_moved"))
        return await publication.publish(unit, document, note)


async def follow_queued(database: Database) -> Followed:
    """Let what is queued follow the table in force."""
    return await rerouting.follow_queued(database, await queries.table(database), await load_pools(database))


# --- retry rules -----------------------------------------------------------------------------------------------------

_SET_RULE = """
INSERT INTO retry_rule (fault, type, how, tries, deadline_s, first_s, most_s) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (fault, type) DO UPDATE SET how = excluded.how, tries = excluded.tries, deadline_s = excluded.deadline_s,
    first_s = excluded.first_s, most_s = excluded.most_s
"""


FIRST_PAUSE, LONGEST_PAUSE = 1, 5
"""Seconds that a rule without a limit of tries has to wait at least: the first time, and after some."""


def check_rule(fault: Fault, rule: Rule) -> None:
    """``PARAM_INVALID`` for what may never be retried, and for what would be without an end or a pause."""
    if rule.how is RetryAction.NEVER:
        return
    if fault in NEVER_RETRIED:
        raise Invalid("PARAM_INVALID", field="fault", reason=phrase("retry.never", fault=fault))
    if not rule.tries and (rule.first < FIRST_PAUSE or rule.most < LONGEST_PAUSE):
        reason = phrase("retry.pause", first=FIRST_PAUSE, most=LONGEST_PAUSE)
        raise Invalid("PARAM_INVALID", field="first" if rule.first < FIRST_PAUSE else "most", reason=reason)


async def set_rule(change: Change, fault: Fault, kind: MessageType, rule: Rule) -> None:
    """Change one cell. ``PARAM_INVALID`` as ``check_rule``, or for impossible values."""
    check_rule(fault, rule)
    async with change.unit(Permission.ROUTE_EDIT) as unit:
        before = await unit.connection.fetch(_RULES, fault, kind)
        await unit.connection.execute(
            _SET_RULE, fault, kind, rule.how, rule.tries, rule.deadline, rule.first, rule.most
        )
        after = {
            "how": rule.how, "tries": rule.tries, "deadline_s": rule.deadline, "first_s": rule.first,
            "most_s": rule.most,
        }  # fmt: skip
        unit.record("retry.set", f"retry/{fault}/{kind}", before=_cell(before[0]) if before else None, after=after)


_RULES = "SELECT * FROM retry_rule WHERE fault = $1 AND type = $2 FOR UPDATE"
_RESET = """
DELETE FROM retry_rule WHERE ($1::text IS NULL OR fault = $1) AND ($2::text IS NULL OR type = $2) RETURNING *
"""


def _cell(row: Row) -> dict[str, object]:
    return {key: row[key] for key in ("how", "tries", "deadline_s", "first_s", "most_s")}


async def reset_rules(change: Change, fault: Fault | None, kind: MessageType | None) -> int:
    """Back to the built-in cells: one, all of a fault or of a type, or all. How many were set."""
    async with change.unit(Permission.ROUTE_EDIT) as unit:
        gone = await unit.connection.fetch(_RESET, fault, kind)
        before = {f"{row['fault']}/{row['type']}": _cell(row) for row in gone}
        unit.record("retry.reset", f"retry/{fault or '*'}/{kind or '*'}", before=before)
    return len(gone)


# --- classes of codes ------------------------------------------------------------------------------------------------

_SET_CODE = """
INSERT INTO code_class (channel_id, source, code, class, fault, carrier) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (COALESCE(channel_id, 0), source, code)
DO UPDATE SET class = excluded.class, fault = excluded.fault, carrier = excluded.carrier
"""
_CODE = """
SELECT class, fault, carrier FROM code_class
WHERE COALESCE(channel_id, 0) = COALESCE($1, 0) AND source = $2 AND code = $3 FOR UPDATE
"""
_CHANNEL = "SELECT id FROM channel WHERE name = $1 AND removed_at IS NULL"


async def set_code(
    change: Change, channel: str | None, source: Source, code: str, cls: str, fault: Fault, *, carrier: str = ""
) -> None:
    """Say what a code means, for one channel or for all. ``PARAM_INVALID``, ``NOT_FOUND``."""
    if cls not in REPORT_CLASSES:
        known = ", ".join(REPORT_CLASSES)
        raise Invalid("PARAM_INVALID", field="class", reason=phrase("choice.of", known=known))
    if carrier and (fault is not Fault.PORTED or carrier not in CARRIERS):
        reason = phrase("code.carrier", known=", ".join(CARRIERS))
        raise Invalid("PARAM_INVALID", field="carrier", reason=reason)
    if not 0 < len(code.strip()) <= 64:
        raise Invalid("PARAM_INVALID", field="code", reason=phrase("code.length"))
    code = code.strip().upper()
    async with change.unit(Permission.CODE_EDIT) as unit:
        channel_id = None
        if channel is not None:
            channel_id = await unit.connection.fetchval(_CHANNEL, channel)
            if channel_id is None:
                raise Invalid("NOT_FOUND")
        was = await unit.connection.fetchrow(_CODE, channel_id, source, code)
        await unit.connection.execute(_SET_CODE, channel_id, source, code, cls, fault, carrier)
        after = {"class": cls, "fault": fault, "carrier": carrier}
        before = None if was is None else dict(was)
        unit.record("code.set", f"code/{channel or '*'}/{source}/{code}", before=before, after=after)


_REMOVE_CODE = """
DELETE FROM code_class WHERE source = $2 AND code = $3
    AND (channel_id IS NULL AND $1::text IS NULL OR channel_id = (SELECT id FROM channel WHERE name = $1))
RETURNING class, fault, carrier
"""


async def remove_code(change: Change, channel: str | None, source: Source, code: str) -> bool:
    """Back to the built-in meaning, of one channel or of all; whether there was a line."""
    code = code.strip().upper()
    async with change.unit(Permission.CODE_EDIT) as unit:
        gone = await unit.connection.fetchrow(_REMOVE_CODE, channel, source, code)
        if gone is None:
            unit.unchanged()
        else:
            unit.record("code.remove", f"code/{channel or '*'}/{source}/{code}", before=dict(gone))
    return gone is not None


# --- number overrides ------------------------------------------------------------------------------------------------


_REMOVE_OVERRIDE = "DELETE FROM number_override WHERE prefix = $1 RETURNING carrier, province"


async def remove_override(change: Change, prefix: str) -> bool:
    """Forget one override; whether it was there. ``PERMISSION_DENIED`` for who sees a part of the accounts alone."""
    async with change.unit(Permission.NUMBER_EDIT) as unit:
        if unit.actor.scope.whole is not None:
            raise Refused("PERMISSION_DENIED")
        await numbers.take_turn(unit.connection)
        gone = await unit.connection.fetchrow(_REMOVE_OVERRIDE, prefix)
        if gone is None:
            unit.unchanged()
        else:
            unit.record("number.remove", f"number_override/{prefix}", before=dict(gone))
    return gone is not None
