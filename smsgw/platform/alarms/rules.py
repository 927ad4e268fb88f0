"""The rules of alarms: what is one, how grave, and who is told; the platform's, for who sees all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from smsgw.core.actor import Actor
from smsgw.core.alarm_rules import KINDS, Kind, Rule, Rules, Stored as Said, Value
from smsgw.core.alarms import CRITICAL, WARNING
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import Wording, label, phrase
from smsgw.platform.change import EVERYBODY, Change, Unit
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.platform.settings import queries as settings_queries, service as settings
from smsgw.runtime import clock
from smsgw.store.config import alarm_rules as store
from smsgw.store.engine.database import Connection, Database, Row

MOST_EXCEPTIONS = 200
MOST_OBJECT = 200
LOOKED_BACK = timedelta(days=7)
SEVERITIES = (CRITICAL, WARNING)


@dataclass(frozen=True, slots=True)
class Listed:
    """A rule as people see it."""

    id: int
    rule: Rule
    version: int
    """0: nobody has changed it yet."""
    changed: bool
    """It is not as by default."""
    changed_by: str
    changed_at: datetime | None
    receivers: Sequence[str]
    """Names of who is told; none: everybody."""
    fired: int
    """Alarms of the last seven days."""

    @property
    def heading(self) -> Wording:
        """Its name, its object and its condition."""
        about = f" {self.rule.object}" if self.rule.object else ""
        return phrase("alarm_rule.heading", name=label("alarm", self.rule.kind), about=about, what=self.rule.condition)

    @property
    def kind(self) -> Kind:
        """What it is about, with what it says by default."""
        return KINDS[self.rule.kind]


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule as it is wanted. ``values``: those that are named; the others stay. ``receivers``: None: everybody."""

    on: bool
    severity: str
    after: int
    values: Mapping[str, int] = field(default_factory=dict)
    receivers: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A rule since a change of it."""

    version: int
    said: Mapping[str, Any]
    by: str
    at: datetime


_COLUMNS = """
r.id, r.kind, r.object, r.version, r.says, r.receivers, r.changed_by, r.changed_at,
(SELECT array_agg(x.name ORDER BY x.name) FROM alarm_receiver x WHERE x.id = ANY (r.receivers) AND x.removed_at IS NULL)
    AS names,
(SELECT count(*) FROM alarm a WHERE a.kind = r.kind AND r.object IN ('', a.object) AND a.since >= $2) AS fired
"""
_FROM = "FROM alarm_rule r WHERE $1 AND NOT r.removed AND r.kind = ANY ($3::text[])"
_ALL = f"SELECT {_COLUMNS}, {{key}} AS _key {_FROM} AND {{where}} ORDER BY {{order}}"
_ONE = f"SELECT {_COLUMNS} {_FROM} AND r.id = $4"
_COUNT = "SELECT count(*) FROM alarm_rule r WHERE $1 AND NOT r.removed AND r.kind = ANY ($2::text[])"
_ORDERS = {"kind": Order("(SELECT g.id FROM alarm_rule g WHERE g.kind = r.kind AND g.object = '')", "bigint")}


def _all(actor: Actor) -> bool:
    return actor.scope.whole is None


def _asked(actor: Actor) -> tuple[object, ...]:
    return _all(actor), clock.now() - LOOKED_BACK, list(KINDS)


async def current(source: Database | Connection) -> Rules:
    """All rules as they hold now, as the database has them."""
    return Rules(await store.load(source), await settings_queries.current(source))


def _listed(row: Row, rules: Rules) -> Listed:
    return Listed(row["id"], rules.of(row["kind"], row["object"]), row["version"], row["says"] is not None,
                  row["changed_by"], row["changed_at"], row["names"] or (), row["fired"])  # fmt: skip


async def search(database: Database, actor: Actor, window: Window) -> Slice[Listed]:
    """Rules and their exceptions, for who sees the whole platform."""
    rules = await current(database)
    return await read(database, _ALL, _asked(actor), _ORDERS, window, lambda row: _listed(row, rules), id_="r.id")


async def how_many(database: Database, actor: Actor) -> int:
    """How many there are."""
    number: int = await database.fetchval(_COUNT, _all(actor), list(KINDS))
    return number


async def one(database: Database | Connection, actor: Actor, id_: int) -> Listed | None:
    """One of them."""
    row = await database.fetchrow(_ONE, *_asked(actor), id_)
    return None if row is None else _listed(row, await current(database))


_VERSIONS = "SELECT version, said, by, at FROM alarm_rule_version WHERE rule_id = $1 ORDER BY version DESC LIMIT 50"


async def versions(database: Database, id_: int) -> list[Version]:
    """What it was, the newest first."""
    return [Version(row["version"], json.loads(row["said"]), row["by"], row["at"])
            for row in await database.fetch(_VERSIONS, id_)]  # fmt: skip


# --- how often -------------------------------------------------------------------------------------------------------

_OFTEN = """
SELECT count(*) FROM alarm WHERE kind = $1 AND $2 IN ('', object) AND since >= $3
  AND COALESCE(cleared_at, $4) - since >= make_interval(secs => $5)
