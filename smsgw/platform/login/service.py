"""The rules of the entrance: demands on logins, the allow-list of networks, and help for who cannot get in.

Whoever changes a demand can still meet it: a change that would shut out its own editor is refused. ``smsgwctl login``
is the way back in for whoever is at the machine, and is held to nothing of this.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from smsgw.core.actor import ActorKind
from smsgw.core.addresses import Network, network_of
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change, Unit
from smsgw.platform.login import queries
from smsgw.platform.login.model import DEMANDED, Demand, Factor
from smsgw.platform.org import service as org

MAX_NETWORKS = 100
MAX_TEXT = 200
RANGES: Mapping[str, tuple[int, int]] = {"idle_minutes": (5, 1440), "session_hours": (1, 168), "sessions": (1, 100)}


def networks_of(lines: Iterable[str]) -> tuple[Network, ...]:
    """Networks as people write them, one a line: an address, or one with a prefix. Raises ``NETWORK_INVALID``,
    ``PARAM_INVALID`` for too many."""
    found: dict[Network, None] = {}
    for line in lines:
        text = line.strip()
        if not text:
            continue
        try:
            found[network_of(text)] = None
        except ValueError as exc:
            raise Invalid("NETWORK_INVALID", text=text[:64]) from exc
    if len(found) > MAX_NETWORKS:
        raise Invalid("PARAM_INVALID", field="networks", reason=f"1–{MAX_NETWORKS}")
    return tuple(found)


def _told(demand: Demand) -> dict[str, Any]:
    return {"factors": sorted(demand.factors), "every": demand.every, "networks": [str(n) for n in demand.networks]}


def _checked(demand: Demand) -> None:
    if not demand.factors <= frozenset(DEMANDED):
        raise Invalid("PARAM_INVALID", field="factors", reason=", ".join(DEMANDED))
    if len(demand.networks) > MAX_NETWORKS:
        raise Invalid("PARAM_INVALID", field="networks", reason=f"1–{MAX_NETWORKS}")


# All demands bear on each other: two editors at the same moment would each not see what shuts them out.
_ONE_EDITOR = "SELECT FROM login_policy FOR UPDATE"
_SMS_DEMANDED = """
SELECT EXISTS (
    SELECT FROM (SELECT factors FROM login_policy UNION ALL SELECT factors FROM role_login
                 UNION ALL SELECT factors FROM staff_login) d WHERE 'sms' = ANY (factors))
"""


async def _still_in(unit: Unit, demand: Demand) -> None:
    """Whether the editor would still get in, and codes that are demanded can be sent.
    Raises ``LOGIN_LOCKED_OUT``, ``LOGIN_UNENROLLED``, ``LOGIN_SMS_UNSET``."""
    sends = bool((await queries.policy(unit.connection)).sms_accounts)
    if not sends and (demand.factors == {Factor.SMS} or (demand.every and Factor.SMS in demand.factors)):
        raise Refused("LOGIN_SMS_UNSET")
    if unit.actor.kind is not ActorKind.PERSON:
        return
    standing = await queries.standing(unit.connection, unit.actor.id)
    if not standing.admits(unit.actor.address):
        raise Refused("LOGIN_LOCKED_OUT", address=unit.actor.address or "-")
    unsent = frozenset() if sends else {Factor.SMS}
    if not (standing.through(()) or standing.ask(()) - unsent or standing.enrol(()) - unsent):
        raise Refused("LOGIN_UNENROLLED")


# --- everybody ---------------------------------------------------------------------------------------------------

_SET = """
UPDATE login_policy SET factors = $1, every = $2, networks = $3::text[]::cidr[], enrol_reset = $4, idle_minutes = $5,
    session_hours = $6, sessions = $7, sms_accounts = $8, sms_text = $9
