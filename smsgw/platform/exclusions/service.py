"""Making a version of the rules. None is ever changed or removed."""

from __future__ import annotations

from datetime import date, timedelta

from smsgw.core.errors import Invalid
from smsgw.core.exclusions import CATEGORIES, CLASSES, MOST_CODES
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.report_codes import head_of
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.exclusions import queries
from smsgw.platform.exclusions.model import LEAST_REASON, MOST_AHEAD, MOST_REASON, Draft
from smsgw.runtime import clock

LONGEST_CODE = 64
_LOCK = "SELECT pg_advisory_xact_lock(1633906551)"
"""Versions are made one after the other."""
_ADD = """
INSERT INTO exclusion_version (version, from_day, reason, made_by)
SELECT COALESCE(max(version), 0) + 1, $1, $2, $3 FROM exclusion_version RETURNING version
"""
_RULES = """
INSERT INTO exclusion (version, kind, value, category)
SELECT $1, r.* FROM unnest($2::text[], $3::text[], $4::text[]) r
"""


def first_days(today: date) -> tuple[date, date]:
    """The first and the last day that a version may begin on."""
    return today, today + timedelta(days=MOST_AHEAD)


async def add(change: Change, draft: Draft) -> int:
    """Let a new version hold from a day on, in the place of all that was to begin later; its number.

    ``PARAM_INVALID`` for a day that is over, a class or a category that there is not, and what has no reason.
    """
    reason = " ".join(draft.reason.split())
    if not LEAST_REASON <= len(reason) <= MOST_REASON:
        raise Invalid("PARAM_INVALID", field="reason", reason=f"{LEAST_REASON}-{MOST_REASON}")
    first, last = first_days(clock.now().astimezone(CHINA).date())
    if not first <= draft.from_day <= last:
        raise Invalid("PARAM_INVALID", field="from_day", reason=phrase("exclusion.day", first=first, last=last))
    codes = {head_of(code): category for code, category in draft.codes.items()}
    if len(codes) > MOST_CODES or not all(0 < len(code) <= LONGEST_CODE and code.isprintable() for code in codes):
        raise Invalid("PARAM_INVALID", field="codes", reason=phrase("exclusion.codes", most=MOST_CODES))
    if unknown := set(draft.classes) - set(CLASSES):
        raise Invalid("PARAM_INVALID", field="classes", reason=", ".join(sorted(unknown)))
    if unknown := {*draft.classes.values(), *codes.values()} - set(CATEGORIES):
        raise Invalid("PARAM_INVALID", field="category", reason=", ".join(sorted(unknown)))
    rules = [("class", *one) for one in sorted(draft.classes.items())]
    rules += [("code", *one) for one in sorted(codes.items())]
    async with change.unit(Permission.CODE_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(_LOCK)
        before = await queries.newest(unit.connection)
        version: int = await unit.connection.fetchval(_ADD, draft.from_day, reason, unit.actor.label)
        await unit.connection.execute(_RULES, version, *([rule[n] for rule in rules] for n in range(3)))
        was = {"version": before.version, "from_day": f"{before.from_day}", "classes": dict(before.classes),
               "codes": dict(before.codes)} if before else None  # fmt: skip
        after = {"version": version, "from_day": f"{draft.from_day}", "reason": reason, "classes": dict(draft.classes),
                 "codes": codes}  # fmt: skip
        unit.record("exclusion.add", f"exclusion/{version}", before=was, after=after)
    return version
