"""What a reviewer sees of what waits: words, the nearest template, risks, numbers by class, texts as they are sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.words import approval as words
from smsgw.admin.words.compose import CLASS
from smsgw.core.policy import PolicySet
from smsgw.core.text_similarity import ANY
from smsgw.platform.review import insight, queries
from smsgw.platform.review.insight import Nearest
from smsgw.platform.review.model import Reviewed, Sample
from smsgw.runtime import clock

Pieces = Sequence[tuple[str, str]]
"""A text, piece by piece; and why a piece is marked, or nothing."""
MOST_PLACES = 12


def _line(call: Call, review: Reviewed) -> tuple[PolicySet, tuple[int, ...]]:
    now = call.portal.context.snapshots.current
    account = now.account(review.account_id)
    return now.policies, (review.account_id, *(account.above if account else ()))


def marked(call: Call, review: Reviewed, text: str) -> Pieces:
    """A text of it with its sensitive words: those of the list as it is now, for this account and type."""
    policies, line = _line(call, review)
    pieces, done = list[tuple[str, str]](), 0
    for hit in policies.words.find(text, line, review.type):
        if hit.start < done:
            continue
        pieces.append((text[done : hit.start], ""))
        pieces.append((text[hit.start : hit.end], hit.word.category or call.gettext(words.WORD_WITHOUT_CATEGORY)))
        done = hit.end
    return [*(piece for piece in pieces if piece[0]), (text[done:], "")]


@dataclass(frozen=True, slots=True)
class Waits:
    """How long it has waited, and whether that is longer than reminded after."""

    minutes: int
    late: bool


def waited(review: Reviewed) -> timedelta:
    """For a decision, until now or until there was one."""
    until = clock.now() if review.state == "pending" else review.decided_at or clock.now()
    return until - review.created_at


def waits(call: Call, review: Reviewed) -> Waits:
    """Of one that waits."""
    minutes = max(0, int(waited(review).total_seconds() // 60))
    return Waits(minutes, minutes >= call.portal.context.snapshots.current.settings.review_remind_minutes)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where it goes, and what it costs."""

    classes: Sequence[tuple[str, int]]
    carriers: Sequence[tuple[str, int]]
    provinces: Sequence[tuple[str, int]]
    parts: int | None = None
    units: int | None = None
    money: str = ""
    exact: bool = True
    """Parts and money were summed up over all numbers; else estimated from some."""


async def _numbers(call: Call, review: Reviewed) -> Numbers:
    context = call.portal.context
    account = context.snapshots.current.account(review.account_id)
    price = account.unit_price if account else 0
    if review.task_id is None:
        homes = await queries.homes(call.db, review)
        units = sum(home.units for home in homes)
        return Numbers(
            (("valid", review.numbers),), _summed((home.carrier, home.numbers) for home in homes),
            _summed((home.province, home.numbers) for home in homes), review.parts, units,
            f"{units * price:,.2f}" if price else "",
        )  # fmt: skip
    survey = await queries.survey(call.db, review.task_id)
    if survey is not None:
        units = survey.scaled(survey.price)
        return Numbers(
            (("valid", survey.going), *survey.classes.items()), survey.carriers, survey.provinces,
            survey.scaled(survey.parts), units, f"{units * price:,.2f}" if price else "", survey.exact,
        )  # fmt: skip
    problems, heads = await queries.sorted_rows(call.db, review)
    router, snapshot = context.surveyor.checker.router, context.snapshots.current
    found = [(router.home(snapshot, head + "0000"), n) for head, n in heads]
    return Numbers(
        (("valid", review.numbers), *problems.items()),
        _summed((home.carrier, n) for home, n in found),
        _summed((home.province, n) for home, n in found),
    )


def _summed(found: Any) -> list[tuple[str, int]]:
    counted: Counter[str] = Counter()
    for name, n in found:
        counted[name] += n
    return counted.most_common()


def _sides(call: Call, near: Nearest) -> tuple[Pieces, Pieces]:
    """The text and the template, with what differs marked; what stands for a variable is no difference."""
    text, template = list[tuple[str, str]](), list[tuple[str, str]]()
    for one in near.stretches:
        why = "" if one.same or (ANY in one.other and not one.other.replace(ANY, "")) else call.gettext(words.DIFFERS)
        text.append((one.one.replace(ANY, "{…}"), why))
        template.append((one.other.replace(ANY, "{…}"), why))
    return [piece for piece in text if piece[0]], [piece for piece in template if piece[0]]


async def seen(call: Call, review: Reviewed) -> Mapping[str, Any]:
    """The values of its piece of a page."""
    policies, line = _line(call, review)
    near = await insight.nearest(policies, line, review)
    held, held_rows = await queries.held_rows(call.db, review.task_id) if review.task_id else (0, list[Sample]())
    samples = await queries.sample(call.db, review)
    return {
        "content": marked(call, review, review.content), "review": review, "near": near,
        "sides": None if near is None else _sides(call, near), "classes": CLASS,
        "risks": [
            call.filled(words.RISK[one.kind], one.values)
            for one in await insight.risks(call.db, call.portal.context.snapshots.current, review, clock.now())
        ],
        "numbers": await _numbers(call, review), "most_places": MOST_PLACES,
        "held": held, "held_rows": [(one, marked(call, review, one.content)) for one in held_rows],
        "samples": [(one, marked(call, review, one.content)) for one in samples], "wait": waits(call, review),
    }  # fmt: skip
