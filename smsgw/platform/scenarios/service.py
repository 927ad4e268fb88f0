"""Changes of scenarios. One that was used is never removed: it is stopped, and its past stays with it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from smsgw.core import variables
from smsgw.core.errors import Invalid, Refused
from smsgw.core.fallback import When
from smsgw.core.permissions import Permission
from smsgw.core.templates import PLACE
from smsgw.core.words import phrase, reason_of
from smsgw.pipeline.accept.acceptor import VALIDITY
from smsgw.platform.change import Change
from smsgw.platform.scenarios import queries
from smsgw.platform.scenarios.model import MOST, MOST_EXTENSION, MOST_MINUTES, MOST_NAME, MOST_NOTE, Scenario, Terms
from smsgw.store.engine.database import Connection

_LOCK = "SELECT FROM account WHERE id = $1 FOR UPDATE"
_HOW_MANY = "SELECT count(*) FROM scenario WHERE account_id = $1"
_TAKEN = "SELECT EXISTS (SELECT FROM scenario WHERE account_id = $1 AND name = $2 AND id <> $3)"
_ADD = """
INSERT INTO scenario (account_id, created_by, name, type, sign, template_id, extend_code, valid_minutes, windows, note,
                      fallback, window_from, window_to)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id
"""
_SET = """
UPDATE scenario SET name = $2, type = $3, sign = $4, template_id = $5, extend_code = $6, valid_minutes = $7,
    windows = $8, note = $9, fallback = $10, window_from = $11, window_to = $12, updated_at = now()
WHERE id = $1
"""
_STOP = "UPDATE scenario SET stopped_at = CASE WHEN $2 THEN now() END, updated_at = now() WHERE id = $1"
_POOL = "SELECT EXISTS (SELECT FROM pool WHERE name = $1)"
# Of the account or of one above it, as the templates that it may use.
_TEMPLATE = """
WITH RECURSIVE line(id) AS (
    SELECT $1::bigint UNION SELECT a.parent_id FROM account a JOIN line ON a.id = line.id WHERE a.parent_id IS NOT NULL
)
SELECT t.type, t.sign, t.state, t.stopped_at, t.content FROM template t JOIN line ON line.id = t.account_id
WHERE t.id = $2
"""


def _invalid(field: str, key: str, **params: Any) -> Invalid:
    return Invalid("PARAM_INVALID", field=field, reason=phrase(key, **params))


def _checked(terms: Terms) -> Terms:
    """In its form. ``PARAM_INVALID``."""
    name, note = " ".join(terms.name.split()), " ".join(terms.note.split())
    if not 1 <= len(name) <= MOST_NAME or not name.isprintable():
        raise _invalid("name", "text.between", low=1, high=MOST_NAME)
    if len(note) > MOST_NOTE or not note.isprintable():
        raise _invalid("note", "text.between", low=0, high=MOST_NOTE)
    sign = terms.sign.strip().removeprefix("\u3010").removesuffix("\u3011")
    if sign and (not 2 <= len(sign) <= 20 or not sign.isprintable() or set(sign) & set("\u3010\u3011 ")):
        raise _invalid("sign", "sign.text")
    code = terms.extend_code
    if code and not (code.isascii() and code.isdecimal() and len(code) <= MOST_EXTENSION):
        raise Invalid("EXTEND_CODE_INVALID", field="extend_code")
    if terms.valid_minutes is not None and not 1 <= terms.valid_minutes <= MOST_MINUTES:
        raise _invalid("valid_minutes", "number.in", low=1, high=MOST_MINUTES)
    try:
        windows = str(terms.spans) if terms.spans.spans else ""
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field="windows", reason=reason_of(exc)) from exc
    late = terms.fallback is not None and any(hop.when is When.EXPIRED for hop in terms.fallback.hops)
    if terms.fallback is not None and late:
        validity = VALIDITY[terms.type] if terms.valid_minutes is None else timedelta(minutes=terms.valid_minutes)
        if validity >= timedelta(minutes=terms.fallback.minutes):
            raise _invalid("fallback.minutes", "fallback.short")
    return replace(terms, name=name, note=note, sign=sign, windows=windows)


async def _fits(connection: Connection, account_id: int, terms: Terms, id_: int = 0) -> None:
    """With the account's other scenarios and its templates."""
    if await connection.fetchval(_TAKEN, account_id, terms.name, id_):
        raise _invalid("name", "scenario.exists", name=terms.name)
    known: set[str] = set()
    if terms.template_id is not None:
        known = await _names(connection, account_id, terms.template_id, terms, ("template", "type", "sign"))
    for n, hop in enumerate(terms.fallback.hops if terms.fallback is not None else ()):
        at = f"fallback.hops[{n}]"
        needed = set(variables.Template(hop.content).names)
        if hop.template_id is not None:
            own = replace(terms, sign=hop.sign or terms.sign)
            needed = await _names(connection, account_id, hop.template_id, own, (f"{at}.template_id",) * 3)
        if needed - known:
            raise _invalid(f"{at}.content", "fallback.variable", name=min(needed - known))
        if hop.prefer and not await connection.fetchval(_POOL, hop.prefer):
            raise _invalid(f"{at}.prefer", "prefer.none", name=hop.prefer, known="-")


