"""Rules of retention: asked for by one person, passed by another. What they do cannot be undone."""

from __future__ import annotations

from collections.abc import Mapping

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.retention import CLASSES, LEAST, MESSAGES, MOST_DAYS, PDUS, Ages
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.retention import queries
from smsgw.platform.retention.model import LEAST_REASON, MOST_REASON, State

_ADD = """
INSERT INTO retention_rule (messages_days, inbound_days, pdus_days, texts, reason, asked_by, clicks_days)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (state) WHERE state = 'waiting' DO NOTHING RETURNING id
"""
_LOCK = "SELECT FROM retention_rule WHERE id = $1 FOR UPDATE"
_DECIDE = "UPDATE retention_rule SET state = $2, answer = $3, decided_by = $4, decided_at = now() WHERE id = $1"


def _reason(reason: str, field: str) -> str:
    reason = " ".join(reason.split())
    if not LEAST_REASON <= len(reason) <= MOST_REASON or not reason.isprintable():
        said = phrase("text.between", low=LEAST_REASON, high=MOST_REASON)
        raise Invalid("PARAM_INVALID", field=field, reason=said)
    return reason


def check(ages: Ages, least: Mapping[str, int] = LEAST) -> None:
    """``PARAM_INVALID`` for days that are too few, and PDUs that would be kept longer than the numbers in them."""
    for name in CLASSES:
        days = ages.of(name)
        if days and not least[name] <= days <= MOST_DAYS:
            said = phrase("retention.days", least=least[name], most=MOST_DAYS)
            raise Invalid("PARAM_INVALID", field=f"{name}_days", reason=said)
    if ages.of(MESSAGES) and not 0 < ages.of(PDUS) <= ages.of(MESSAGES):
        raise Invalid("PARAM_INVALID", field="pdus_days", reason=phrase("retention.pdus", most=ages.of(MESSAGES)))


async def ask(change: Change, ages: Ages, reason: str, *, least: Mapping[str, int] = LEAST) -> int:
    """Ask that these ages hold; the rule that waits. ``PARAM_INVALID``; ``STATE_CONFLICT`` while another waits, or when
    they hold already."""
    reason = _reason(reason, "reason")
    check(ages, least)
    async with change.unit(Permission.SETTING_EDIT, EVERYBODY) as unit:
        before = await queries.in_force(unit.connection)
        if before == ages:
            raise Refused("STATE_CONFLICT", reason=phrase("retention.same"))
        id_: int | None = await unit.connection.fetchval(
            _ADD,
            ages.messages_days,
            ages.inbound_days,
            ages.pdus_days,
            ages.texts,
            reason,
            unit.actor.label,
            ages.clicks_days,
        )
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("retention.waiting"))
        unit.record("retention.ask", f"retention/{id_}", before=_said(before), after={**_said(ages), "reason": reason})
    return id_


def _said(ages: Ages) -> dict[str, object]:
    days: dict[str, object] = {f"{name}_days": ages.of(name) for name in CLASSES}
    return days | {"texts": ages.texts}


async def decide(change: Change, id_: int, *, passes: bool, answer: str) -> None:
    """Somebody else's word; who has asked may only take it back. ``NOT_FOUND``; ``STATE_CONFLICT`` for one's own, and
    for what was decided."""
    answer = _reason(answer, "answer")
    async with change.unit(Permission.SETTING_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(_LOCK, id_)
        found = await queries.RETENTION_RULES.get(unit.connection, unit.actor, id_)
        if found is None:
            raise Refused("NOT_FOUND")
        if passes and found.asked_by == unit.actor.label:
            raise Refused("STATE_CONFLICT", reason=phrase("retention.own"))
        if found.state != State.WAITING:
            raise Refused("STATE_CONFLICT", reason=phrase("review.over"))
        state = State.PASSED if passes else State.REJECTED
        before = await queries.in_force(unit.connection)
        await unit.connection.execute(_DECIDE, id_, state.value, answer, unit.actor.label)
        unit.record(
            "retention.decide", f"retention/{id_}", before=_said(before) if passes else {"state": found.state},
            after={"state": state.value, "reason": answer, **(_said(found.ages) if passes else {})},
        )  # fmt: skip