"""
# As it was measured each minute; what is left out of a channel's failures is not known of the past.
_SUCCESS = """
WITH ended AS (
    SELECT s.channel_id, s.minute, sum(s.n) AS n, COALESCE(sum(s.n) FILTER (WHERE s.metric = 'delivered'), 0) AS good
    FROM stat_minute s JOIN channel c ON c.id = s.channel_id
    WHERE s.minute >= $1::timestamptz - make_interval(mins => $2) AND s.metric IN ('delivered', 'failed', 'unknown')
      AND $3 IN ('', 'channel/' || c.name)
    GROUP BY 1, 2
), looked AS (
    SELECT channel_id, minute, sum(n) OVER back AS n, sum(good) OVER back AS good FROM ended
    WINDOW back AS (PARTITION BY channel_id ORDER BY minute
                    RANGE BETWEEN make_interval(mins => $2 - 1) PRECEDING AND CURRENT ROW)
), judged AS (
    SELECT channel_id, minute, n >= $4 AND good * 100 < n * $5::int AS low FROM looked
), counted AS (
    SELECT channel_id, minute, low, count(*) FILTER (WHERE NOT low) OVER so_far AS run FROM judged
    WINDOW so_far AS (PARTITION BY channel_id ORDER BY minute)
)
SELECT count(*) FROM (
    SELECT FROM counted WHERE low AND minute >= $1 GROUP BY channel_id, run
    HAVING max(minute) - min(minute) >= make_interval(secs => $6)) alarms
