"""Daily health mail (健康日报): what it says now, who gets it and when, one sent at once, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web

from smsgw.admin import health_mail
from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.mails import sent_again
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import route
from smsgw.admin.words import health as words, statements as mail_words
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.health import queries, report, service
from smsgw.platform.health.model import HOUR, Mail, Plan
from smsgw.platform.health.queries import HEALTH_MAILS
from smsgw.platform.mailing import MOST_RECEIVERS
from smsgw.runtime import clock

PATH = "/health-mail"
SENT_PATH = f"{PATH}/sent"
VIEW, CHANGE = Permission.ALARM_VIEW, Permission.ALARM_EDIT
MENU = Entry("monitoring.health", PATH, VIEW, whole=True)
TABS = ((words.TAB_NOW, PATH), (words.TAB_SENT, SENT_PATH))
REPORT_SECONDS = 30.0
"""For which a preview is good for everybody: it counts, and looks at much."""


async def _whole(call: Call) -> Any:
    return () if call.actor.scope.whole is None else None


@route("GET", PATH, VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The report as it would be sent now; who sees some accounts alone is told nothing of the platform."""
    if await _whole(call) is None:
        raise web.HTTPNotFound
    context, now = call.portal.context, clock.now()
    day = now.astimezone(CHINA).date() - timedelta(days=1)
    found = await call.portal.remembered.get(
        ("health", day), REPORT_SECONDS, lambda: report.made(call.db, context.configured, day, day, clock.now())
    )
    lines, language = health_mail.lines(found, call.language), call.language
    return call.render(
        "monitoring/health.html", words=words, mail_words=mail_words, plan=await queries.plan(call.db), found=found,
        lines=lines, whole=health_mail.whole(found, language), tabs=TABS, path=PATH, edits=call.may(CHANGE),
        days=health_mail.days(found.first, found.last, language), mails=context.mails, opens=_opened(call, lines),
    )  # fmt: skip


def _opened(call: Call, lines: Sequence[health_mail.Line]) -> set[str]:
    """The pages with more that are in the person's menu, or below one that is."""
    known = {entry.path for group in call.menu.groups for entry in group.entries}
    found = {one.path: one.path.partition("?")[0] for one in lines if one.path}
    return {path for path, page in found.items() if page in known or page.rpartition("/")[0] in known}


# --- who gets it -----------------------------------------------------------------------------------------------------

_FORM = Form((Inputs((
    Input("emails", InputKind.LINES, help=words.EMAILS_HELP, most=260 * MOST_RECEIVERS),
    Input("health_hour", InputKind.NUMBER, required=True, least=0, most=23),
    Input("language", InputKind.CHOICE, choices=mail_words.LANGUAGE, required=True),
)),))  # fmt: skip


async def _plan(call: Call) -> Any:
    if await _whole(call) is None:
        return None
    return await queries.plan(call.db) or Plan((), "zh", HOUR, "", clock.now())


async def _set(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    emails = values["emails"].split()
    await service.set_plan(call.change(), emails, values["language"], int(values["health_hour"]))
    call.toast(call.gettext(words.SAVED if emails else words.GONE))
    return call.redirect(PATH)


SET = FormPage(
    f"{PATH}/edit", CHANGE, words.EDIT, words.SAVE, _FORM, _set, lambda _: PATH, _plan, about=words.EDIT_ABOUT,
    values=lambda plan: {"emails": "\n".join(plan.emails), "health_hour": plan.hour, "language": plan.language},
)  # fmt: skip


async def _ask(call: Call, _: Any, __: Mapping[str, Any]) -> web.Response:
    await service.ask(call.change())
    call.toast(call.gettext(words.ASKED))
    return call.redirect(SENT_PATH)


async def _ask_effect(_: Call, plan: Plan, __: Mapping[str, Any]) -> Effect:
    n = len(plan.emails)
    return Effect(words.ASK_EFFECT, {"n": n}) if n else Effect(words.ASK_NOBODY, nothing=True)


ASK = FormPage(
    f"{PATH}/ask", CHANGE, words.ASK, words.ASK, Form((Inputs(()),)), _ask, lambda _: PATH, _plan, effect=_ask_effect
)

# --- what became of them ---------------------------------------------------------------------------------------------

COLUMNS = (
    Column("health_day", sort=True, phone=Phone.SECOND, value=lambda one: one.day),
    Column("receiver", phone=Phone.TITLE),
    Column("mail_state", Cell.STATE, words=mail_words.STATE, tones=mail_words.TONE, phone=Phone.BESIDE,
           value=lambda one: one.state),
    Column("health_first", shown=False, phone=Phone.AWAY, value=lambda one: one.first),
    Column("health_asked", value=lambda one: one.asked_by, phone=Phone.THIRD),
    Column("tries", Cell.NUMBER), Column("begun_at", Cell.TIME, "last_mail"),
    Column("next_at", Cell.TIME, "next_mail", value=lambda one: one.next_at if one.state == "waiting" else None),
    Column("said", Cell.LONG, "answered", value=lambda one: one.answer),
    Column("digest", Cell.HASH, "text_digest", shown=False, phone=Phone.AWAY),
)  # fmt: skip


async def _detail(_: Call, one: Mail) -> Detail:
    return Detail(one.receiver, [Section(COLUMNS, one)])


SENT = ListPage(
    "health_mails", SENT_PATH, "monitoring.health_mails", VIEW,
    Filter((Field("mail_state", FieldKind.CHOICE, choices=mail_words.STATE), Field("receiver")), period=None), COLUMNS,
    listing=HEALTH_MAILS, detail=_detail, sort=Sort("health_day"),
    lead=words.SENT_LEAD, tabs=TABS,
    actions=(Action("again", words.AGAIN, CHANGE, lambda call, one: service.again(call.change(), one.id),
                    sent_again(words.AGAIN_EFFECT, words.AGAIN_SOME, words.AGAIN_NONE)),),
    empty=Empty(words.EMPTY, words.TEACH, words.EDIT, f"{PATH}/edit", CHANGE, icon="mail"),
)  # fmt: skip