"""
_ACCOUNTS = "SELECT count(*) FROM account WHERE id = ANY ($1::bigint[]) AND status = 'active'"
_FIELDS = frozenset({"factors", "every", "networks", "enrol_reset", "sms_accounts", "sms_text", *RANGES})


async def set_policy(change: Change, changes: Mapping[str, Any]) -> None:
    """Change what is demanded of everybody: ``factors``, ``every``, ``networks`` (the allow-list), ``enrol_reset``,
    ``idle_minutes``, ``session_hours``, ``sessions``, ``sms_accounts`` (ids), ``sms_text`` (with ``{code}``); what is
    not given stays.

    Raises ``PARAM_INVALID``, and as ``_still_in``.
    """
    _in_range(changes)
    async with change.unit(Permission.SECURITY_EDIT) as unit:
        await unit.connection.execute(_ONE_EDITOR)
        before = await queries.policy(unit.connection)
        was = _told(before.demand) | {name: getattr(before, name) for name in ("enrol_reset", "sms_text", *RANGES)}
        was["sms_accounts"] = list(before.sms_accounts)
        now = was | dict(changes)
        demand = Demand(
            frozenset(map(Factor, now["factors"])),
            bool(now["every"]),
            tuple(ip_network(str(network)) for network in now["networks"]),
        )
        _checked(demand)
        accounts = list(dict.fromkeys(now["sms_accounts"]))
        if await unit.connection.fetchval(_ACCOUNTS, accounts) != len(accounts) or len(accounts) > 4:
            raise Invalid("PARAM_INVALID", field="sms_accounts", reason="1–4")
        await unit.connection.execute(
            _SET, sorted(demand.factors), demand.every, [str(n) for n in demand.networks], bool(now["enrol_reset"]),
            now["idle_minutes"], now["session_hours"], now["sessions"], accounts, now["sms_text"],
        )  # fmt: skip
        if before.sms_accounts and not accounts and await unit.connection.fetchval(_SMS_DEMANDED):
            raise Refused("LOGIN_SMS_UNSET")
        await _still_in(unit, demand)
        now |= _told(demand) | {"sms_accounts": accounts}
        moved = [name for name in now if now[name] != was[name]]
        if moved:
            unit.record(
                "login.policy", "login_policy",
                before={name: was[name] for name in moved}, after={name: now[name] for name in moved},
            )  # fmt: skip
        else:
            unit.unchanged()


def _in_range(changes: Mapping[str, Any]) -> None:
    unknown = sorted(changes.keys() - _FIELDS)
    if unknown:
        raise Invalid("PARAM_INVALID", field=unknown[0], reason=", ".join(sorted(_FIELDS)))
    text = changes.get("sms_text", "{code}")
    if not isinstance(text, str) or "{code}" not in text or len(text) > MAX_TEXT:
        said = phrase("login.sms_text", mark="{code}", most=MAX_TEXT)
        raise Invalid("PARAM_INVALID", field="sms_text", reason=said)
    for name, (least, most) in RANGES.items():
        value = changes.get(name, least)
        if not isinstance(value, int) or not least <= value <= most:
            raise Invalid("PARAM_INVALID", field=name, reason=f"{least}–{most}")


# --- a role, a person --------------------------------------------------------------------------------------------

_ROLE = "SELECT r.id, l.factors, l.every, l.networks FROM role r LEFT JOIN role_login l ON l.role_id = r.id"
_OF_PERSON = "SELECT factors, every, networks FROM staff_login WHERE staff_id = $1"
_PUT = """
INSERT INTO {table} ({key}, factors, every, networks) VALUES ($1, $2, $3, $4::text[]::cidr[])
ON CONFLICT ({key}) DO UPDATE SET factors = excluded.factors, every = excluded.every, networks = excluded.networks
"""
_PUT_ROLE = _PUT.format(table="role_login", key="role_id")
_PUT_PERSON = _PUT.format(table="staff_login", key="staff_id")


def _values(demand: Demand) -> tuple[Sequence[str], bool, Sequence[str]]:
    return sorted(demand.factors), demand.every, [str(network) for network in demand.networks]


async def set_role(change: Change, code: str, demand: Demand) -> None:
    """Demand this of everybody who has the role, beside what else is demanded of them; an empty one: nothing.
    Raises ``NOT_FOUND``, ``PARAM_INVALID``, and as ``_still_in``."""
    _checked(demand)
    async with change.unit(Permission.SECURITY_EDIT) as unit:
        await unit.connection.execute(_ONE_EDITOR)
        row = await unit.connection.fetchrow(f"{_ROLE} WHERE r.code = $1 FOR UPDATE OF r", code)
        if row is None:
            raise Refused("NOT_FOUND")
        before = Demand() if row["factors"] is None else queries.demand_of(row)
        await unit.connection.execute(_PUT_ROLE, row["id"], *_values(demand))
        await _still_in(unit, demand)
        unit.record("login.role", f"role/{code}", before=_told(before), after=_told(demand))


async def set_person(change: Change, login: str, demand: Demand) -> None:
    """Demand this of one person: the addresses that the login is bound to (IP绑定), the factors. The security
    administrator may do so for everybody in sight, who manages people for those; nobody for themselves.
    Raises ``NOT_FOUND``, ``PARAM_INVALID``, ``PERSON_ABOVE``, ``RIGHTS_OWN``, ``LOGIN_SMS_UNSET``."""
    _checked(demand)
    security = change.actor.may(Permission.SECURITY_EDIT)
    permission = Permission.SECURITY_EDIT if security else Permission.PERSON_EDIT
    async with change.unit(permission) as unit:
        find = org.other if security else org.another
        person = await find(unit, permission, login)
        await unit.connection.execute(_ONE_EDITOR)
        before = queries.demand_of(await unit.connection.fetchrow(_OF_PERSON, person.id))
        await unit.connection.execute(_PUT_PERSON, person.id, *_values(demand))
        await _still_in(unit, demand)
        unit.record("login.person", f"staff/{login}", before=_told(before), after=_told(demand))


# --- help --------------------------------------------------------------------------------------------------------

_FORGIVE = "UPDATE staff SET forgiven_at = clock_timestamp() WHERE id = $1"


async def unlock(change: Change, login: str) -> None:
    """Forget what was wrong at logins of a person, on all nodes within seconds: who has mistyped too often need not
    wait. Raises ``NOT_FOUND``, ``PERSON_ABOVE``, ``RIGHTS_OWN``."""
    async with change.unit(Permission.PERSON_STOP) as unit:
        person = await org.another(unit, Permission.PERSON_STOP, login)
        await unit.connection.execute(_FORGIVE, person.id)
        unit.record("staff.unlock", f"staff/{login}")


EMERGENCY_HOURS, EMERGENCY_A_DAY = 24, 3
_ISSUED = "SELECT count(*) FROM staff_recovery_code WHERE staff_id = $1 AND expires_at > now()"
_FORMER = """
UPDATE staff_recovery_code SET used_at = now() WHERE staff_id = $1 AND expires_at IS NOT NULL AND used_at IS NULL
"""
_EMERGENCY = """
INSERT INTO staff_recovery_code (staff_id, code_sha256, expires_at)
VALUES ($1, $2, now() + make_interval(hours => $3))
"""


async def emergency_code(change: Change, login: str) -> str:
    """One more recovery code for a person who has lost phone and app, to be told to them; it counts once, beside the
    password, within ``EMERGENCY_HOURS``, and ends the one made before it.

    Raises ``NOT_FOUND``, ``PERSON_ABOVE``, ``RIGHTS_OWN``; ``STATE_CONFLICT`` after ``EMERGENCY_A_DAY`` of them.
    """
    code = base64.b32encode(secrets.token_bytes(10)).decode()
    async with change.unit(Permission.PERSON_RESET) as unit:
        person = await org.another(unit, Permission.PERSON_RESET, login)
        if await unit.connection.fetchval(_ISSUED, person.id) >= EMERGENCY_A_DAY:
            raise Refused("STATE_CONFLICT", reason=phrase("emergency.codes", n=EMERGENCY_A_DAY))
        await unit.connection.execute(_FORMER, person.id)
        digest = hashlib.sha256(code.encode()).digest()
        await unit.connection.execute(_EMERGENCY, person.id, digest, EMERGENCY_HOURS)
        told = {"factor": Factor.RECOVERY.value, "hours": EMERGENCY_HOURS}
        unit.record("factor.emergency", f"staff/{login}", after=told)
    return "-".join(code[n : n + 4] for n in range(0, 16, 4))


def factors_of(names: Collection[str]) -> frozenset[Factor]:
    """Factors by their names. Raises ``PARAM_INVALID``."""
    try:
        return frozenset(Factor(name) for name in names)
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field="factors", reason=", ".join(DEMANDED)) from exc
