"""Changes of signatures and templates: applied for, reviewed, registered with carriers, stopped. Every node follows
within seconds; the account is told what was decided.

Who has applied for one does not decide about it, unless nobody else could."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import asyncpg

from smsgw.core.actor import ActorKind
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.policy import check_type
from smsgw.core.templates import CARRIERS, MAX_CONTENT, Registration, Review, Variable, variables_of
from smsgw.core.words import phrase, reason_of
from smsgw.platform.change import Change, Unit
from smsgw.platform.content import queries
from smsgw.platform.content.model import DECIDE, EDIT, SIGN, TEMPLATE, Answer, seen_of
from smsgw.store.engine.database import Row

MAX_SIGNS, MAX_TEMPLATES = 1000, 2000
"""Of an account."""
MAX_CODE = 64
EVENT = {SIGN: "sign.reviewed", TEMPLATE: "template.reviewed"}

_NEW_SIGN = """
INSERT INTO sign (account_id, sign, source, note, expires_at, created_by)
SELECT $1, $2, $3, $4, $5, $7 WHERE (SELECT count(*) FROM sign WHERE account_id = $1) < $6
ON CONFLICT (account_id, sign) DO UPDATE
SET source = excluded.source, note = excluded.note, expires_at = excluded.expires_at, state = 'pending', reason = '',
    created_by = excluded.created_by, stopped_at = NULL
WHERE sign.state = 'refused' RETURNING id
"""
_NEW_TEMPLATE = """
INSERT INTO template (account_id, name, type, content, variables, sign, created_by)
SELECT $1, $2, $3, $4, $5, $6, $8 WHERE (SELECT count(*) FROM template WHERE account_id = $1) < $7 RETURNING id
"""
_REVIEW = """
UPDATE {kind} SET state = $2, reason = $3, reviewed_by = $4, reviewed_at = now() WHERE id = $1
RETURNING account_id, {label} AS label
"""
_REGISTER = """
INSERT INTO registration (kind, id, carrier, state, note, code, answered_on, expires_at)
SELECT $1, $2, c, $4, $5, $6, $7, $8 FROM unnest($3::text[]) AS c
ON CONFLICT (kind, id, carrier) DO UPDATE SET state = excluded.state, note = excluded.note, code = excluded.code,
    answered_on = excluded.answered_on, expires_at = excluded.expires_at, at = now()
"""
_REGISTERED = """
SELECT carrier, state, note, code, answered_on, expires_at FROM registration
WHERE kind = $1 AND id = $2 AND carrier = ANY($3)
"""
_SET_TEMPLATE = """
UPDATE template SET name = $2, type = $3, content = $4, variables = $5, sign = $6, created_by = $7, state = 'pending',
    reason = '', reviewed_by = '', reviewed_at = NULL
WHERE id = $1
"""
# A text that no carrier was shown is registered with none, whatever each has said of the one before.
_FILE_AGAIN = """
UPDATE registration r SET state = 'pending', note = '', code = '', answered_on = NULL, expires_at = NULL, at = now()
FROM registration old
WHERE r.kind = 'template' AND r.id = $1 AND r.state <> 'pending' AND old.kind = r.kind AND old.id = r.id
    AND old.carrier = r.carrier