async def _names(
    connection: Connection, account_id: int, template_id: int, terms: Terms, fields: tuple[str, str, str]
) -> set[str]:
    """The variables of a template that the account may use for what the terms say; ``fields``: where it is told that it
    may not."""
    row = await connection.fetchrow(_TEMPLATE, account_id, template_id)
    if row is None:
        raise Invalid("TEMPLATE_NOT_FOUND", id=str(template_id), field=fields[0])
    if row["state"] != "approved" or row["stopped_at"] is not None:
        raise Invalid("TEMPLATE_NOT_APPROVED", id=str(template_id), field=fields[0])
    if row["type"] != terms.type:
        raise _invalid(fields[1], "template.type", id=template_id, type=row["type"])
    if row["sign"] and terms.sign not in ("", row["sign"]):
        raise _invalid(fields[2], "template.sign", id=template_id, sign=row["sign"])
    return set(PLACE.findall(row["content"]))


def _values(terms: Terms) -> tuple[object, ...]:
    return (
        terms.name, terms.type.value, terms.sign, terms.template_id, terms.extend_code, terms.valid_minutes,
        terms.windows, terms.note,
        None if terms.fallback is None else json.dumps(terms.fallback.plain(), ensure_ascii=False), *terms.only_span,
    )  # fmt: skip


def _plain(account_id: int, terms: Terms) -> dict[str, Any]:
    """What the audit log is told."""
    told = {
        "account": account_id, "name": terms.name, "type": terms.type.value, "sign": terms.sign,
        "template": terms.template_id, "extend_code": terms.extend_code, "valid_minutes": terms.valid_minutes,
        "window": terms.windows, "note": terms.note,
        "fallback": None if terms.fallback is None else terms.fallback.plain(),
    }  # fmt: skip
    return {name: value for name, value in told.items() if value not in (None, "")}


async def add(change: Change, account_id: int, terms: Terms) -> int:
    """A new scenario of the account; its id. ``PARAM_…``, ``TEMPLATE_…``, ``EXTEND_CODE_INVALID``; ``NOT_FOUND`` for an
    account that is not the actor's; ``STATE_CONFLICT``: it has too many."""
    terms = _checked(terms)
    async with change.unit(Permission.SCENARIO_EDIT, account_id) as unit:
        if await unit.connection.fetchrow(_LOCK, account_id) is None:
            raise Refused("NOT_FOUND")
        await _fits(unit.connection, account_id, terms)
        if await unit.connection.fetchval(_HOW_MANY, account_id) >= MOST:
            raise Refused("STATE_CONFLICT", reason=phrase("scenario.full", most=MOST))
        id_: int = await unit.connection.fetchval(_ADD, account_id, unit.actor.label, *_values(terms))
        unit.record("scenario.add", f"scenario/{id_}", after=_plain(account_id, terms))
    return id_


async def put(change: Change, id_: int, terms: Terms) -> None:
    """Say anew what it fixes: of sendings that begin from now on. As ``add``; ``NOT_FOUND``."""
    terms = _checked(terms)
    async with change.unit(Permission.SCENARIO_EDIT) as unit:
        before = await _locked(unit.connection, change, id_)
        await _fits(unit.connection, before.account_id, terms, id_)
        if before.terms == terms:
            unit.unchanged()
            return
        await unit.connection.execute(_SET, id_, *_values(terms))
        was, now = _plain(before.account_id, before.terms), _plain(before.account_id, terms)
        unit.record("scenario.set", f"scenario/{id_}", before=was, after=now)


async def stop(change: Change, id_: int) -> None:
    """Nobody sends with it any more. ``NOT_FOUND``; ``STATE_CONFLICT``: it is stopped."""
    await _set_stopped(change, id_, stopped=True)


async def start(change: Change, id_: int) -> None:
    """It can be used again. ``NOT_FOUND``; ``STATE_CONFLICT``: it is not stopped."""
    await _set_stopped(change, id_, stopped=False)


async def _set_stopped(change: Change, id_: int, *, stopped: bool) -> None:
    async with change.unit(Permission.SCENARIO_EDIT) as unit:
        one = await _locked(unit.connection, change, id_)
        if (one.stopped_at is not None) is stopped:
            raise Refused("STATE_CONFLICT", reason=phrase("content.stopped" if stopped else "content.running"))
        await unit.connection.execute(_STOP, id_, stopped)
        action = "scenario.stop" if stopped else "scenario.start"
        unit.record(action, f"scenario/{id_}", after={"account": one.account_id, "name": one.name})


async def _locked(connection: Connection, change: Change, id_: int) -> Scenario:
    await connection.execute("SELECT FROM scenario WHERE id = $1 FOR UPDATE", id_)
    one = await queries.one(connection, id_, accounts=change.actor.scope.whole)
    if one is None:
        raise Refused("NOT_FOUND")
    return one
