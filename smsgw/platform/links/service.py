"""Changes of short links: made, led elsewhere, stopped, decided. Every node follows within seconds."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from smsgw.core import short_codes
from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.ids import first_id
from smsgw.core.link_targets import checked, name_of
from smsgw.core.permissions import Permission
from smsgw.core.url_filings import Filed, LinkBook, found_in
from smsgw.core.words import label, phrase, reason_of
from smsgw.platform.change import Change, Unit
from smsgw.platform.links import queries
from smsgw.platform.links.model import (
    MOST_CODES,
    MOST_IN_FORCE,
    MOST_OF_ACCOUNT,
    MOST_VISITS,
    LinkKind,
    LinkState,
    NewLink,
    ShortLink,
)
from smsgw.store.engine.database import STATEMENT_TIMEOUT, Connection, Database
from smsgw.store.engine.secrets import Sealer

MANY_TIMEOUT = 30.0
"""Seconds for making many links, of which a thousand take two; the rest is for those that are made before them."""
STRETCH = 20
"""Targets that are looked at in one go: a long one takes up to a millisecond."""
AGAIN_MOST = timedelta(days=31)
"""Of clicks that are judged again by one call."""

SHARED = phrase("short_link.shared")
"""Why something is refused for a link that has one code for all."""

# Those who change links wait for each other, so that nodes that follow by ``change`` pass over none.
_TAKE_TURNS = "SELECT pg_advisory_xact_lock(1936486766)"
_IN_FORCE = """
SELECT count(*) AS n, count(*) FILTER (WHERE account_id = $1) AS own FROM short_link
WHERE state IN ('reviewing', 'active') AND (valid_until IS NULL OR valid_until > now())
"""
_KEY = "INSERT INTO short_link_key (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO NOTHING"
_SERIALS = """
UPDATE short_link_key SET next = $1 + GREATEST(
    next, floor(extract(epoch FROM clock_timestamp() - timestamptz '2024-01-01 00:00+00') * $2)::bigint
) WHERE id = 1 RETURNING next - $1
"""
_MAKE = """
INSERT INTO short_link (account_id, name, kind, origin, domain, serial, codes, chosen, target, warn, state, passed,
                        valid_from, valid_until, visits_max, made_by)
SELECT $1, d.name, d.kind, d.origin, d.domain, d.serial, d.codes, NULLIF(d.chosen, ''), d.target, d.warn, d.state,
       (d.state = 'active')::int, d.valid_from, d.valid_until, d.visits_max, $2
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::int[], $9::text[], $10::text[],
            $11::bool[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::int[]) WITH ORDINALITY
     AS d(name, kind, origin, domain, serial, codes, chosen, target, warn, state, valid_from, valid_until, visits_max,
          n)
ORDER BY d.n
ON CONFLICT (domain, chosen) WHERE chosen IS NOT NULL DO NOTHING RETURNING id
"""
_LIKE = """
INSERT INTO short_link (account_id, name, kind, origin, domain, serial, codes, target, warn, state, passed, valid_from,
                        valid_until, made_by, decided_at, decided_by, like_id)
SELECT account_id, name, kind, origin, domain, $2, $3, target, warn, state, 1, valid_from, valid_until, made_by,
       decided_at, decided_by, COALESCE(like_id, id)
FROM short_link WHERE id = $1 RETURNING id
"""
_TARGETS = """
INSERT INTO short_link_target (link_id, version, target, by)
SELECT id, version, target, $2 FROM short_link WHERE id = ANY($1)
"""
_TARGET = "INSERT INTO short_link_target (link_id, version, target, by) VALUES ($1, $2, $3, $4)"
_LOCK = "SELECT account_id FROM short_link WHERE id = $1 FOR UPDATE"
_LEAD = """
UPDATE short_link SET target = $2, version = version + 1, passed = CASE WHEN $4 THEN version + 1 ELSE passed END,
    state = $3, change = nextval('short_link_change')
WHERE id = $1 RETURNING version
"""
_SET = """
UPDATE short_link SET state = $2, reason = $3, held = $6, change = nextval('short_link_change'),
    passed = CASE WHEN $2 = 'active' THEN version ELSE passed END, warn = COALESCE($4, warn),
    decided_at = CASE WHEN $5 = '' THEN decided_at ELSE now() END,
    decided_by = CASE WHEN $5 = '' THEN decided_by ELSE $5 END
WHERE id = $1
"""
_FILED = """
SELECT f.target, f.account_id FROM filed_link f WHERE f.account_id IN (0, $1)
    AND EXISTS (SELECT FROM filed_link_state s WHERE s.link_id = f.id AND s.state = 'registered')