"""
OFTEN_PATIENCE = 30.0


async def how_often(database: Database, was: Rule, wanted: Rule, object: str) -> int | None:
    """Alarms that the last seven days would have had about the object (empty: about any) by a rule, were it as wanted;
    None: nobody has kept what it takes to say."""
    now = clock.now()
    since = now - LOOKED_BACK
    if not wanted.on:
        return 0
    if wanted.kind == "success_low":
        values = wanted.values
        n: int = await database.fetchval(
            _SUCCESS, since, values["minutes"], object, values["least"], values["threshold"], wanted.after,
            timeout=OFTEN_PATIENCE,
        )  # fmt: skip
        return n
    if not was.on or wanted.values != was.values or wanted.after < was.after:
        return None
    n = await database.fetchval(_OFTEN, wanted.kind, object, since, now, wanted.after)
    return n


# --- changes ---------------------------------------------------------------------------------------------------------


def _wrong(name: str, reason: Wording | str) -> Invalid:
    return Invalid("PARAM_INVALID", field=name, reason=reason)


def _limited(name: str, value: int, limits: Value) -> int:
    if not limits.least <= value <= limits.most:
        raise _wrong(name, phrase("number.between", low=limits.least, high=limits.most))
    return value


_LOCK = "SELECT id, kind, object, version, says, receivers FROM alarm_rule WHERE id = $1 AND NOT removed FOR UPDATE"
_SET = """
UPDATE alarm_rule SET version = version + 1, says = $2, receivers = $3, removed = $4, changed_by = $5, changed_at = $6
WHERE id = $1 RETURNING version
"""
_KEEP = "INSERT INTO alarm_rule_version (rule_id, version, said, by, at) VALUES ($1, $2, $3, $4, $5)"
_KNOWN = "SELECT id, name FROM alarm_receiver WHERE id = ANY ($1) AND removed_at IS NULL"


async def _locked(unit: Unit, id_: int) -> tuple[Row, Rule]:
    row = await unit.connection.fetchrow(_LOCK, id_)
    if row is None or row["kind"] not in KINDS:
        raise Refused("NOT_FOUND")
    rule = (await current(unit.connection)).of(row["kind"], row["object"])
    return row, replace(rule, object=row["object"])  # one that is just made has nothing of its own yet


async def _told(connection: Connection, receivers: Sequence[int] | None) -> Sequence[str] | None:
    return None if receivers is None else [row["name"] for row in await connection.fetch(_KNOWN, list(receivers))]


def _shown(rule: Rule, receivers: Sequence[str] | None) -> dict[str, Any]:
    return {"on": rule.on, "severity": rule.severity, "after": rule.after, **rule.values,
            **({} if receivers is None else {"receivers": list(receivers)})}  # fmt: skip


def _untouched(kind: Kind, draft: Draft) -> None:
    """What nobody may hush: it is told at once, as grave as it is, to everybody."""
    for name, hushed in (
        ("on", not draft.on), ("after", draft.after > kind.after.default),
        ("severity", draft.severity != kind.severity), ("receivers", draft.receivers is not None),
    ):  # fmt: skip
        if hushed:
            raise _wrong(name, phrase("alarm_rule.lasting"))


def checked(before: Rule, draft: Draft) -> Rule:
    """The rule as it would be. ``PARAM_INVALID``."""
    kind = KINDS[before.kind]
    if kind.lasting:
        _untouched(kind, draft)
    if draft.severity not in (*SEVERITIES, *(("",) if not kind.severity else ())):
        raise _wrong("severity", phrase("choice.of", known=", ".join(SEVERITIES)))
    own = kind.own if before.object else kind.values.keys()
    if unknown := draft.values.keys() - own:
        raise _wrong(min(unknown), phrase("choice.of", known=", ".join(sorted(own)) or "-"))
    values = {name: _limited(name, value, kind.values[name]) for name, value in draft.values.items()}
    after = _limited("after", draft.after, kind.after)
    return Rule(
        before.kind, before.object, draft.on, draft.severity, after, {**before.values, **values}, draft.receivers
    )


async def put(change: Change, id_: int, draft: Draft) -> None:
    """Change a rule; it holds on all nodes within seconds. A value that is a setting of the platform takes the right to
    change settings. ``NOT_FOUND``, ``PARAM_INVALID``, ``PERMISSION_DENIED``."""
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        row, before = await _locked(unit, id_)
        wanted = checked(before, draft)
        names = await _told(unit.connection, draft.receivers)
        if draft.receivers is not None and (not names or len(names) != len(set(draft.receivers))):
            raise _wrong("receivers", phrase("alarm_rule.receiver"))
        kind = KINDS[before.kind]
        said = Said(
            wanted.on, wanted.severity if wanted.severity != kind.severity or before.object else None,
            wanted.after if before.object or not kind.after.setting else None,
            {name: wanted.values[name] for name in (kind.own if before.object else kind.values)
             if before.object or not kind.values[name].setting},
        )  # fmt: skip
        if not before.object:
            await _put_settings(change, kind, before, wanted)
        await _keep(unit, row, before, wanted, said, draft.receivers, names)


async def _put_settings(change: Change, kind: Kind, before: Rule, wanted: Rule) -> None:
    was, values = {**before.values, "after": before.after}, {**wanted.values, "after": wanted.after}
    for name, value in {**kind.values, "after": kind.after}.items():
        if value.setting and values[name] != was[name]:
            if Permission.SETTING_EDIT not in change.actor.permissions:
                raise _wrong(name, phrase("alarm_rule.setting"))
            await settings.put(change, value.setting, values[name])


async def _keep(
    unit: Unit, row: Row, before: Rule, after: Rule, said: Said | None, receivers: Sequence[int] | None,
    names: Sequence[str] | None, *, removed: bool = False,
) -> None:  # fmt: skip
    was = _shown(before, await _told(unit.connection, row["receivers"]))
    shown, now = _shown(after, names), clock.now()
    says = None if said is None else json.dumps(store.written(said))
    version = await unit.connection.fetchval(
        _SET, row["id"], says, None if receivers is None else list(receivers), removed, unit.actor.label, now
    )
    if row["version"] == 0 and not row["object"]:  # what it was before anybody changed it
        await unit.connection.execute(_KEEP, row["id"], 0, json.dumps(was), "", now)
    await unit.connection.execute(_KEEP, row["id"], version, json.dumps(shown), unit.actor.label, now)
    action = "alarm_rule.remove" if removed else "alarm_rule.set"
    unit.record(action, f"alarm_rule/{row['id']}", before={"kind": before.kind, "object": before.object, **was},
                after=None if removed else {"kind": after.kind, "object": after.object, **shown})  # fmt: skip


async def reset(change: Change, id_: int) -> None:
    """A rule as it is by default; of an exception: there is none any more. ``NOT_FOUND``; ``STATE_CONFLICT`` when it is
    so already."""
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        row, before = await _locked(unit, id_)
        after = (Rules() if not row["object"] else await current(unit.connection)).of(row["kind"])
        if not row["object"]:
            if after == before and row["says"] is None:
                raise Refused("STATE_CONFLICT", reason=phrase("alarm_rule.default"))
            await _put_settings(change, KINDS[before.kind], before, after)
        await _keep(unit, row, before, after, None, None, None, removed=bool(row["object"]))


_EXISTS: Mapping[str, str] = {
    "channel": "SELECT FROM channel WHERE name = $1",
    "pool": "SELECT FROM pool WHERE name = $1",
    "account": "SELECT FROM account WHERE name = $1",
    "node": "SELECT FROM node WHERE number::text = $1",
    "lane": "SELECT WHERE $1 IN ('emergency', 'otp', 'notice', 'marketing')",
    "webhook": "SELECT FROM webhook w JOIN account a ON a.id = w.account_id WHERE a.name || '/' || w.name = $1",
}
_EXCEPTIONS = "SELECT count(*) FROM alarm_rule WHERE object <> '' AND NOT removed"
_NEW = """
INSERT INTO alarm_rule AS r (kind, object) VALUES ($1, $2)
ON CONFLICT (kind, object) DO UPDATE SET removed = false WHERE r.removed RETURNING id
"""


async def except_(change: Change, kind: str, object: str, draft: Draft) -> int:
    """Another rule of a kind for one object; its id. ``NOT_FOUND``, ``PARAM_INVALID``, ``STATE_CONFLICT`` beyond
    ``MOST_EXCEPTIONS``."""
    known, object = KINDS.get(kind), object.strip()
    if known is None or not known.apart:
        raise Refused("NOT_FOUND")
    sort, _, name = object.partition("/")
    if sort != known.apart or not name or len(object) > MOST_OBJECT:
        raise _wrong("object", phrase("alarm_rule.apart", apart=known.apart))
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        if await unit.connection.fetchrow(_EXISTS[sort], name) is None:
            raise _wrong("object", phrase("alarm_rule.apart", apart=known.apart))
        if await unit.connection.fetchval(_EXCEPTIONS) >= MOST_EXCEPTIONS:
            raise Refused("STATE_CONFLICT", reason=phrase("alarm_rule.full", most=MOST_EXCEPTIONS))
        id_ = await unit.connection.fetchval(_NEW, kind, object)
        if id_ is None:
            raise _wrong("object", phrase("alarm_rule.exists"))
        await put(change, id_, draft)
        unit.unchanged()
    assert isinstance(id_, int)  # noqa: S101 - a key
    return id_
