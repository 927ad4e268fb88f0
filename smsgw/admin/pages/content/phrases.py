"""Phrases (P3.9, 日常用语): texts that people keep, for themselves or shared, and put into messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.pieces import in_dialog
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import route
from smsgw.admin.words import content as words
from smsgw.core.permissions import Permission
from smsgw.platform import phrases
from smsgw.platform.org import queries as org
from smsgw.platform.phrases import MOST, MOST_CONTENT, MOST_TITLE, PHRASES, Phrase, PhraseDraft, PhraseScope

PATH = "/phrases"
_NEW, _ONE = f"{PATH}/-/new", "{id:[0-9]{1,19}}"
MENU = Entry("content.phrases", PATH, Permission.MESSAGE_SEND)
FILTER = Filter(
    (
        Field("title"), Field("content"), Field("scope", FieldKind.CHOICE, "used_by", words.PHRASE_SCOPE),
        Field("account", FieldKind.CHOICE, more=True), Field("department", FieldKind.CHOICE, more=True),
        Field("created_by", more=True),
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("title", sort=True, phone=Phone.TITLE),
    Column("content", Cell.LONG, phone=Phone.SECOND),
    Column("scope", Cell.STATE, "used_by", words=words.PHRASE_SCOPE, tones=words.PHRASE_TONE, phone=Phone.BESIDE),
    Column("shared_with"),
    Column("owner", label="created_by"),
    Column("updated_at", Cell.TIME, sort=True),
)


async def _detail(call: Call, one: Phrase) -> Detail:
    links = [(words.PHRASE_EDIT, f"{PATH}/{one.id}/edit")] if phrases.manages(call.actor, one) else []
    return Detail(one.title, [Section(COLUMNS[1:], one)], links=links)


async def _choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    """Accounts of which the person sees something; departments in the scope, and the own one."""
    departments = {str(one.id): one.name for one in await org.departments(call.db, call.actor.scope)}
    if own := await phrases.own_department(call.db, call.actor):
        departments.setdefault(str(own[0]), own[1])
    return {"account": own_accounts(call), "department": departments}


async def _remove_effect(_: Call, rows: Sequence[Phrase]) -> Effect:
    names = ", ".join(one.title for one in rows[:5])
    return Effect(words.PHRASE_REMOVE_EFFECT, {"n": len(rows), "names": names})


PAGE = ListPage(
    "phrases", PATH, "content.phrases", Permission.MESSAGE_SEND, FILTER, COLUMNS, choices=_choices, detail=_detail,
    listing=PHRASES, sort=Sort("updated_at"), lead=words.PHRASES_LEAD,
    actions=(Action("remove", words.PHRASE_REMOVE, Permission.MESSAGE_SEND,
                    lambda call, one: phrases.remove(call.change(), one.id), _remove_effect, danger=True),),
    links=((words.PHRASE_NEW, _NEW, Permission.MESSAGE_SEND),),
    empty=Empty(words.PHRASES_EMPTY, words.PHRASES_TEACH, words.PHRASE_NEW, _NEW, Permission.MESSAGE_SEND,
                icon="message-2"),
)  # fmt: skip

# --- putting one into a message --------------------------------------------------------------------------------------


@route("GET", f"{PATH}/-/pick", Permission.MESSAGE_SEND)
async def pick(call: Call) -> web.StreamResponse:
    """What can be put into the text that is being written; in a dialog."""
    found = await phrases.usable(call.db, call.actor, limit=MOST)
    return call.render(
        "content/pick.html", phrases=found, scopes=words.PHRASE_SCOPE, tones=words.PHRASE_TONE, dialog=in_dialog(call)
    )


# --- changes ---------------------------------------------------------------------------------------------------------

_FORM = Form((Inputs((
    Input("title", required=True, most=MOST_TITLE),
    Input("content", InputKind.LINES, required=True, most=MOST_CONTENT),
    Input("scope", InputKind.CHOICE, "used_by", words.PHRASE_SCOPE_HELP, choices=words.PHRASE_SCOPE, required=True),
    Input("department", InputKind.CHOICE), Input("account", InputKind.CHOICE),
)),))  # fmt: skip
_NEEDED = {PhraseScope.DEPARTMENT: words.CHOOSE_DEPARTMENT, PhraseScope.ACCOUNT: words.CHOOSE_ACCOUNT}


def _draft(values: Mapping[str, Any]) -> PhraseDraft:
    """What was typed; a choice that its scope does not ask for does not count."""
    scope = PhraseScope(values["scope"])
    if scope in _NEEDED and not values[scope.value]:
        raise Wrong(scope.value, Problem(_NEEDED[scope]))
    department, account = (
        int(values[one.value]) if scope is one else None for one in (PhraseScope.DEPARTMENT, PhraseScope.ACCOUNT)
    )
    return PhraseDraft(values["title"], values["content"], scope, department, account)


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    await phrases.add(call.change(), _draft(values))
    call.toast(call.gettext(words.PHRASE_SAVED))
    return call.redirect(PATH)


async def _subject(call: Call) -> Phrase | None:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await PHRASES.get(call.db, call.actor, id_)
    return one if one is not None and phrases.manages(call.actor, one) else None


async def _put(call: Call, one: Phrase, values: Mapping[str, Any]) -> web.Response:
    await phrases.put(call.change(), one.id, _draft(values))
    call.toast(call.gettext(words.PHRASE_SAVED))
    return call.redirect(f"{PATH}/{one.id}")


NEW = FormPage(
    _NEW, Permission.MESSAGE_SEND, words.PHRASE_NEW, words.SAVE, _FORM, _add, lambda _: PATH, choices=_choices,
    values=lambda _: {"scope": PhraseScope.OWN.value},
)  # fmt: skip
EDIT = FormPage(
    f"{PATH}/{_ONE}/edit", Permission.MESSAGE_SEND, words.PHRASE_EDIT, words.SAVE, _FORM, _put,
    lambda one: f"{PATH}/{one.id}", _subject, choices=_choices,
    values=lambda one: {"title": one.title, "content": one.content, "scope": one.scope,
                        "department": one.department_id, "account": one.account_id},
)  # fmt: skip
