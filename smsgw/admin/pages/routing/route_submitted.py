"""Route tables that wait for a second person (P10.3): what they change, and approving or refusing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Filter, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, Inputs
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.routing.route_table import NOTE, SUBMITTED_PATH, TABS, channel_states, effect_of, going, whole
from smsgw.admin.words import route_table as words
from smsgw.core import route_edit
from smsgw.core.permissions import Permission
from smsgw.platform.routing import approvals, drafts, queries
from smsgw.platform.routing.approvals import MOST_ANSWER, SUBMISSIONS, State, Submission

ONE = SUBMITTED_PATH + "/{id:[0-9]{1,19}}"
COLUMNS = (
    Column("submission", value=lambda one: f"#{one.id}", phone=Phone.TITLE),
    Column("state", Cell.STATE, "status", words=words.SUBMISSION, tones=words.SUBMISSION_TONE,
           value=lambda one: str(one.state), phone=Phone.BESIDE),
    Column("made_at", Cell.TIME, "submitted_at", sort=True, phone=Phone.SECOND),
    Column("made_by", label="submitted_by", phone=Phone.SECOND),
    Column("base", label="submitted_over", value=lambda one: f"V{one.base}"),
    Column("note", Cell.LONG, "why_so", phone=Phone.SECOND),
    Column("decided_by", phone=Phone.AWAY), Column("decided_at", Cell.TIME, phone=Phone.AWAY),
    Column("answer", Cell.LONG, "approval_answer", phone=Phone.AWAY),
    Column("version", value=lambda one: f"V{one.version}" if one.version else None, phone=Phone.AWAY),
)  # fmt: skip


async def _detail(call: Call, one: Submission) -> Detail:
    document = route_edit.tidy(one.document)
    piece = {
        "route_words": words, "document": document, "states": channel_states(call),
        "changes": route_edit.differences(await drafts.document_of(call.db, one.base), document),
    }  # fmt: skip
    links, notice = list[tuple[str, str]](), ""
    if one.state is State.WAITING and call.may(Permission.ROUTE_EDIT):
        newest = await queries.newest(call.db)
        own, now = one.made_by == call.actor.label, newest.version if newest else 0
        links = [(words.WITHDRAW if own else words.REJECT, f"{SUBMITTED_PATH}/{one.id}/reject")]
        if now != one.base:
            notice = call.filled(words.OLD_BASE, {"n": now})
        elif own:
            notice = call.gettext(words.OWN_WAITS)
        else:
            links.insert(0, (words.APPROVE, f"{SUBMITTED_PATH}/{one.id}/approve"))
    title = call.filled(words.SUBMISSION_NAME, {"n": f"#{one.id}"})
    return Detail(title, [Section(COLUMNS[1:], one)], links=links, notice=notice, good=False,
                  piece=("routing/submission.html", piece))  # fmt: skip


PAGE = ListPage(
    "route_submissions", SUBMITTED_PATH, "routing.routes", Permission.ROUTE_VIEW, Filter((), period=None), COLUMNS,
    listing=SUBMISSIONS, detail=_detail, sort=Sort("made_at"), lead=words.SUBMITTED_LEAD, tabs=TABS,
    empty=Empty(words.SUBMITTED_EMPTY, words.SUBMITTED_TEACH, icon="route"),
)  # fmt: skip


async def _waiting(call: Call) -> Submission | None:
    whole(call)
    id_ = read_id(call.request.match_info["id"])
    found = None if id_ is None else await SUBMISSIONS.get(call.db, call.actor, id_)
    return found if found is not None and found.state is State.WAITING else None


def _at(one: Submission) -> str:
    return f"{SUBMITTED_PATH}/{one.id}"


async def _approve_effect(call: Call, one: Submission, _: Mapping[str, Any]) -> Effect:
    return await effect_of(call, words.APPROVE_EFFECT, route_edit.tidy(one.document), by=one.made_by)


async def _approve(call: Call, one: Submission, values: Mapping[str, Any]) -> web.StreamResponse:
    return going(call, await approvals.approve(call.change(), one.id, values["reason"]))


async def _reject_effect(_: Call, one: Submission, __: Mapping[str, Any]) -> Effect:
    return Effect(words.REJECT_EFFECT, {"by": one.made_by})


async def _reject(call: Call, one: Submission, values: Mapping[str, Any]) -> web.StreamResponse:
    await approvals.reject(call.change(), one.id, values["reason"])
    call.toast(call.gettext(words.REJECTED))
    return call.redirect(_at(one))


APPROVE = FormPage(
    f"{ONE}/approve", Permission.ROUTE_EDIT, words.APPROVE_TITLE, words.APPROVE,
    Form((Inputs((Input("reason", label="approval_answer", most=MOST_ANSWER),)),)), _approve, _at, _waiting,
    effect=_approve_effect, lead=lambda one: f"#{one.id}",
)  # fmt: skip
REJECT = FormPage(
    f"{ONE}/reject", Permission.ROUTE_EDIT, words.REJECT_TITLE, words.REJECT, Form((Inputs((NOTE,)),)), _reject, _at,
    _waiting, effect=_reject_effect, lead=lambda one: f"#{one.id}", danger=True,
)  # fmt: skip