"""
# In pieces of a partition's index would be finer; a month of clicks is what it is for.
_AGAIN = "UPDATE link_click SET rules = 0 WHERE id >= $1 AND id < $2 AND rules > 0"


async def make(change: Change, sealer: Sealer, wanted: NewLink, domains: Sequence[str], *, now: datetime) -> ShortLink:
    """Make a link: in force at once when whoever makes it may decide on links, or a carrier has its target on file for
    the account; else after a review. ``PARAM_INVALID``; ``STATE_CONFLICT`` when the code is taken or there is no
    room."""
    (made,) = await make_many(change, sealer, [wanted], domains, now=now)
    if isinstance(made, SmsgwError):
        raise made
    return made


async def make_many(
    change: Change, sealer: Sealer, wanted: Sequence[NewLink], domains: Sequence[str], *, now: datetime
) -> list[ShortLink | SmsgwError]:
    """Make links of one account, as ``make`` does: each of them or why it cannot be made, in their order. Those that
    are made are made together; when this raises, none was."""
    (account_id,) = {one.account_id for one in wanted}
    ended: dict[int, ShortLink | SmsgwError] = {}
    good: dict[int, NewLink] = {}
    codes = 0
    for place, one in enumerate(wanted):
        if place % STRETCH == STRETCH - 1:
            await asyncio.sleep(0)
        try:
            kept = as_kept(one, domains, now)
            if codes + kept.codes > MOST_CODES:
                reason = phrase("short_link.codes_of_call", most=MOST_CODES)
                raise Invalid("PARAM_INVALID", field="codes", reason=reason)
        except (Invalid, Refused) as refused:
            ended[place] = refused
        else:
            good[place] = kept
            codes += kept.codes
    if good:
        timeout = STATEMENT_TIMEOUT if len(good) == 1 else MANY_TIMEOUT
        async with change.unit(Permission.LINK_EDIT, account_id, timeout=timeout) as unit:
            await unit.connection.execute(_TAKE_TURNS)
            room, full = await _room(unit.connection, account_id)
            ended |= dict.fromkeys(list(good)[room:], full)
            some = {place: good[place] for place in list(good)[:room]}
            ended |= dict(zip(some, await _make(unit, sealer, account_id, list(some.values())), strict=True))
            made = [one for one in ended.values() if isinstance(one, ShortLink)]
            for link in made:
                unit.record("short_link.make", f"short_link/{link.id}", after=_told(link))
            if not made:
                unit.unchanged()
    return [ended[place] for place in range(len(wanted))]


async def _make(unit: Unit, sealer: Sealer, account_id: int, wanted: Sequence[NewLink]) -> list[ShortLink | SmsgwError]:
    """Links for which there is room; of two that want one code the first has it."""
    connection, label = unit.connection, unit.actor.label
    need = sum(one.codes for one in wanted if not one.chosen)
    serial = await _serials(connection, sealer, need) if need else 0
    serials: list[int | None] = []
    for one in wanted:
        serials.append(None if one.chosen else serial)
        serial += 0 if one.chosen else one.codes
    states = await _states_of(unit, account_id, [one.target for one in wanted])
    rows = await connection.fetch(
        _MAKE, account_id, label, [one.name.strip() for one in wanted], [one.kind.value for one in wanted],
        [one.origin.value for one in wanted], [one.domain for one in wanted], serials, [one.codes for one in wanted],
        [one.chosen for one in wanted], [one.target for one in wanted], [one.warn for one in wanted],
        [state.value for state in states], [one.valid_from for one in wanted], [one.valid_until for one in wanted],
        [one.visits_max for one in wanted],
    )  # fmt: skip
    ids = [row["id"] for row in rows]
    await connection.execute(_TARGETS, ids, label)
    made = {(one.domain, one.serial, one.chosen): one for one in await queries.several(connection, ids)}
    taken = Refused("STATE_CONFLICT", reason=phrase("short_link.taken"))
    keys = [(one.domain, serial, one.chosen) for one, serial in zip(wanted, serials, strict=True)]
    return [made.pop(key) if key in made else taken for key in keys]


def as_kept(wanted: NewLink, domains: Sequence[str], now: datetime) -> NewLink:
    """What is wanted, with its domain, and its target as it is kept. ``PARAM_INVALID``, ``STATE_CONFLICT``."""
    domain, target = _domain(wanted.domain, domains), target_of(wanted.target, domains)
    _check(wanted, now)
    return replace(wanted, domain=domain, target=target)


async def make_like(
    change: Change, connection: Connection, sealer: Sealer, link: ShortLink, codes: int, now: datetime
) -> ShortLink:
    """A personal link like another one that has too few codes left, in somebody's transaction; as that one was passed,
    so is it. ``LINK_NOT_ACTIVE``."""
    async with change.within(connection, Permission.LINK_EDIT, link.account_id) as unit:
        await connection.execute(_TAKE_TURNS)
        link = usable(await queries.one(connection, link.id, accounts=None), now)  # it may have been stopped meanwhile
        await _demand_room(connection, link.account_id)
        serial = await _serials(connection, sealer, codes)
        id_ = await connection.fetchval(_LIKE, link.id, serial, codes)
        await connection.execute(_TARGET, id_, 1, link.target, unit.actor.label)
        made = await queries.one(connection, id_, accounts=None)
        unit.record("short_link.make", f"short_link/{id_}", after=_told(made) | {"like": link.id})
        return made


async def lead(change: Change, id_: int, target: str, domains: Sequence[str]) -> ShortLink:
    """Let it lead elsewhere from now on, and with it the links that tasks have made like it, whose codes stand in the
    same messages; the version before stays known, and clicks say which they were shown. Of whoever may not decide on
    links a target that is not on file is reviewed first, and until then they lead nowhere. ``NOT_FOUND``,
    ``PARAM_INVALID``, ``STATE_CONFLICT``."""
    wanted = target_of(target, domains)
    async with change.unit(Permission.LINK_EDIT) as unit:
        link = await _locked(unit, Permission.LINK_EDIT, id_)
        all_ = [link, *await queries.alike(unit.connection, [link])]
        others = [one for one in all_ if one.target != wanted]
        if not others:
            unit.unchanged()
            return link
        (passed,) = await _states_of(unit, link.account_id, [wanted])
        for one in others:
            await _lead(unit, one, wanted, passed)
        return await queries.one(unit.connection, id_, accounts=None)


async def _lead(unit: Unit, link: ShortLink, target: str, passed: LinkState) -> None:
    state = link.stored_state
    if state is LinkState.REJECTED:
        await _demand_room(unit.connection, link.account_id)
    if state is not LinkState.STOPPED:
        state = passed
    version = await unit.connection.fetchval(_LEAD, link.id, target, state.value, passed is LinkState.ACTIVE)
    await unit.connection.execute(_TARGET, link.id, version, target, unit.actor.label)
    after = {"target": target, "version": version, "state": state.value}
    before = {"target": link.target, "version": link.version, "state": link.stored_state.value}
    unit.record("short_link.target", f"short_link/{link.id}", before=before, after=after)


def usable(link: ShortLink, now: datetime) -> ShortLink:
    """One that leads somewhere, or will. ``LINK_NOT_ACTIVE``."""
    state = link.state(now)
    if state not in (LinkState.ACTIVE, LinkState.WAITING):
        raise Refused("LINK_NOT_ACTIVE", id=str(link.id), name=link.name, state=label("link_state", state.value))
    return link


async def stop(change: Change, id_: int, *, reason: str = "") -> ShortLink:
    """Its codes lead nowhere any more, and those of the links that tasks have made like it; what somebody who decides
    on links has stopped, nobody else starts again. ``NOT_FOUND``; ``STATE_CONFLICT`` when they do not anyhow."""
    async with change.unit(Permission.LINK_EDIT) as unit:
        link = await _locked(unit, Permission.LINK_EDIT, id_)
        held = unit.actor.may(Permission.LINK_DECIDE)
        _demand(link, LinkState.ACTIVE, *((LinkState.STOPPED,) if held and not link.held else ()))
        for other in await queries.alike(unit.connection, [link]):
            if other.stored_state is LinkState.ACTIVE or (
                held and not other.held and other.stored_state is LinkState.STOPPED
            ):
                await _set(unit, other, "short_link.stop", LinkState.STOPPED, reason=reason, held=held)
        return await _set(unit, link, "short_link.stop", LinkState.STOPPED, reason=reason, held=held)


async def start(change: Change, id_: int) -> ShortLink:
    """Its codes lead to its target again, and those of the links that were stopped with it; one that was never passed
    is reviewed first. ``NOT_FOUND``, ``STATE_CONFLICT``, ``PERMISSION_DENIED``."""
    async with change.unit(Permission.LINK_EDIT) as unit:
        link = await _locked(unit, Permission.LINK_EDIT, id_)
        _demand(link, LinkState.STOPPED)
        if link.held:
            unit.actor.require(Permission.LINK_DECIDE, link.account_id)
        for other in await queries.alike(unit.connection, [link]):
            if other.stored_state is LinkState.STOPPED and other.held is link.held:
                await _start(unit, other)
        return await _start(unit, link)


async def _start(unit: Unit, link: ShortLink) -> ShortLink:
    await _demand_room(unit.connection, link.account_id)
    after = LinkState.ACTIVE if link.passed == link.version else LinkState.REVIEWING
    return await _set(unit, link, "short_link.start", after)


async def pass_(change: Change, id_: int, version: int, *, warn: bool | None = None) -> ShortLink:
    """It may lead to that version of its target, and so may those like it that wait with it; ``warn``: behind a page
    that says so. ``NOT_FOUND``; ``STATE_CONFLICT``, also when it leads elsewhere by now."""
    async with change.unit(Permission.LINK_DECIDE) as unit:
        link = await _seen(unit, id_, version)
        for other in await waiting_with(unit.connection, link):
            await _set(unit, other, "short_link.pass", LinkState.ACTIVE, warn=warn, decided=True)
        return await _set(unit, link, "short_link.pass", LinkState.ACTIVE, warn=warn, decided=True)


async def reject(change: Change, id_: int, version: int, reason: str) -> ShortLink:
    """It may not lead to that version of its target, nor may those like it that wait with it. ``NOT_FOUND``;
    ``STATE_CONFLICT``, also when it leads elsewhere by now."""
    async with change.unit(Permission.LINK_DECIDE) as unit:
        link = await _seen(unit, id_, version)
        for other in await waiting_with(unit.connection, link):
            await _set(unit, other, "short_link.reject", LinkState.REJECTED, reason=reason, decided=True)
        return await _set(unit, link, "short_link.reject", LinkState.REJECTED, reason=reason, decided=True)


async def waiting_with(database: Database | Connection, link: ShortLink) -> list[ShortLink]:
    """Those like it that are reviewed for the same target: one decision is about all of them."""
    found = await queries.alike(database, [link])
    return [one for one in found if one.stored_state is LinkState.REVIEWING and one.target == link.target]


async def judge_again(change: Change, since: datetime, until: datetime) -> int:
    """Have the clicks of that time judged by today's rules; how many."""
    if not since < until <= since + AGAIN_MOST:
        raise Invalid("PARAM_INVALID", field="until", reason=phrase("short_link.until"))
    async with change.unit(Permission.LINK_DECIDE, 0, timeout=300) as unit:
        done = await unit.connection.execute(_AGAIN, first_id(since), first_id(until), timeout=300)
        n = int(done.rpartition(" ")[2])
        unit.record("short_link.judge", "link_click", after={"since": str(since), "until": str(until), "clicks": n})
        return n