RETURNING r.carrier, old.state
"""
_STOP = "UPDATE {kind} SET stopped_at = CASE WHEN $2 THEN now() END WHERE id = $1"
_LOCKED_ROW = "SELECT *, {label} AS label FROM {kind} WHERE id = $1 FOR UPDATE"
_OWNER = "SELECT account_id, {label} AS label FROM {kind} WHERE id = $1"
_LABEL = {SIGN: "sign", TEMPLATE: "name"}


def _of_kinds(text: str) -> dict[str, str]:
    return {kind: text.format(kind=kind, label=label) for kind, label in _LABEL.items()}


_REVIEWS, _OWNERS = _of_kinds(_REVIEW), _of_kinds(_OWNER)
_STOPS, _LOCKED = _of_kinds(_STOP), _of_kinds(_LOCKED_ROW)


async def add_sign(
    change: Change, account_id: int, sign: str, *, source: str = "", note: str = "", expires_at: datetime | None = None
) -> int:
    """Apply for a signature (again, when it was refused); its id."""
    sign = sign.strip().strip("【】")
    if not 2 <= len(sign) <= 20 or re.search(r"[【】\s]", sign):
        raise Invalid("PARAM_INVALID", field="sign", reason=phrase("sign.text"))
    async with change.unit(Permission.SIGN_EDIT, account_id) as unit:
        id_: int | None = await unit.connection.fetchval(
            _NEW_SIGN, account_id, sign, source[:200], note[:500], expires_at, MAX_SIGNS, change.actor.label
        )
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("sign.asked", most=MAX_SIGNS))
        unit.record("sign.add", f"sign/{id_}", after={"account": account_id, "sign": sign})
    return id_


def _checked(name: str, type_: str, content: str, variables: Mapping[str, Variable]) -> str:
    """The variables as they are stored. ``PARAM_INVALID``."""
    check_type(type_)
    if not name.strip() or len(name) > 64:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("template.name"))
    if not content.strip() or len(content) > MAX_CONTENT or content.startswith("【"):
        reason = phrase("template.content", most=MAX_CONTENT)
        raise Invalid("PARAM_INVALID", field="content", reason=reason)
    try:
        whole = variables_of(content, variables)
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field="content", reason=reason_of(exc)) from exc
    return json.dumps({n: {"form": v.form, "most": v.most} for n, v in whole.items()}, ensure_ascii=False)


async def add_template(
    change: Change,
    account_id: int,
    name: str,
    type_: str,
    content: str,
    variables: Mapping[str, Variable],
    *,
    sign: str = "",
) -> int:
    """Apply for a template; its id."""
    stored = _checked(name, type_, content, variables)
    async with change.unit(Permission.TEMPLATE_EDIT, account_id) as unit:
        try:
            id_: int | None = await unit.connection.fetchval(
                _NEW_TEMPLATE,
                account_id,
                name.strip(),
                type_,
                content,
                stored,
                sign.strip("【】"),
                MAX_TEMPLATES,
                change.actor.label,
            )
        except asyncpg.UniqueViolationError as exc:
            raise Refused("STATE_CONFLICT", reason=phrase("template.exists", name=name)) from exc
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("template.full", most=MAX_TEMPLATES))
        unit.record("template.add", f"template/{id_}", after={"account": account_id, "content": content})
    return id_


async def set_template(
    change: Change, id_: int, name: str, type_: str, content: str, variables: Mapping[str, Variable], *, sign: str
) -> None:
    """Change a template that is not approved, and apply for it again; what carriers have said of another text or
    signature counts no more. ``STATE_CONFLICT``: it is approved, as messages are measured by it, or its name is
    taken."""
    stored = _checked(name, type_, content, variables)
    async with change.unit(Permission.TEMPLATE_EDIT) as unit:
        row = await _locked(unit, TEMPLATE, id_, Permission.TEMPLATE_EDIT)
        if row["state"] == Review.APPROVED:
            raise Refused("STATE_CONFLICT", reason=phrase("template.approved"))
        before = {key: row[key] for key in ("name", "type", "content", "sign", "state")}
        values = (name.strip(), type_, content, stored, sign.strip("【】"), change.actor.label)
        try:
            await unit.connection.execute(_SET_TEMPLATE, id_, *values)
        except asyncpg.UniqueViolationError as exc:
            raise Refused("STATE_CONFLICT", reason=phrase("template.exists", name=name)) from exc
        after: dict[str, Any] = {
            "name": values[0], "type": type_, "content": content, "sign": values[4],
            "state": Review.PENDING.value,
        }  # fmt: skip
        if (row["content"], row["sign"]) != (content, values[4]):
            filed = {r["carrier"]: r["state"] for r in await unit.connection.fetch(_FILE_AGAIN, id_)}
            if filed:
                before["carriers"], after["carriers"] = filed, dict.fromkeys(filed, Registration.PENDING.value)
        unit.record("template.set", f"template/{id_}", before=before, after=after)


async def stop(change: Change, kind: str, id_: int, *, stopped: bool) -> None:
    """Let nobody use it any more, or use it again as it was decided. ``STATE_CONFLICT``: it is so already."""
    async with change.unit(EDIT[kind]) as unit:
        row = await _locked(unit, kind, id_, EDIT[kind])
        if (row["stopped_at"] is not None) == stopped:
            raise Refused("STATE_CONFLICT", reason=phrase("content.stopped" if stopped else "content.running"))
        await unit.connection.execute(_STOPS[kind], id_, stopped)
        before, after = ({_LABEL[kind]: row["label"], "stopped": state} for state in (not stopped, stopped))
        unit.record(f"{kind}.{'stop' if stopped else 'start'}", f"{kind}/{id_}", before=before, after=after)


async def renew(change: Change, id_: int, expires_at: datetime | None) -> None:
    """What entitles to a signature is good until then; None: without an end."""
    async with change.unit(Permission.SIGN_DECIDE) as unit:
        row = await _locked(unit, SIGN, id_, Permission.SIGN_DECIDE)
        await unit.connection.execute("UPDATE sign SET expires_at = $2 WHERE id = $1", id_, expires_at)
        before, after = ({"expires_at": at.isoformat() if at else None} for at in (row["expires_at"], expires_at))
        unit.record("sign.renew", f"sign/{id_}", before=before, after=after)


async def _locked(unit: Unit, kind: str, id_: int, permission: Permission) -> Row:
    """It as it is, until the unit ends. ``NOT_FOUND`` when there is none, or none that the actor may see."""
    row = await unit.connection.fetchrow(_LOCKED[kind], id_)
    if row is None:
        raise Refused("NOT_FOUND")
    unit.actor.require(permission, row["account_id"])
    return row


async def _own(unit: Unit, kind: str, row: Row) -> None:
    """Who has applied for it does not decide, but at the machine, and where nobody else could."""
    actor = unit.actor
    if actor.kind in (ActorKind.OPERATOR, ActorKind.SYSTEM) or row["created_by"] != actor.label:
        return
    if await queries.others_decide(unit.connection, kind, actor):
        raise Refused("STATE_CONFLICT", reason=phrase("review.own"))


async def review(
    change: Change, kind: str, id_: int, state: Review, *, reason: str = "", seen: str | None = None
) -> int:
    """The reviewer's word; the account is told of it. Its account. ``seen``: what they have decided about (``seen_of``;
    None: whatever it says). ``STATE_CONFLICT``: the reviewer's own, or it was changed since."""
    if state is Review.REFUSED and not reason.strip():
        raise Invalid("PARAM_MISSING", field="reason")
    async with change.unit(DECIDE[kind]) as unit:
        known = await _locked(unit, kind, id_, DECIDE[kind])
        await _own(unit, kind, known)
        demand_seen(kind, dict(known), seen)
        row = await unit.connection.fetchrow(_REVIEWS[kind], id_, state.value, reason[:500], change.actor.label)
        owner = _tell(unit, kind, id_, row, {"state": state.value, "reason": reason})
        before, after = {"state": known["state"]}, {"state": state.value, "reason": reason}
        unit.record(f"{kind}.{state.value}", f"{kind}/{id_}", before=before, after=after)
    return owner


