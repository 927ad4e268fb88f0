"""Number prefixes and ported numbers (P10.5, 号段与携号转网): the list, one more or less, and whose a number is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Filled, Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.pieces import field_alone
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.routing.route_table import whole
from smsgw.admin.rights import route
from smsgw.admin.words import messages, prefixes as words
from smsgw.admin.words.provinces import PROVINCES, chinese
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.routing import prefixes, service
from smsgw.platform.routing.model import CARRIERS
from smsgw.platform.routing.prefixes import OVERRIDES, WHOLE, Known, Override

PATH = "/prefixes"
IMPORTS_PATH = PATH + "/imports"
TABS = ((words.TAB_ENTRIES, PATH), (words.IMPORTS, IMPORTS_PATH))
MENU = Entry("routing.prefixes", PATH, Permission.NUMBER_VIEW)
_CARRIER = {carrier: messages.CARRIER[carrier] for carrier in CARRIERS}
FILTER = Filter(
    (Field("beginning", label="prefix_digits", hint="beginning"), Field("carrier", FieldKind.CHOICE, choices=_CARRIER),
     Field("source", FieldKind.CHOICE, "prefix_source", choices=words.SOURCE),
     Field("single", FieldKind.CHOICE, "prefix_single", choices=words.SINGLE)),
    period=None,
)  # fmt: skip


def shown(one: Override) -> str:
    """The digits; those of one number masked."""
    return mask(f"86{one.prefix}") if len(one.prefix) == WHOLE else one.prefix


COLUMNS = (
    Column("prefix_digits", Cell.CODE, value=shown, phone=Phone.TITLE),
    Column("carrier", Cell.WORD, words=messages.CARRIER, value=lambda one: one.carrier, phone=Phone.BESIDE),
    Column("province", Cell.WORD, words=PROVINCES, phone=Phone.SECOND),
    Column("prefix_source", Cell.WORD, words=words.SOURCE, value=lambda one: one.source, phone=Phone.SECOND),
    Column("prefix_code", Cell.CODE, value=lambda one: one.learned_code, phone=Phone.AWAY),
    Column("at", Cell.TIME, "prefix_since", sort=True, phone=Phone.THIRD),
)


async def _detail(_: Call, one: Override) -> Detail:
    return Detail(shown(one), [Section(COLUMNS, one)])


async def _remove_effect(_: Call, rows: Sequence[Override]) -> Effect:
    return Effect(words.REMOVE_EFFECT, {"n": f"{len(rows):,}"})


async def _remove(call: Call, one: Override) -> None:
    whole(call)
    await service.remove_override(call.change(), one.prefix)


PAGE = ListPage(
    "prefixes", PATH, "routing.prefixes", Permission.NUMBER_VIEW, FILTER, COLUMNS,
    listing=OVERRIDES, detail=_detail, sort=Sort("at"), lead=words.LEAD,
    actions=(Action("remove", words.REMOVE, Permission.NUMBER_EDIT, _remove, _remove_effect, danger=True),),
    links=((words.LOOK_UP, f"{PATH}/-/look-up", Permission.NUMBER_VIEW),
           (words.IMPORT, f"{PATH}/-/import", Permission.NUMBER_EDIT),
           (words.SET, f"{PATH}/-/set", Permission.NUMBER_EDIT)),
    links_whole=True, tabs=TABS,
    empty=Empty(words.EMPTY, words.TEACHES, words.SET, f"{PATH}/-/set", Permission.NUMBER_EDIT, icon="hash"),
)  # fmt: skip

# --- one more --------------------------------------------------------------------------------------------------------


async def _asked(call: Call) -> Mapping[str, Any]:
    whole(call)
    return {}


async def _effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    prefix, carrier = values["prefix_digits"], values["carrier"]
    before = await prefixes.of(call.db, prefix)
    n, moved = await prefixes.named(call.db, prefix, carrier)
    told = {
        "prefix": prefix, "carrier": call.gettext(messages.CARRIER[carrier]), "n": f"{n:,}", "moved": f"{moved:,}",
        "before": call.gettext(messages.CARRIER[before.carrier]) if before else "",
    }  # fmt: skip
    return Effect(words.EFFECT_REPLACES if before else words.EFFECT, told)


async def _save(call: Call, _: Any, values: Mapping[str, Any]) -> web.StreamResponse:
    await prefixes.put(call.change(), values["prefix_digits"], values["carrier"], chinese(values["province"] or ""))
    call.toast(call.gettext(words.SAVED))
    return call.redirect(PATH)


SET = FormPage(
    PATH + "/-/set", Permission.NUMBER_EDIT, words.SET_TITLE, words.SET,
    Form((Inputs((
        Input("prefix_digits", required=True, most=WHOLE, pattern=r"1[0-9]{2,10}", problem=words.PREFIX_HELP,
              help=words.PREFIX_HELP),
        Input("carrier", InputKind.CHOICE, required=True, choices=_CARRIER),
        Input("province", most=20, help=words.PROVINCE_HELP),
    )),)),
    _save, lambda _: PATH, _asked, values=lambda values: values, effect=_effect,
)  # fmt: skip

# --- whose a number is -----------------------------------------------------------------------------------------------

_FORM = Form((Inputs((Input("number", InputKind.PHONE, required=True),)),))


@route("GET", PATH + "/-/look-up", Permission.NUMBER_VIEW)
async def look_up(call: Call) -> web.StreamResponse:
    """The form."""
    return _page(call, _FORM.blank())


@route("POST", PATH + "/-/look-up", Permission.NUMBER_VIEW)
async def looked_up(call: Call) -> web.StreamResponse:
    """What is known of the number, and by which rule."""
    data = await call.request.post()
    filled = _FORM.read(data)
    if alone := field_alone(call, filled, data):
        return alone
    if not filled.good:
        return _page(call, filled)
    number = filled.values["number"]
    await call.reads("prefixes.look_up", f"number/{mask(number)}")
    known = await prefixes.look_up(call.db, call.portal.context.segments, number)
    return _page(call, filled, mask(number), known)


def _page(call: Call, filled: Filled, number: str = "", known: Known | None = None) -> web.Response:
    by = instead = learned = ""
    if known is not None:
        entry = known.entry
        by = call.filled(words.BY[known.by], {"prefix": entry.prefix if entry else ""})
        if known.segment:
            instead = call.filled(words.INSTEAD, {"carrier": call.gettext(messages.CARRIER[known.segment])})
        if entry and entry.learned_code:
            learned = call.filled(words.LEARNED, {"code": entry.learned_code})
    return call.render(
        "routing/prefix_look_up.html", status=200 if filled.good else 422, filled=filled, number=number, known=known,
        by=by, instead=instead, learned=learned, prefix_words=words,
    )  # fmt: skip