async def _set(
    unit: Unit, link: ShortLink, action: str, after: LinkState, *, reason: str = "", warn: bool | None = None,
    held: bool = False, decided: bool = False,
) -> ShortLink:  # fmt: skip
    said = reason.strip()[:200]
    await unit.connection.execute(_SET, link.id, after.value, said, warn, unit.actor.label if decided else "", held)
    of = {"version": link.version, "target": link.target}
    before = of | {"state": link.stored_state.value, "warn": link.warn, "held": link.held}
    told = of | {"state": after.value, "reason": said, "held": held} | ({} if warn is None else {"warn": warn})
    unit.record(action, f"short_link/{link.id}", before=before, after=told)
    return await queries.one(unit.connection, link.id, accounts=None)


async def _locked(unit: Unit, permission: Permission, id_: int) -> ShortLink:
    """The link, which nobody else changes until the unit ends."""
    await unit.connection.execute(_TAKE_TURNS)
    owner = await unit.connection.fetchval(_LOCK, id_) if 0 < id_ < 2**63 else None
    if owner is None:
        raise Refused("NOT_FOUND")
    unit.actor.require(permission, owner)
    return await queries.one(unit.connection, id_, accounts=None)


def _demand(link: ShortLink, *states: LinkState) -> None:
    """``STATE_CONFLICT`` when it is in none of these."""
    if link.stored_state not in states:
        state = label("link_state", link.stored_state.value)
        raise Refused("STATE_CONFLICT", reason=phrase("short_link.state", state=state))


