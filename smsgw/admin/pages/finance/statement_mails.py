"""Statements as files and mails (对账单): taken away as PDF, sent each month to who is named, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from aiohttp import web

from smsgw.admin import statement_pdf
from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Empty, ListPage
from smsgw.admin.kit.mails import sent_again
from smsgw.admin.kit.people import not_by_person, own_accounts, whole_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.records.statements import MAILS, PATH, PDF, RECEIVERS, TABS
from smsgw.admin.rights import Proof
from smsgw.admin.words import kit as kit_words, people as people_words, statements as words
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.mailing import MOST_RECEIVERS
from smsgw.platform.statements import queries, service
from smsgw.platform.statements.model import LEAST_REASON, MONTHS, MOST_REASON, NAMES_RECEIVERS, Mail, Receivers
from smsgw.runtime import clock

_RECEIVERS_NEW, _ONE = f"{RECEIVERS}/-/new", "{id:[0-9]{1,19}}"


def months() -> dict[str, str]:
    """Those that can be asked for, this one first."""
    day, found = clock.now().astimezone(CHINA).date().replace(day=1), dict[str, str]()
    for _ in range(MONTHS):
        found[f"{day:%Y-%m}"] = f"{day:%Y-%m}"
        day = (day - timedelta(days=1)).replace(day=1)
    return found


# --- as a file -------------------------------------------------------------------------------------------------------

_REASON = Input("reason", required=True, least=LEAST_REASON, most=MOST_REASON)
_PDF_FORM = Form(
    (
        Inputs(
            (
                Input("month", InputKind.CHOICE, required=True),
                Input("account", InputKind.CHOICE, required=True),
                _REASON,
            )
        ),
    )
)


async def _pdf_choices(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    return {"month": months(), "account": whole_accounts(call)}


async def _pdf_subject(call: Call) -> dict[str, str]:
    """What the page of statements shows is proposed."""
    given = call.request.query
    return {"month": given.get("month", next(iter(months()))), "account": given.get("account", "")}


async def _pdf(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    month = date.fromisoformat(f"{values['month']}-01")
    one = await service.take(call.change(), int(values["account"]), month, values["reason"])
    told = {"platform": call.owner, "who": call.actor.label, "why": values["reason"],
            "when": f"{one.made_at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"}  # fmt: skip
    mark = call.filled(kit_words.WATERMARK, told)
    octets = await asyncio.to_thread(statement_pdf.made, one, call.gettext, call.owner, mark)
    name = quote(f"{call.gettext(words.TITLE)}-{one.name}-{month:%Y%m}.pdf")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Cache-Control": "no-store"}
    return web.Response(body=octets, content_type="application/pdf", headers=headers)


TAKE = FormPage(
    PDF, Permission.STATISTICS_EXPORT, words.PDF_TITLE, words.PDF, _PDF_FORM, _pdf, lambda _: PATH, _pdf_subject,
    values=lambda values: values, choices=_pdf_choices, about=words.PDF_ABOUT, step_up=Proof.FACTOR,
)  # fmt: skip

# --- who gets them ---------------------------------------------------------------------------------------------------

RECEIVER_COLUMNS = (
    Column("account", Cell.USER, sort=True, phone=Phone.TITLE, value=lambda one: (one.name, one.account)),
    Column("emails", Cell.TAGS, phone=Phone.SECOND), Column("language", Cell.WORD, words=words.LANGUAGE),
    Column("changed_by", phone=Phone.AWAY), Column("updated_at", Cell.TIME, value=lambda one: one.changed_at),
)  # fmt: skip


async def _receiver_detail(call: Call, one: Receivers) -> Detail:
    links = [(words.RECEIVERS_EDIT, f"{RECEIVERS}/{one.id}/edit")] if all(map(call.may, NAMES_RECEIVERS)) else []
    return Detail(one.name, [Section(RECEIVER_COLUMNS, one)], links=links)


LIST = ListPage(
    "statement_receivers", RECEIVERS, "finance.statement_receivers", Permission.STATISTICS_VIEW,
    Filter((), period=None), RECEIVER_COLUMNS,
    listing=queries.RECEIVERS, detail=_receiver_detail,
    sort=Sort("account", descending=False), lead=words.RECEIVERS_LEAD, tabs=TABS,
    notice=not_by_person,
    links=((words.RECEIVERS_NEW, _RECEIVERS_NEW, Permission.ACCOUNT_EDIT),),
    empty=Empty(words.RECEIVERS_EMPTY, words.RECEIVERS_TEACH, words.RECEIVERS_NEW, _RECEIVERS_NEW,
                Permission.ACCOUNT_EDIT), links_need=NAMES_RECEIVERS,
)  # fmt: skip
_EMAILS = Input("emails", InputKind.LINES, help=words.EMAILS_HELP, most=260 * MOST_RECEIVERS)
_LANGUAGE = Input("language", InputKind.CHOICE, choices=words.LANGUAGE, required=True)
_NEW_FORM = Form((Inputs((Input("account", InputKind.CHOICE, required=True), _EMAILS, _LANGUAGE, _REASON)),))
_EDIT_FORM = Form((Inputs((_EMAILS, _LANGUAGE, _REASON)),))


def _demand(call: Call) -> None:
    """``PERMISSION_DENIED``, before the form is shown."""
    for permission in NAMES_RECEIVERS:
        call.actor.require(permission)


async def _allowed(call: Call) -> tuple[()]:
    _demand(call)
    return ()


async def _accounts(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    return {"account": whole_accounts(call)}


async def _set(call: Call, account_id: int, values: Mapping[str, Any]) -> web.Response:
    emails: Sequence[str] = values["emails"].split()
    await service.set_receivers(call.change(), account_id, emails, values["language"], values["reason"])
    call.toast(call.gettext(words.RECEIVERS_SAVED if emails else words.RECEIVERS_GONE))
    return call.redirect(RECEIVERS)


async def _subject(call: Call) -> Receivers | None:
    _demand(call)
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await queries.RECEIVERS.get(call.db, call.actor, id_)


NEW = FormPage(
    _RECEIVERS_NEW, Permission.ACCOUNT_EDIT, words.RECEIVERS_NEW, people_words.SAVE, _NEW_FORM,
    lambda call, _, values: _set(call, int(values["account"]), values), lambda _: RECEIVERS, _allowed,
    values=lambda _: {"language": "zh"}, choices=_accounts, about=words.RECEIVERS_LEAD, step_up=Proof.FACTOR,
)  # fmt: skip
EDIT = FormPage(
    f"{RECEIVERS}/{_ONE}/edit", Permission.ACCOUNT_EDIT, words.RECEIVERS_EDIT, people_words.SAVE, _EDIT_FORM,
    lambda call, one, values: _set(call, one.id, values), lambda _: RECEIVERS, _subject, lead=lambda one: one.name,
    values=lambda one: {"emails": "\n".join(one.emails), "language": one.language}, step_up=Proof.FACTOR,
)  # fmt: skip

# --- what became of them ---------------------------------------------------------------------------------------------

MAIL_FILTER = Filter(
    (Field("account", FieldKind.CHOICE), Field("mail_state", FieldKind.CHOICE, choices=words.STATE),
     Field("month", FieldKind.CHOICE), Field("receiver")),
    period=None,
)  # fmt: skip
MAIL_COLUMNS = (
    Column("month", sort=True, phone=Phone.SECOND, value=lambda one: f"{one.month:%Y-%m}"),
    Column("account", Cell.USER, phone=Phone.SECOND, value=lambda one: (one.name, one.account)),
    Column("receiver", phone=Phone.TITLE),
    Column("mail_state", Cell.STATE, words=words.STATE, tones=words.TONE, phone=Phone.BESIDE,
           value=lambda one: one.state),
    Column("tries", Cell.NUMBER), Column("begun_at", Cell.TIME, "last_mail"),
    Column("next_at", Cell.TIME, "next_mail", value=lambda one: one.next_at if one.state == "waiting" else None),
    Column("said", Cell.LONG, "answered", value=lambda one: one.answer),
    Column("digest", Cell.HASH, "file_digest", shown=False, phone=Phone.AWAY),
)  # fmt: skip


async def _mail_choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"month": months(), "account": own_accounts(call)}


async def _mail_detail(_: Call, one: Mail) -> Detail:
    return Detail(one.receiver, [Section(MAIL_COLUMNS, one)])


SENT = ListPage(
    "statement_mails", MAILS, "finance.statement_mails", Permission.STATISTICS_VIEW, MAIL_FILTER, MAIL_COLUMNS,
    listing=queries.MAILS, detail=_mail_detail, choices=_mail_choices,
    sort=Sort("month"), lead=words.MAILS_LEAD, tabs=TABS, wide=True, export=Permission.STATISTICS_EXPORT,
    notice=not_by_person,
    actions=(Action("again", words.AGAIN, Permission.ACCOUNT_EDIT,
                    lambda call, one: service.again(call.change(), one.id),
                    sent_again(words.AGAIN_EFFECT, words.AGAIN_SOME, words.AGAIN_NONE)),),
    empty=Empty(words.MAILS_EMPTY, words.MAILS_TEACH),
)  # fmt: skip
