"""Contacts (P4.1, 联系人): the address book with its groups, tags and sharing; merging two contacts into one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry as MenuEntry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import audience as words
from smsgw.core.errors import Refused
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.audience import book, book_queries as queries
from smsgw.platform.audience.model import MOST_CONTACTS_PICKED, Entry, EntryDraft, Shared, Sharing, WantedEntries
from smsgw.platform.drafts import service as drafts
from smsgw.platform.drafts.model import Kind as Sends, Source, State
from smsgw.platform.org import queries as org
from smsgw.platform.phrases import own_department

PATH, GROUPS, SEGMENTS = "/contacts", "/contacts/groups", "/contacts/segments"
TABS = ((words.CONTACTS, PATH), (words.GROUPS, GROUPS), (words.SEGMENTS, SEGMENTS))
_ONE = f"{PATH}/{{id:[0-9]{{1,19}}}}"
MENU = MenuEntry("audience.contacts", PATH, Permission.CONTACT_VIEW)
FILTER = Filter(
    (
        Field("number", FieldKind.PHONE), Field("name", label="contact_name"),
        Field("group", FieldKind.CHOICE, "contact_group"), Field("tag"),
        Field("account", FieldKind.CHOICE, more=True),
        Field("shared", FieldKind.CHOICE, "used_by", words.SHARED, more=True),
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("name", label="contact_name", sort=True, phone=Phone.TITLE),
    Column("number", Cell.PHONE, phone=Phone.SECOND),
    Column("groups", Cell.TAGS, "contact_groups", phone=Phone.SECOND),
    Column("tags", Cell.TAGS, phone=Phone.THIRD),
    Column(
        "state", Cell.STATE, "number_state", words=words.NUMBER_STATE, tones=words.NUMBER_STATE_TONE, phone=Phone.BESIDE
    ),
    Column("account", phone=Phone.AWAY),
    Column("shared", Cell.STATE, "used_by", words=words.SHARED, tones=words.SHARED_TONE, phone=Phone.AWAY),
    Column("owner", label="created_by", shown=False, phone=Phone.AWAY),
    Column("updated_at", Cell.TIME, phone=Phone.AWAY),
    Column("at", Cell.NUMBER, "id", sort=True, value=lambda one: one.id, shown=False, phone=Phone.AWAY),
)
_MORE = (
    Column("department", label="shared_with"),
    Column("owner", label="created_by"),
    Column("state_at", Cell.TIME, "seen_at"),
)


def _wanted(found: Found) -> WantedEntries:
    group, account = (int(found.get(key)) if found.get(key) else None for key in ("group", "account"))
    return WantedEntries(found.get("number"), found.get("name"), found.get("tag"), group, account, found.get("shared"))


async def group_choices(call: Call) -> Mapping[str, str]:
    """Groups that the person sees; with their account when there is more than one of these."""
    return _named(await queries.choices(call.db, call.actor))


async def open_group_choices(call: Call) -> Mapping[str, str]:
    """Groups of which the person says who is in them."""
    return _named(await book.open_groups(call.db, call.actor))


def _named(rows: Sequence[Any]) -> dict[str, str]:
    several = len({row["account_id"] for row in rows}) > 1
    return {str(row["id"]): f"{row['name']} · {row['account']}" if several else row["name"] for row in rows}


async def department_choices(call: Call) -> Mapping[str, str]:
    """Departments that the person may share with: those in the scope and the own one."""
    found = {str(one.id): one.name for one in await org.departments(call.db, call.actor.scope)}
    if own := await own_department(call.db, call.actor):
        found.setdefault(str(own[0]), own[1])
    return found


async def choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    """What the filter offers."""
    return {"account": own_accounts(call), "group": await group_choices(call)}


async def form_choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    """What forms offer."""
    groups = await open_group_choices(call)
    return {
        "account": own_accounts(call), "group": groups, "groups": groups, "department": await department_choices(call)
    }  # fmt: skip


async def _detail(call: Call, one: Entry) -> Detail:
    may = call.may(Permission.CONTACT_EDIT) and book.manages(call.actor, one)
    links = [(words.CONTACT_EDIT, f"{PATH}/{one.id}/edit"), (words.CONTACT_MERGE, f"{PATH}/{one.id}/merge")]
    sections = [Section((*COLUMNS[:-3], *_MORE, COLUMNS[-2]), one)]
    if one.fields:
        held = {"fields": [f"{key}={value}" for key, value in one.fields.items()]}
        sections.append(Section((Column("fields", Cell.TAGS),), held))
    return Detail(one.name or mask(one.number), sections, links=links if may else [])


def _names(rows: Sequence[Entry]) -> str:
    return ", ".join(one.name or mask(one.number) for one in rows[:5])


def _effect(text: str) -> Any:
    async def tell(_: Call, rows: Sequence[Entry]) -> Effect:
        return Effect(text, {"n": len(rows), "names": _names(rows)})

    return tell


async def _share(call: Call, one: Entry) -> None:
    own = await own_department(call.db, call.actor)
    if own is None:
        raise Refused("NOT_FOUND")
    await book.share(call.change(), one.id, Sharing(Shared.DEPARTMENT, own[0]))


async def _unshare(call: Call, one: Entry) -> None:
    await book.share(call.change(), one.id, Sharing(Shared.OWN))


async def _send(call: Call, rows: Sequence[Entry]) -> str:
    """A new sending to these contacts, which begins with its text."""
    accounts = {one.account_id for one in rows}
    if len(accounts) > 1:
        raise Refused("STATE_CONFLICT", reason=phrase("contact.accounts"))
    if len(rows) > MOST_CONTACTS_PICKED:
        raise Refused("STATE_CONFLICT", reason=phrase("contact.many", most=MOST_CONTACTS_PICKED))
    picked = [str(one.id) for one in rows]
    state = State(account=str(accounts.pop()), source=Source.AUDIENCE.value, contacts=picked)
    draft = await drafts.begin(call.change(), secrets.token_urlsafe(18), Sends.SAME, state, ())
    return f"/send/{draft.id}/content"


PAGE = ListPage(
    "contacts", PATH, "audience.contacts", Permission.CONTACT_VIEW, FILTER, COLUMNS, choices=choices, detail=_detail,
    rows=lambda db, actor, found, window: queries.search(db, actor, _wanted(found), window),
    count=lambda db, actor, found, most: queries.how_many(db, actor, _wanted(found), most),
    one=lambda db, actor, id_: queries.one(db, actor, id_), sort=Sort("at"), lead=words.CONTACTS_LEAD, tabs=TABS,
    actions=(
        Action("send", words.CONTACT_SEND, Permission.MESSAGE_SEND, _send, _effect(words.CONTACT_SEND_EFFECT),
               goes=True),
        Action("share", words.CONTACT_SHARE, Permission.CONTACT_EDIT, _share, _effect(words.CONTACT_SHARE_EFFECT)),
        Action("unshare", words.CONTACT_UNSHARE, Permission.CONTACT_EDIT, _unshare,
               _effect(words.CONTACT_UNSHARE_EFFECT)),
        Action("remove", words.CONTACT_REMOVE, Permission.CONTACT_EDIT,
               lambda call, one: book.remove(call.change(), one.id), _effect(words.CONTACT_REMOVE_EFFECT), danger=True),
    ),
    links=((words.CONTACT_NEW, f"{PATH}/-/new", Permission.CONTACT_EDIT),
           (words.CONTACT_IMPORT, f"{PATH}/-/import", Permission.CONTACT_EDIT)),
    export=Permission.CONTACT_EXPORT, whole="contact",
    empty=Empty(words.CONTACTS_EMPTY, words.CONTACTS_TEACH, words.CONTACT_IMPORT, f"{PATH}/-/import",
                Permission.CONTACT_EDIT, icon="users"),
)  # fmt: skip

# --- changes ---------------------------------------------------------------------------------------------------------


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        if line.strip():
            key, _, value = line.replace("＝", "=").partition("=")
            found[key.strip()] = value.strip()
    return found


def _pairs_problem(text: str) -> Problem | None:
    for n, line in enumerate(text.splitlines(), 1):
        key, sign, _ = line.replace("＝", "=").partition("=")
        if line.strip() and (not sign or not key.strip()):
            return Problem(words.BAD_FIELDS, {"line": n})
    return None


SHARING = (
    Input("scope", InputKind.CHOICE, "used_by", words.SHARED_HELP, required=True, choices=words.SHARED),
    Input("department", InputKind.CHOICE, "shared_with", words.DEPARTMENT_SHARED_HELP),
)
_NUMBER = Input("number", InputKind.PHONE, required=True)
_BODY = (
    Input("name", label="contact_name", most=book.MAX_NAME),
    Input("groups", InputKind.CHOICES, "contact_groups", words.GROUPS_HELP),
    Input("tags", help=words.TAGS_HELP, most=700),
    Input("fields", InputKind.LINES, help=words.FIELDS_HELP, most=8000, check=_pairs_problem),
)
_NEW = Form((Inputs((Input("account", InputKind.CHOICE, required=True), _NUMBER, *_BODY)), Inputs(SHARING)))
_EDIT = Form((Inputs((Input("number", InputKind.PHONE, help=words.KEEP_NUMBER_HELP), *_BODY)), Inputs(SHARING)))


def sharing(values: Mapping[str, Any]) -> Sharing:
    """Whom something shall be for."""
    department = int(values["department"]) if values["department"] and values["scope"] == Shared.DEPARTMENT else None
    return Sharing(Shared(values["scope"]), department)


def _draft(account_id: int, values: Mapping[str, Any]) -> EntryDraft:
    tags = tuple(values["tags"].replace("，", ",").replace("、", ",").split(","))
    groups = tuple(int(one) for one in values["groups"])
    return EntryDraft(
        account_id, values["number"], values["name"], tags, _pairs(values["fields"]), groups, sharing(values)
    )


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    id_ = await book.add(call.change(), _draft(int(values["account"]), values))
    call.toast(call.gettext(words.CONTACT_SAVED))
    return call.redirect(f"{PATH}/{id_}")


async def _own(call: Call) -> Entry | None:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await queries.one(call.db, call.actor, id_)
    return one if one is not None and book.manages(call.actor, one) else None


async def _put(call: Call, one: Entry, values: Mapping[str, Any]) -> web.Response:
    number = values["number"] or one.number  # which no form shows whole
    await book.put(call.change(), one.id, _draft(one.account_id, {**values, "number": number}))
    call.toast(call.gettext(words.CONTACT_SAVED))
    return call.redirect(f"{PATH}/{one.id}")


async def _edit_choices(call: Call, one: Entry) -> Mapping[str, Mapping[str, str]]:
    rows = await queries.choices(call.db, call.actor, one.account_id)
    open_ = {row["id"] for row in await book.open_groups(call.db, call.actor, one.account_id)} | set(one.group_ids)
    groups = {str(row["id"]): row["name"] for row in rows if row["id"] in open_}
    return {"groups": groups, "department": await department_choices(call)}


def _values(one: Entry) -> Mapping[str, Any]:
    return {
        "name": one.name, "tags": ", ".join(one.tags),
        "fields": "\n".join(f"{key}={value}" for key, value in one.fields.items()), "scope": one.shared,
        "department": one.department_id, "groups": one.group_ids,
    }  # fmt: skip


async def _merge_with(call: Call, one: Entry, values: Mapping[str, Any]) -> Entry:
    other = await queries.of_number(call.db, call.actor, one.account_id, values["number"])
    if other is None:
        raise Wrong("number", Problem(words.NO_CONTACT))
    return other


async def _merge(call: Call, one: Entry, values: Mapping[str, Any]) -> web.Response:
    await book.merge(call.change(), one.id, (await _merge_with(call, one, values)).id)
    call.toast(call.gettext(words.CONTACT_MERGED))
    return call.redirect(f"{PATH}/{one.id}")


def _told(one: Entry) -> str:
    return f"{one.name} {mask(one.number)}".strip()


async def _merge_effect(call: Call, one: Entry, values: Mapping[str, Any]) -> Effect:
    return Effect(words.CONTACT_MERGE_EFFECT, {"gone": _told(await _merge_with(call, one, values)), "kept": _told(one)})


ADD = FormPage(
    f"{PATH}/-/new", Permission.CONTACT_EDIT, words.CONTACT_NEW, words.CONTACT_SAVE, _NEW, _add, lambda _: PATH,
    choices=form_choices, values=lambda _: {"scope": Shared.ACCOUNT.value},
)  # fmt: skip
EDIT = FormPage(
    f"{_ONE}/edit", Permission.CONTACT_EDIT, words.CONTACT_EDIT, words.CONTACT_SAVE, _EDIT, _put,
    lambda one: f"{PATH}/{one.id}", _own, _values, _edit_choices, lead=_told,
)  # fmt: skip
MERGE = FormPage(
    f"{_ONE}/merge", Permission.CONTACT_EDIT, words.CONTACT_MERGE_TITLE, words.CONTACT_MERGE,
    Form((Inputs((Input("number", InputKind.PHONE, "merge_number", words.CONTACT_MERGE_HELP, required=True),)),)),
    _merge, lambda one: f"{PATH}/{one.id}", _own, effect=_merge_effect, lead=_told, danger=True,
)  # fmt: skip