def demand_seen(kind: str, row: Mapping[str, Any], seen: str | None) -> None:
    """``STATE_CONFLICT`` when it says something else than whoever decides has seen."""
    if seen is not None and seen != seen_of(kind, row):
        raise Refused("STATE_CONFLICT", reason=phrase("content.changed"))


async def register(change: Change, kind: str, id_: int, carriers: Sequence[str], answer: Answer) -> int:
    """What carriers say; the account is told of it. Its account."""
    if not carriers or not set(carriers) <= set(CARRIERS):
        raise Invalid("PARAM_INVALID", field="carrier", reason=phrase("choice.of", known=", ".join(CARRIERS)))
    if answer.state is Registration.EXPIRED:
        raise Invalid("PARAM_INVALID", field="state", reason=phrase("sign.over"))
    code = answer.code.strip()
    if len(code) > MAX_CODE or not code.isprintable():
        raise Invalid("PARAM_INVALID", field="code", reason=phrase("text.between", low=0, high=MAX_CODE))
    if answer.expires_at is not None and kind != SIGN:
        raise Invalid("PARAM_INVALID", field="expires_at", reason=phrase("sign.only"))
    state, note = answer.state, answer.note
    async with change.unit(DECIDE[kind]) as unit:
        row = await unit.connection.fetchrow(_OWNERS[kind], id_)
        said = {"carriers": dict.fromkeys(sorted(set(carriers)), state.value), "reason": note}
        owner = _tell(unit, kind, id_, row, said)
        known = await unit.connection.fetch(_REGISTERED, kind, id_, sorted(set(carriers)))
        before = {
            row["carrier"]: {"state": row["state"], "reason": row["note"], **_dated(row["code"], row["answered_on"],
                                                                                    row["expires_at"])}
            for row in known
        }  # fmt: skip
        await unit.connection.execute(
            _REGISTER, kind, id_, sorted(set(carriers)), state.value, note[:500], code, answer.answered_on,
            answer.expires_at,
        )  # fmt: skip
        after = said | _dated(code, answer.answered_on, answer.expires_at)
        unit.record(f"{kind}.register", f"{kind}/{id_}", before=before, after=after)
    return owner


def _dated(code: str, day: date | None, until: datetime | None) -> dict[str, str]:
    """As the audit log has it: what there is."""
    held = {"code": code, "answered_on": str(day or ""), "expires_at": until.isoformat() if until else ""}
    return {key: value for key, value in held.items() if value}


def _tell(unit: Unit, kind: str, id_: int, row: Row | None, said: Mapping[str, Any]) -> int:
    """Tell the account of it; its id. ``NOT_FOUND`` when there is none, or none that the actor may see."""
    if row is None:
        raise Refused("NOT_FOUND")
    owner: int = row["account_id"]
    unit.actor.require(DECIDE[kind], owner)
    detail = {f"{kind}_id": str(id_), _LABEL[kind]: row["label"], **said}
    unit.tell(owner, EVENT[kind], detail, subject=id_)
    return owner
