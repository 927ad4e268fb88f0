"""Requests to carriers (P4.2): what they were asked to lift, and how far that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, read_id
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, reason_of
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.audience.blocked import TABS, WHY
from smsgw.admin.rights import Proof, route
from smsgw.admin.words import audience, messages, why
from smsgw.core.ids import CHINA
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.lists import carrier as service
from smsgw.platform.lists.carrier import CarrierLift, LiftState, WantedLifts

PATH = "/lifts"
FILTER = Filter(
    (Field("number", FieldKind.PHONE), Field("state", FieldKind.CHOICE, "status", why.STATE),
     Field("carrier", FieldKind.CHOICE, choices=messages.CARRIER), Field("account", FieldKind.CHOICE, more=True)),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("number", Cell.PHONE, phone=Phone.TITLE),
    Column("state", Cell.STATE, "status", words=why.STATE, tones=why.STATE_TONE, phone=Phone.BESIDE),
    Column("carrier", Cell.WORD, words=messages.CARRIER, phone=Phone.SECOND),
    Column(
        "account", Cell.WORD, value=lambda one: one.account or "*", words=audience.EVERY_ACCOUNT, phone=Phone.SECOND
    ),
    Column("code", Cell.CODE, phone=Phone.SECOND),
    Column("reason", Cell.LONG, phone=Phone.THIRD),
    Column("asked_by", label="submitter", phone=Phone.AWAY),
    Column("at", Cell.TIME, "created_at", sort=True, value=lambda one: one.asked_at, phone=Phone.AWAY),
    Column("answer", Cell.LONG, "lift_answer", shown=False, phone=Phone.AWAY),
)
_MORE = (
    Column("sent_at", Cell.TIME, "submitted_at"),
    Column("decided_at", Cell.TIME, "done_at"),
    Column("changed_by", label="actor"),
)


def _wanted(found: Found) -> WantedLifts:
    account = int(found.get("account")) if found.get("account") else None
    return WantedLifts(found.get("number"), found.get("state"), found.get("carrier"), account)


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


async def _detail(call: Call, one: CarrierLift) -> Detail:
    links = [(why.LETTER, f"{PATH}/-/letter/{one.id}")] if call.may(Permission.BLOCK_EDIT) else []
    return Detail(mask(one.number), [Section((*COLUMNS, *_MORE), one)], links=links)


def _action(state: LiftState) -> Action:
    async def run(call: Call, one: CarrierLift) -> None:
        await service.move(call.change(), one.id, state, await reason_of(call))

    async def effect(_: Call, rows: Sequence[CarrierLift]) -> Effect:
        return Effect(why.MOVE_EFFECT[state], {"n": len(rows)})

    danger = state is LiftState.REFUSED
    return Action(state.value, why.MOVE[state], Permission.BLOCK_EDIT, run, effect, danger=danger, reason=True)


PAGE = ListPage(
    "lifts", PATH, "audience.blocked", Permission.BLOCK_VIEW, FILTER, COLUMNS, choices=_choices, detail=_detail,
    rows=lambda db, actor, found, window: service.search(db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: service.how_many(db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: service.one(db, id_, accounts=actor.scope.whole), sort=Sort("at"), tabs=TABS,
    whole="lift",
    actions=tuple(map(_action, (LiftState.SENT, LiftState.LIFTED, LiftState.REFUSED))), lead=why.REQUESTS_LEAD,
    empty=Empty(why.REQUESTS_EMPTY, why.REQUESTS_TEACH, why.WHY, WHY, Permission.BLOCK_VIEW),
)  # fmt: skip


@route("GET", PATH + "/-/letter/{id:[0-9]{1,19}}", Permission.BLOCK_EDIT, step_up=Proof.FACTOR)
async def letter(call: Call) -> web.StreamResponse:
    """What the carrier is sent, with the whole number."""
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await service.one(call.db, id_, accounts=call.actor.scope.whole)
    if one is None:
        raise web.HTTPNotFound
    await call.reads("lift.letter", f"lift/{one.id}")
    carrier = call.gettext(messages.CARRIER[one.carrier]) if one.carrier in messages.CARRIER else one.carrier
    text = call.filled(why.LETTER_TEXT, {
        "carrier": carrier, "number": one.number, "code": one.code or "-", "reason": one.reason, "id": one.id,
        "owner": call.owner, "day": f"{one.asked_at.astimezone(CHINA):%Y-%m-%d}",
    })  # fmt: skip
    return web.Response(
        body=text.encode("utf-8-sig"), content_type="text/plain", charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="lift-{one.id}.txt"', "Cache-Control": "no-store"},
    )  # fmt: skip
