"""Notes of alarms (告警通知): whom each has reached, what failed and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smsgw.admin import words as all_words
from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.monitoring.alarms import NOTES, PATH, RECEIVERS, TABS
from smsgw.admin.words import monitoring as words
from smsgw.core.alarms import about_of
from smsgw.core.permissions import Permission
from smsgw.platform.alarms import notes
from smsgw.platform.alarms.model import MOST_RECEIVERS, Delivery
from smsgw.platform.alarms.notes import ALARM_NOTES
from smsgw.platform.alarms.receivers import ALARM_RECEIVERS
from smsgw.platform.paging import Window

FILTER = Filter(
    (Field("receiver", FieldKind.CHOICE, "alarm_receiver"),
     Field("note_state", FieldKind.CHOICE, choices=words.NOTE_STATE),
     Field("note_event", FieldKind.CHOICE, choices=words.EVENT)),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("note_entered", Cell.TIME, sort=True, value=lambda one: one.entered_at, phone=Phone.THIRD),
    Column("note_event", Cell.WORD, words=words.EVENT, value=lambda one: one.event, phone=Phone.SECOND),
    Column("alarm_kind", Cell.WORD, words=all_words.ALARM, value=lambda one: one.kind or "", phone=Phone.TITLE),
    Column("object", value=lambda one: about_of(one.object) if one.object else None, phone=Phone.SECOND),
    Column("alarm_receiver", value=lambda one: one.receiver, phone=Phone.SECOND),
    Column("note_way", Cell.WORD, words=words.WAY, value=lambda one: one.way, phone=Phone.AWAY),
    Column("note_state", Cell.STATE, words=words.NOTE_STATE, tones=words.NOTE_TONE, value=lambda one: one.state,
           phone=Phone.BESIDE),
    Column("tries", Cell.NUMBER, phone=Phone.AWAY),
    Column("ended_at", Cell.TIME, "last_mail", value=lambda one: one.ended_at or one.begun_at),
    Column("next_at", Cell.TIME, "next_mail", value=lambda one: one.next_at if one.state == "waiting" else None,
           shown=False),
    Column("note_said", Cell.LONG, value=lambda one: one.answer),
)  # fmt: skip


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    known = await ALARM_RECEIVERS.search(call.db, call.actor, None, Window("name", False, limit=MOST_RECEIVERS))
    return {"receiver": {str(one.id): one.name for one in known.rows}}


async def _detail(call: Call, one: Delivery) -> Detail:
    links = [] if one.alarm_id is None else [(words.TAB_ALARMS, f"{PATH}/{one.alarm_id}")]
    id_ = one.said.removeprefix("message ")
    if id_ != one.said and id_.isdigit() and call.may(Permission.MESSAGE_VIEW):
        links.append((words.THE_MESSAGE, f"/records/{id_}"))
    return Detail(one.receiver, [Section(COLUMNS, one)], links=links)


async def _effect(_: Call, rows: Sequence[Delivery]) -> Effect:
    sent = [one for one in rows if one.repeats]
    if not sent:
        return Effect(words.AGAIN_NONE, nothing=True)
    stays = len(rows) - len(sent)
    told = {"n": len(sent), "unsure": sum(one.state == "unsure" for one in sent), "stays": stays}
    return Effect(words.AGAIN_SOME if stays else words.AGAIN_EFFECT, told)


PAGE = ListPage(
    "alarm_notes", NOTES, "monitoring.alarm_notes", Permission.ALARM_VIEW, FILTER, COLUMNS, choices=_choices,
    listing=ALARM_NOTES, detail=_detail, tabs=TABS, live=5, wide=True,
    sort=Sort("note_entered"), lead=words.NOTES_LEAD,
    actions=(Action("again", words.AGAIN, Permission.ALARM_EDIT,
                    lambda call, one: notes.again(call.change(), one.id), _effect),),
    empty=Empty(words.NOTES_EMPTY, words.NOTES_TEACH, words.TAB_RECEIVERS, RECEIVERS, Permission.ALARM_VIEW,
                icon="bell"),
)  # fmt: skip
