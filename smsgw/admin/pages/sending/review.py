"""Approval centre (P2.6, 审批中心): what waits for somebody's word, and why; passing and rejecting, one or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from smsgw.admin import words as told
from smsgw.admin.call import Call
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.lists import Action, Cards, Effect, Empty, ListPage, reason_of
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.sending import terms
from smsgw.admin.pages.sending.seen import marked, seen, waited, waits
from smsgw.admin.words import approval as words
from smsgw.core.permissions import Permission
from smsgw.core.wording_json import Remembered
from smsgw.platform.campaigns import queries as campaigns
from smsgw.platform.review import queries
from smsgw.platform.review.model import Reviewed, WantedReviews

PATH, OVER = "/review", "/review/decided"


async def _how_many_wait(call: Call) -> int:
    return (await queries.waiting(call.db, accounts=call.accounts))[0]


MENU = Entry("sending.review", PATH, Permission.REVIEW_VIEW, _how_many_wait)


async def _cards(call: Call, rows: Sequence[Reviewed]) -> Mapping[str, Any]:
    return {
        "pieces": {row.id: marked(call, row, row.content) for row in rows},
        "waits": {row.id: waits(call, row) for row in rows},
        "review_words": words,
        "me": call.actor.label,
    }


# --- deciding --------------------------------------------------------------------------------------------------------


async def _effect(text: str, call: Call, rows: Sequence[Reviewed]) -> Effect:
    own = [row for row in rows if row.own(call.actor.label)]
    rows = [row for row in rows if not row.own(call.actor.label)]
    calls = [row for row in rows if not row.task]
    said = call.filled(text, {
        "n": len(rows), "numbers": f"{sum(row.numbers for row in rows):,}", "calls": len(calls),
        "parts": f"{sum(row.parts for row in calls):,}", "tasks": len(rows) - len(calls),
    })  # fmt: skip
    skipped = call.filled(words.OWN_SKIPPED, {"own": len(own)}) if own else ""
    return Effect("%(said)s", {"said": said + skipped})


async def _decide(passes: bool, call: Call, row: Reviewed) -> None:
    reviewing = call.portal.context.reviewing
    await reviewing.decide(call.change(), row.batch_id, passes=passes, reason=await reason_of(call))


_DECIDE = Permission.REVIEW_DECIDE
ACTIONS = (
    Action("pass", words.PASS, _DECIDE, partial(_decide, True), partial(_effect, words.PASS_EFFECT), reason=False),
    Action("reject", words.REJECT, _DECIDE, partial(_decide, False), partial(_effect, words.REJECT_EFFECT),
           danger=True, reason=True),
)  # fmt: skip

# --- one of them, whole ----------------------------------------------------------------------------------------------


def _held_for(review: Reviewed) -> list[Remembered]:
    return [Remembered(why, "review.") for why in review.reasons]


_ABOUT = (
    Column("reasons", Cell.TAGS, "held_for", value=lambda r: _held_for(r)),
    Column("state", Cell.STATE, "status", words=words.STATE, tones=words.STATE_TONE),
    Column("task", Cell.WORD, "review_kind", value=lambda r: str(r.task).lower(), words=words.KIND),
    Column("name", label="subject"), Column("account"), Column("sign"),
    Column("type", Cell.WORD, "message_type", words=told.TYPE),
    Column("origin", Cell.WORD, words=told.ORIGIN), Column("submitter"),
    Column("created_at", Cell.TIME, "submitted_at"), Column("waited", Cell.SPAN, value=waited),
    Column("due_at", Cell.TIME, "planned_at"),
    Column("expires_at", Cell.TIME, "decide_until", value=lambda r: None if r.task else r.expires_at),
)  # fmt: skip
_DECIDED = (Column("decided_by"), Column("decided_at", Cell.TIME), Column("reason", label="opinion"))


async def _detail(call: Call, row: Reviewed) -> Detail:
    pending, own = row.state == "pending", row.own(call.actor.label)
    about = [*_ABOUT]
    if row.task_id is not None and (task := await campaigns.get(call.db, row.task_id, accounts=None)) is not None:
        about += terms.columns(call, task)
    sections = [Section(about, row)] + ([] if pending else [Section(_DECIDED, row)])
    buttons = []
    if pending and not own and call.may(_DECIDE):
        buttons = [
            Button(one.label, f"{PATH}/-/effect/{one.key}", one.danger, not one.danger, {"id": str(row.id)}, asks=True)
            for one in ACTIONS
        ]
    notice = call.gettext(words.OWN) if pending and own else ""
    return Detail(
        row.name or f"#{row.id}", sections, buttons=buttons, notice=notice, good=False,
        piece=("sending/seen.html", await seen(call, row)),
    )  # fmt: skip


# --- the lists -------------------------------------------------------------------------------------------------------

_FIELDS = (
    Field("account", FieldKind.CHOICE), Field("content"), Field("submitter"),
    Field("origin", FieldKind.CHOICE, choices=told.ORIGIN, more=True),
    Field("type", FieldKind.CHOICE, "message_type", told.TYPE, more=True),
    Field("kind", FieldKind.CHOICE, "review_kind", words.KIND, more=True),
)  # fmt: skip
_DECISION = (Field("status", FieldKind.CHOICE, choices=words.OVER), Field("decided_by", more=True))
COLUMNS = (
    Column("created_at", Cell.TIME, "submitted_at", sort=True),
    Column("account", phone=Phone.TITLE),
    Column("content", Cell.LONG, phone=Phone.SECOND),
    Column("reasons", Cell.TAGS, "held_for", value=lambda r: _held_for(r), phone=Phone.AWAY),
    Column("numbers", Cell.NUMBER),
    Column("waited", Cell.SPAN, value=waited, phone=Phone.AWAY, shown=False),
    Column("submitter", shown=False, phone=Phone.AWAY),
    Column("origin", Cell.WORD, words=told.ORIGIN, phone=Phone.AWAY, shown=False),
    Column("state", Cell.STATE, "status", words=words.STATE, tones=words.STATE_TONE, phone=Phone.BESIDE),
    Column("decided_by"),
    Column("decided_at", Cell.TIME, phone=Phone.AWAY),
    Column("reason", Cell.LONG, "opinion", phone=Phone.AWAY),
)


def _wanted(found: Found, *, pending: bool) -> WantedReviews:
    texts = {key: found.get(key) for key in ("type", "origin", "submitter", "content", "decided_by")}
    account = int(found.get("account")) if found.get("account") else None
    task = found.get("kind") == "true" if found.get("kind") else None
    return WantedReviews(pending, account, state=found.get("status"), task=task, **texts)


def _list(name: str, path: str, *, pending: bool, **more: Any) -> ListPage:
    wanted = partial(_wanted, pending=pending)
    return ListPage(
        name, path, "sending.review", Permission.REVIEW_VIEW,
        Filter(_FIELDS if pending else (*_DECISION[:1], *_FIELDS, *_DECISION[1:]), period=None), COLUMNS,
        choices=account_choices, detail=_detail, tabs=((words.WAITING_TAB, PATH), (words.OVER_TAB, OVER)),
        rows=lambda db, actor, found, window: queries.search(db, wanted(found), window, accounts=actor.scope.whole),
        count=lambda db, actor, found, most: queries.how_many(db, wanted(found), most, accounts=actor.scope.whole),
        one=lambda db, actor, id_: queries.get(db, id_, accounts=actor.scope.whole),
        sort=Sort("created_at", descending=not pending), **more,
    )  # fmt: skip


WAITING = _list(
    "reviews", PATH, pending=True, lead=words.LEAD, empty=Empty(words.EMPTY, words.TEACHES, icon="circle-check"),
    actions=ACTIONS, cards=Cards("sending/reviews.html", _cards), live=10,
    links=((words.RULES, f"{PATH}/rules", Permission.POLICY_VIEW),),
)  # fmt: skip
DECIDED = _list(
    "decided", OVER, pending=False, lead=words.OVER_LEAD, empty=Empty(words.OVER_EMPTY, words.OVER_TEACHES), wide=True
)
