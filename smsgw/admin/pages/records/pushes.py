"""Deliveries of reports and other events to customers' systems (P8.12, 回执推送记录): how they stand, what was given
up, and delivering again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, picked
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices, not_by_person
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort, allowed
from smsgw.admin.words import pushes as words
from smsgw.core.permissions import Permission
from smsgw.core.webhooks import REPORT, Way, kind_of, type_of
from smsgw.core.wording_json import Heard
from smsgw.platform.webhooks import queries, service
from smsgw.platform.webhooks.model import STATES, Delivery, WantedDeliveries

PATH = "/pushes"
MENU = Entry("records.pushes", PATH, Permission.EVENT_VIEW)
MOST_COUNTED = 20_000
FILTER = Filter(
    (
        Field("account", FieldKind.CHOICE),
        Field("push_state", FieldKind.CHOICE, "status", choices=words.STATE),
        Field("event", FieldKind.CHOICE, "event_type", choices=words.EVENT),
        Field("message", FieldKind.ID, "message_id"),
    ),
    Period("7d", 31),
)


COLUMNS = (
    Column("time", Cell.TIME, value=lambda d: d.made_at, sort=True, phone=Phone.SECOND),
    Column("account", phone=Phone.TITLE),
    Column("event", Cell.WORD, "event_type", words=words.EVENT, value=lambda d: type_of(d.kind), phone=Phone.SECOND),
    Column("push_state", Cell.STATE, "status", words=words.STATE, tones=words.TONE, value=lambda d: d.state,
           phone=Phone.BESIDE),
    Column("push_tries", Cell.NUMBER, value=lambda d: d.tries, phone=Phone.AWAY),
    Column("last_result", Cell.WORD, value=lambda d: Heard(d.problem) if d.problem else None),
    Column("next_try", Cell.TIME, value=lambda d: d.next_at),
    Column("push_took", Cell.SPAN, value=lambda d: d.took, phone=Phone.AWAY),
    Column("push_way", Cell.WORD, words=words.WAY, value=lambda d: d.done_by or d.way, phone=Phone.AWAY),
    Column("event_of", Cell.LINK, permission=Permission.MESSAGE_VIEW, phone=Phone.AWAY,
           value=lambda d: (str(d.message_id), f"/records/{d.message_id}") if d.kind == REPORT else None),
    Column("pushed_at", Cell.TIME, value=lambda d: d.done_at, shown=False, phone=Phone.AWAY),
)  # fmt: skip


def _wanted(found: Found) -> WantedDeliveries:
    account, event = found.get("account"), found.get("event")
    return WantedDeliveries(
        *found.times, found.get("push_state") or None, kind_of(event) if event else None,
        int(account) if account else None, found.get("message", None),
    )  # fmt: skip


async def _detail(call: Call, one: Delivery) -> Detail:
    again = Button(words.AGAIN, f"{PATH}/-/effect/again", primary=True, asks=True,
                   fields={"id": str(one.id), "to": f"{PATH}/{one.id}"})  # fmt: skip
    columns = (*COLUMNS, Column("push_target", value=lambda d: d.target))
    return Detail(
        str(one.id),
        [Section(allowed(columns, call.actor.permissions), one)],
        buttons=[again] if call.may(Permission.EVENT_REPEAT) else (),
    )


# --- again -----------------------------------------------------------------------------------------------------------


async def _effect(_: Call, rows: Sequence[Delivery]) -> Effect:
    n = Counter(row.state for row in rows)
    values = {"n": f"{len(rows):,}", "accounts": f"{len({row.account_id for row in rows}):,}",
              **{state: f"{n[state]:,}" for state in STATES}}  # fmt: skip
    return Effect(words.AGAIN_TWICE if n["delivered"] else words.AGAIN_EFFECT, values)


OWN = "own"
"""The way that each account has."""


async def _ways(call: Call) -> Mapping[str, str]:
    return {OWN: call.gettext(words.OWN_WAY)} | {str(way): call.gettext(words.WAY[way]) for way in Way}


async def _again(call: Call, rows: Sequence[Delivery]) -> str:
    """Of each account in one go: those that are offered again, and those that have meanwhile gone."""
    done, way = 0, await picked(call)
    for account_id in sorted({row.account_id for row in rows}):
        ids = [row.id for row in rows if row.account_id == account_id]
        counts = await service.redeliver(
            call.change(), account_id, state=None, since=min(row.made_at for row in rows),
            until=max(row.made_at for row in rows) + timedelta(seconds=1), event_ids=ids,
            way=None if way == OWN else way,
        )  # fmt: skip
        done += sum(counts.values())
    call.toast(call.filled(words.AGAIN_DONE, {"n": f"{done:,}"}))
    return PATH


AGAIN = Action("again", words.AGAIN, Permission.EVENT_REPEAT, _again, _effect, goes=True, picks=_ways, pick="push_way")
PAGE = ListPage(
    "pushes", PATH, "records.pushes", Permission.EVENT_VIEW, FILTER, COLUMNS, choices=account_choices, detail=_detail,
    rows=lambda db, actor, found, window: queries.search(db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: queries.how_many(db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: queries.one(db, id_, accounts=actor.scope.whole), most=MOST_COUNTED,
    actions=(AGAIN,), sort=Sort("time"), lead=words.LEAD, notice=not_by_person,
    empty=Empty(words.EMPTY, words.TEACHES),
)  # fmt: skip
