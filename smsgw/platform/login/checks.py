"""The security check: what is set, held against what is advised, with a score (P13.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any

from smsgw.core.addresses import Network
from smsgw.core.permissions import Duty, Permission
from smsgw.platform.login import queries
from smsgw.platform.login.model import LoginPolicy, PasswordPolicy, Standing
from smsgw.platform.org import queries as org_queries
from smsgw.store.engine.database import Database, Row
from smsgw.store.engine.database_roles import WALLS

MAX_PEOPLE = 2000
"""Whose logins are looked at."""
MANAGING = frozenset({Permission.PERSON_EDIT, Permission.PERSON_GRANT, Permission.ROLE_EDIT, Permission.SECURITY_EDIT})
LATE = 900.0
"""Seconds after which an entry that is not in the chain is late."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What only the program itself knows."""

    tls: bool
    keys: int
    """In the key file."""


@dataclass(frozen=True, slots=True)
class Check:
    """One of them: ``state`` good, warning, bad, unknown; ``path`` where it is changed, empty: not in the portal."""

    code: str
    state: str
    weight: int
    path: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def score(checks: Sequence[Check]) -> int:
    """Of a hundred: what is good counts whole, a warning half, bad and unknown nothing."""
    got = sum(check.weight * {"good": 2, "warning": 1}.get(check.state, 0) for check in checks)
    return round(50 * got / max(1, sum(check.weight for check in checks)))


async def run(database: Database, facts: Facts) -> list[Check]:
    """All of them, from what holds now."""
    policy = await queries.policy(database)
    figures = await database.fetchrow(_FIGURES)
    assert figures is not None  # noqa: S101 - an aggregate has a row
    return [
        *await _people(database),
        _password(await queries.password_policy(database)),
        *_entrance(policy, facts),
        await _walls(database),
        *_figures(figures),
    ]


async def _people(database: Database) -> list[Check]:
    everybody = managing = 0
    bare = bare_managing = 0
    unbound = unbound_managing = 0
    duties = dict.fromkeys(Duty, 0)
    supers = 0
    standings = await queries.standings(database, MAX_PEOPLE)
    for person in await org_queries.active_people(database, MAX_PEOPLE):
        standing = standings.get(person.id, Standing())
        manages = bool(person.permissions & MANAGING)
        everybody, managing = everybody + 1, managing + manages
        if standing.through(()):
            bare, bare_managing = bare + 1, bare_managing + manages
        elif standing.enrol(()):  # whoever has the password sets up the factor
            unbound, unbound_managing = unbound + 1, unbound_managing + manages
        for duty in person.duties:
            duties[duty] += 1
        supers += any(role.everything for role in person.roles)
    missing = [duty for duty, n in duties.items() if not n]
    return [
        Check("factor_administrators", "bad" if bare_managing else "warning" if unbound_managing else "good", 20,
              "/security/login", {"n": managing, "bad": bare_managing, "unbound": unbound_managing}),
        Check("factor_everybody", "warning" if bare or unbound else "good", 10, "/security/login",
              {"n": everybody, "bad": bare, "unbound": unbound}),
        Check("duties", "bad" if len(missing) == len(duties) else "warning" if missing else "good", 8, "/staff",
              {duty.value: n for duty, n in duties.items()}),
        Check("super", "good" if supers <= 2 else "warning", 4, "/staff?role=super", {"n": supers}),
    ]  # fmt: skip


def _password(policy: PasswordPolicy) -> Check:
    sound = policy.history >= 5 and 0 < policy.days <= 180
    told = {"length": policy.length, "classes": policy.classes, "history": policy.history, "days": policy.days}
    return Check("password", "good" if sound else "warning", 10, "/security/login", told)


def _entrance(policy: LoginPolicy, facts: Facts) -> list[Check]:
    listed, everywhere = len(policy.demand.networks), _everywhere(policy.demand.networks)
    short = policy.idle_minutes <= 30 and policy.session_hours <= 24
    told = {"idle": policy.idle_minutes, "hours": policy.session_hours, "n": policy.sessions}
    return [
        Check("networks", "good" if listed and not everywhere else "warning", 8, "/security/networks", {"n": listed}),
        Check("sessions", "good" if short else "warning", 4, "/security/login", told),
        Check("tls", "good" if facts.tls else "bad", 12, "/platform"),
        Check("key_file", "good" if facts.keys == 1 else "warning", 4, "", {"n": facts.keys}),
    ]


def _everywhere(networks: Sequence[Network]) -> bool:
    """Whether they hold all addresses of a kind: then the list keeps out nobody."""
    v4 = collapse_addresses(n for n in networks if isinstance(n, IPv4Network))
    v6 = collapse_addresses(n for n in networks if isinstance(n, IPv6Network))
    return any(n.prefixlen == 0 for n in v4) or any(n.prefixlen == 0 for n in v6)


async def _walls(database: Database) -> Check:
    row = await database.fetchrow(WALLS)
    may = row["may"] if row else ""
    return Check("walls", "warning" if may else "good", 6, "", {"may": may or "—"})


_FIGURES = """
SELECT (SELECT count(*) FROM staff WHERE status = 'active' AND NOT must_change
          AND COALESCE(last_login_at, created_at) < now() - interval '90 days') AS dormant,
       (SELECT count(*) FROM staff WHERE status = 'active' AND must_change
          AND password_changed_at < now() - interval '7 days') AS one_time,
       (SELECT count(*) FROM api_key WHERE status = 'active' AND cardinality(ip_allow) = 0
          AND (expires_at IS NULL OR expires_at > now())) AS keys,
       (SELECT EXTRACT(epoch FROM now() - min(a.at))::float FROM audit_open o JOIN audit a ON a.id = o.id) AS open_for,
       (SELECT EXTRACT(epoch FROM now() - last_archived_time)::float FROM pg_stat_archiver) AS archived,
       (SELECT COALESCE(last_failed_time > COALESCE(last_archived_time, '-infinity'), false)
        FROM pg_stat_archiver) AS failing
"""


def _figures(row: Row) -> list[Check]:
    waiting = row["open_for"] or 0.0
    hours = None if row["archived"] is None else row["archived"] / 3600
    archive = "unknown" if hours is None else "good" if hours <= 24 else "bad"
    return [
        Check("audit", "good" if waiting < LATE else "bad", 10, "/audit", {"n": round(waiting)}),
        Check(
            "dormant",
            "warning" if row["dormant"] else "good",
            4,
            "/staff?status=active&sort=last_login_at",
            {"n": row["dormant"]},
        ),
        Check("one_time", "warning" if row["one_time"] else "good", 4, "/staff?status=active", {"n": row["one_time"]}),
        Check("keys", "warning" if row["keys"] else "good", 4, "", {"n": row["keys"]}),
        Check("archive", "bad" if row["failing"] else archive, 8, "", {"n": "—" if hours is None else round(hours)}),
    ]