async def _demand_room(connection: Connection, account_id: int) -> None:
    """``STATE_CONFLICT`` when there may be no further link in force, of the account or of all."""
    room, full = await _room(connection, account_id)
    if not room:
        raise full


async def _room(connection: Connection, account_id: int) -> tuple[int, Refused]:
    """How many further links of the account there may be in force, and what is said of one more."""
    (row,) = await connection.fetch(_IN_FORCE, account_id)
    left, most = min((MOST_IN_FORCE - row["n"], MOST_IN_FORCE), (MOST_OF_ACCOUNT - row["own"], MOST_OF_ACCOUNT))
    return max(0, left), Refused("STATE_CONFLICT", reason=phrase("short_link.full", most=most))


async def _seen(unit: Unit, id_: int, version: int) -> ShortLink:
    """A link under review, when it leads where whoever decides has seen it lead."""
    link = await _locked(unit, Permission.LINK_DECIDE, id_)
    _demand(link, LinkState.REVIEWING)
    if link.version != version:
        raise Refused("STATE_CONFLICT", reason=phrase("short_link.version", version=link.version, target=link.target))
    return link


async def _states_of(unit: Unit, account_id: int, targets: Sequence[str]) -> list[LinkState]:
    """Of what this actor wants: what a carrier has on file was looked at by somebody."""
    if unit.actor.may(Permission.LINK_DECIDE):
        return [LinkState.ACTIVE] * len(targets)
    rows = await unit.connection.fetch(_FILED, account_id)
    book = LinkBook.of(Filed(row["target"], row["account_id"], frozenset("+")) for row in rows)
    states = []
    for place, target in enumerate(targets):
        if place % STRETCH == STRETCH - 1:
            await asyncio.sleep(0)
        links = found_in(target)
        filed = bool(links) and book.known(links[0], [account_id])
        states.append(LinkState.ACTIVE if filed else LinkState.REVIEWING)
    return states


