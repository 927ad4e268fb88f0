"""Who has opened short links (P5.4, 访问详情): when, from where, with what, and whether it was a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.links import lines
from smsgw.admin.words import agents, provinces, short_links as words
from smsgw.core.permissions import Permission
from smsgw.core.pseudonyms import is_pseudonym
from smsgw.core.user_agent import device_of, hardware_of
from smsgw.platform.links import queries, service
from smsgw.platform.links.model import LinkKind, Visit
from smsgw.platform.links.queries import WantedVisits
from smsgw.runtime import clock

PATH = lines.VISITS
_JUDGE = f"{PATH}/-/judge"
MENU = Entry("links.visits", PATH, Permission.LINK_VIEW)
FILTER = Filter(
    (
        Field("link", FieldKind.ID, "link_id"), Field("account", FieldKind.CHOICE),
        Field("verdict", FieldKind.CHOICE, choices=words.VERDICTS),
        Field("province", label="link_province", more=True), Field("n", FieldKind.ID, "link_n", more=True),
    ),
    Period("7d", most_days=31),
)  # fmt: skip


def _address(one: Visit) -> str:
    return words.ADDRESS_GONE if is_pseudonym(one.address) else one.address


def _region(one: Visit) -> provinces.Region | str:
    """Of IPv6 addresses nothing is known; of what is not judged yet nobody has looked."""
    if one.province or one.city:
        return provinces.Region(one.province, one.city)
    return words.UNKNOWN if one.verdict else ""


COLUMNS = (
    Column("clicked_at", Cell.TIME, "time", value=lambda one: one.at, sort=True, phone=Phone.TITLE),
    Column("verdict", Cell.STATE, words=words.VERDICT | {"open": words.VERDICT[""]},
           tones=words.VERDICT_TONE | {"open": "secondary"}, value=lambda one: one.verdict or "open",
           phone=Phone.BESIDE),
    Column("link", Cell.LINK, "link_name", value=lambda one: (one.link, f"{lines.PATH}/{one.link_id}"),
           phone=Phone.SECOND),
    Column("account", shown=False, phone=Phone.AWAY),
    Column("link_n", Cell.NUMBER, value=lambda one: one.n + 1 if one.kind is LinkKind.PERSONAL else None,
           shown=False, phone=Phone.AWAY),
    Column("number", Cell.PHONE, phone=Phone.AWAY, permission=Permission.MESSAGE_VIEW),
    Column("province", Cell.WORD, "link_region", words=words.REGION, value=_region, phone=Phone.SECOND),
    Column("hardware", Cell.WORD, words=words.HARDWARE, value=lambda one: hardware_of(one.agent), phone=Phone.SECOND),
    Column("system", Cell.WORD, words=agents.SYSTEMS, value=lambda one: device_of(one.agent).system, phone=Phone.AWAY),
    Column("browser", Cell.WORD, words=agents.BROWSERS, value=lambda one: device_of(one.agent).browser,
           phone=Phone.SECOND),
    Column("visited_from", Cell.WORD, words={words.ADDRESS_GONE: words.ADDRESS_GONE}, value=_address,
           phone=Phone.AWAY),
    Column("referer", Cell.LONG, phone=Phone.AWAY),
    Column("link_version", Cell.NUMBER, value=lambda one: one.version, shown=False, phone=Phone.AWAY),
    Column("agent", Cell.LONG, shown=False, phone=Phone.AWAY),
)  # fmt: skip


def _wanted(found: Found) -> WantedVisits:
    first, until = found.times
    account = int(found.get("account")) if found.get("account") else None
    n = found.get("n", None)
    return WantedVisits(
        first, until, found.get("link", None), account, None if n is None else min(n - 1, 2**31 - 1),
        found.get("verdict"), provinces.chinese(found.get("province")),
    )  # fmt: skip


PAGE = ListPage(
    "link_clicks", PATH, "links.visits", Permission.LINK_VIEW, FILTER, COLUMNS, choices=account_choices,
    rows=lambda db, actor, found, window: queries.visits_of(db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: queries.how_many_visits(db, _wanted(found), most, accounts=actor.scope.whole),
    sort=Sort("clicked_at"), lead=words.VISITS_LEAD, wide=True, export=Permission.LINK_EXPORT,
    links=((words.JUDGE, _JUDGE, Permission.LINK_DECIDE),), links_whole=True, links_quiet=True,
    empty=Empty(words.VISITS_EMPTY, words.VISITS_TEACH, icon="activity"),
)  # fmt: skip


async def _whole(call: Call) -> tuple[()] | None:
    """It is of all accounts: not for who sees some of them alone."""
    return () if call.actor.scope.whole is None else None


async def _judge(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    now = clock.now()
    n = await service.judge_again(call.change(), now - timedelta(days=int(values["days"])), now)
    call.toast(call.filled(words.JUDGED, {"n": f"{n:,}"}))
    return call.redirect(PATH)


async def _judge_effect(_: Call, __: Any, values: Mapping[str, Any]) -> Effect:
    return Effect(words.JUDGE_EFFECT, {"days": values["days"]})


JUDGE = FormPage(
    _JUDGE,
    Permission.LINK_DECIDE,
    words.JUDGE_TITLE,
    words.JUDGE,
    Form((Inputs((Input("days", InputKind.CHOICE, "time", required=True, choices=words.DAYS),)),)),
    _judge,
    lambda _: PATH,
    _whole,
    values=lambda _: {"days": "1"},
    effect=_judge_effect,
    about=words.JUDGE_ABOUT,
)