async def _serials(connection: Connection, sealer: Sealer, codes: int) -> int:
    """The first of so many serials that nobody else has; with the first link ever made comes the key of the codes."""
    if await queries.permutation(connection, sealer) is None:
        sealed = sealer.seal(secrets.token_hex(short_codes.KEY_OCTETS), queries.KEY_CONTEXT)
        await connection.execute(_KEY, sealed)
    first: int = await connection.fetchval(_SERIALS, codes, short_codes.PER_SECOND)
    return first


def _domain(wanted: str, domains: Sequence[str]) -> str:
    if not domains:
        raise Refused("STATE_CONFLICT", reason=phrase("short_link.no_domain"))
    if wanted and wanted.lower() not in domains:
        raise Invalid("PARAM_INVALID", field="domain", reason=phrase("short_link.domain", known=", ".join(domains)))
    return wanted.lower() or domains[0]


def target_of(text: str, domains: Sequence[str]) -> str:
    """A target as it would be kept. ``PARAM_INVALID``."""
    try:
        return checked(text, [name_of(domain) for domain in domains])
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field="target", reason=reason_of(exc)) from exc


def _check(wanted: NewLink, now: datetime) -> None:
    """``PARAM_INVALID`` when it cannot be made so."""
    if not 1 <= len(wanted.name.strip()) <= 100 or not wanted.name.isprintable():
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("short_link.name"))
    if wanted.chosen and not short_codes.is_chosen(wanted.chosen):
        raise Invalid("PARAM_INVALID", field="code", reason=phrase("short_link.code"))
    if not 0 <= wanted.visits_max <= MOST_VISITS:
        raise Invalid("PARAM_INVALID", field="visits", reason=phrase("short_link.visits", most=MOST_VISITS))
    most = 1 if wanted.kind is LinkKind.SHARED else MOST_CODES
    alone = wanted.kind is LinkKind.SHARED or not (wanted.chosen or wanted.visits_max)
    if not 1 <= wanted.codes <= most or not alone:
        raise Invalid("PARAM_INVALID", field="codes", reason=phrase("short_link.codes", most=MOST_CODES))
    until = wanted.valid_until
    if until is not None and (until <= now or (wanted.valid_from is not None and until <= wanted.valid_from)):
        raise Invalid("PARAM_INVALID", field="until", reason=phrase("short_link.until"))


def _told(link: ShortLink) -> dict[str, Any]:
    """What the audit log says of a link."""
    return {
        "account": link.account_id, "name": link.name, "kind": link.kind.value, "domain": link.domain,
        "codes": link.codes, "chosen": link.chosen, "target": link.target, "warn": link.warn,
        "state": link.stored_state.value, "valid_until": str(link.valid_until or ""), "visits_max": link.visits_max,
    }  # fmt: skip
