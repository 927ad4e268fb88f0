"""Records of what was sent (P8.1): found by what a message or one of its parts has; a row leads to its whole way."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from smsgw.admin import words as told
from smsgw.admin.call import Call
from smsgw.admin.kit.bulk import Bulk, Sink
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.kinds import names_of
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, opted, picked, reason_of
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.sent_links import unkept
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import lists as words
from smsgw.admin.words.fallback import HOP
from smsgw.admin.words.kit import NAMED
from smsgw.admin.words.messages import CAUSE
from smsgw.admin.words.provinces import PROVINCES, chinese
from smsgw.admin.words.records import NO_CHANNEL
from smsgw.admin.words.short_links import HARDWARE
from smsgw.core.actor import Actor
from smsgw.core.blocklist import MANUAL, Scope
from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.core.pseudonyms import is_pseudonym
from smsgw.core.user_agent import hardware_of
from smsgw.core.words import phrase
from smsgw.platform.audience import book, segments
from smsgw.platform.audience.model import MOST_MESSAGES_PICKED, SegmentKind
from smsgw.platform.drafts import service as drafts
from smsgw.platform.drafts.model import Kind as DraftKind, Source, State
from smsgw.platform.handles import Database
from smsgw.platform.lists import queries as lists, service as blocking
from smsgw.platform.messages import queries, records, resend, service
from smsgw.platform.messages.model import MessageView
from smsgw.platform.org import queries as org

MENU = Entry("records.sent", "/records", Permission.MESSAGE_VIEW)
TAIL = 4
"""Last digits of a number."""
MOST_COUNTED = 20_000
"""Each is looked up with its parts: more would make everybody wait."""
SEND = (words.SEND, "/send", Permission.MESSAGE_SEND)
_more, _choice = partial(Field, more=True), partial(Field, kind=FieldKind.CHOICE)
FILTER = Filter((
    _choice("account"), Field("phone", FieldKind.PHONE, "number"), _choice("status", choices=told.STATUS),
    Field("content", label="content", least=records.LEAST_WORD, hint="word", permission=Permission.MESSAGE_READ),
    _choice("type", label="message_type", more=True),
    _choice("result", choices=told.RESULT, more=True), _choice("stage", choices=words.STAGE, more=True),
    _choice("left_out", choices=words.LEFT_OUT, more=True),
    _choice("ended_at", more=True),
    _choice("channel", more=True), _choice("department", more=True),
    Field("tail", FieldKind.DIGITS, "number_tail", least=TAIL, most=TAIL, days=1, hint="tail", more=True),
    _choice("carrier", choices=told.CARRIER, more=True), _more("province"), _more("sign"),
    _choice("reason", choices=words.REASON, more=True), _more("code"),
    _choice("origin", choices=told.ORIGIN, more=True),
    _more("submitter"), _more("message", FieldKind.ID, "message_id"), _more("batch", FieldKind.ID),
    _more("task", FieldKind.ID), _more("run", FieldKind.ID, "task_run", hint="run"),
    _more("template", FieldKind.ID, "template_id"), _choice("hop", choices=HOP, more=True),
    _choice("replied", choices=words.REPLIED, more=True),
    _choice("clicked", label="click_state", choices=words.CLICKED, more=True),
    _more("link", FieldKind.ID, "sent_link"),
    _more("client_ref"), _more("extension"), _choice("test", choices=words.TEST, more=True),
))  # fmt: skip
_away = partial(Column, phone=Phone.AWAY)
_hidden = partial(_away, shown=False)
COLUMNS = (
    Column("time", Cell.TIME, value=lambda m: m.accepted_at, sort=True),
    _away("account", value=lambda m: m.account_name), Column("number", Cell.PHONE, phone=Phone.TITLE),
    Column("carrier", Cell.WORD, words=told.CARRIER), Column("province", Cell.WORD, words=PROVINCES, shown=False),
    _away("type", Cell.TAGS, "message_type", words=words.TYPES_OF, value=words.types_of), _hidden("sign"),
    _hidden("subject"),
    Column("content", Cell.LONG, permission=Permission.MESSAGE_READ, phone=Phone.SECOND),
    _away("parts", Cell.NUMBER), _hidden("price", Cell.NUMBER), _away("channel", value=lambda m: m.channel_name),
    Column("status", Cell.STATE, words=told.STATUS, tones=told.STATUS_COLOUR, phone=Phone.BESIDE),
    Column("reason", Cell.WORD, value=words.why, words=CAUSE), _away("code", Cell.CODE),
    _away("clicked", Cell.STATE, "click_state", value=words.clicked, words=words.CLICKED, tones=words.CLICKED_TONES),
    _hidden("clicks", Cell.NUMBER, "link_clicks"), _hidden("clicked_at", Cell.TIME, "first_click"),
    _hidden("last_click", Cell.TIME), _hidden("link_name"), _hidden("link_target", Cell.LONG),
    _hidden("click_device", Cell.WORD, value=lambda m: hardware_of(m.click_agent), words=HARDWARE),
    _hidden("origin", Cell.WORD, words=told.ORIGIN), _hidden("submitter"), _hidden("submitted_at", Cell.TIME),
    _hidden("done_at", Cell.TIME), _hidden("client_ref"), _hidden("id", Cell.CODE, "message_id"),
    _hidden("batch_id", Cell.CODE, "batch"),
)  # fmt: skip


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    now, own = call.portal.context.snapshots.current, call.actor.scope.accounts
    accounts = {str(a.id): a.display_name or a.name for a in now.accounts() if own is None or a.id in own}
    channels = {str(c.id): c.name for c in now.channels}
    departments = {str(one.id): one.name for one in await org.departments(call.db, call.actor.scope)}
    return {"account": accounts, "channel": channels, "ended_at": channels | {"0": call.gettext(NO_CHANNEL)},
            "department": departments, "type": names_of(call, retired=True)}  # fmt: skip


def _wanted(found: Found) -> records.Wanted:
    values: dict[str, Any] = dict(found.values)
    values |= {key: int(values[key]) for key in ("account", "channel", "ended_at", "department") if key in values}
    if "province" in values:
        values["province"] = chinese(values["province"])
    return records.Wanted(*found.times, **values)


# --- failed ones once more -------------------------------------------------------------------------------------------


async def _effect(call: Call, rows: Sequence[MessageView]) -> Effect:
    """How many go out, and why the others do not."""
    ids, codes = [row.id for row in rows], call.portal.context.snapshots.current.codes
    verdicts = await resend.judge(call.db, call.actor, codes, ids)
    why = Counter(verdict.reason for verdict in verdicts.values())
    fine, dead = why.pop("", 0), sum(why[reason] for reason in resend.FOR_GOOD)
    said = [f"{call.gettext(words.RESEND_WHY[reason])} {why[reason]:,}" for reason in resend.REASONS if why[reason]]
    values = {
        "n": f"{fine:,}", "parts": f"{sum(v.parts for v in verdicts.values() if not v.reason):,}",
        "refused": f"{why.total():,}", "why": call.gettext(words.JOIN).join(said),
        "dead": f"{dead:,}",
    }  # fmt: skip
    return Effect(words.RESEND_BUT if said else words.RESEND_EFFECT, values, nothing=not fine and not dead,
                  option=words.RESEND_FOR_GOOD if dead else "")  # fmt: skip


async def _again(call: Call, row: MessageView) -> None:
    context = call.portal.context
    overrule = await opted(call)
    await resend.again(call.change(), context.acceptor, context.snapshots.current, row.id, overrule=overrule)


# --- taken back ------------------------------------------------------------------------------------------------------

_WAITS = frozenset({"held", "scheduled", "queued"})


async def _cancel_effect(_: Call, rows: Sequence[MessageView]) -> Effect:
    waiting = [row for row in rows if row.status in _WAITS]
    values = {
        "n": f"{len(waiting):,}",
        "parts": f"{sum(row.price for row in waiting):,}",
        "gone": f"{len(rows) - len(waiting):,}",
    }
    return Effect(words.CANCEL_MESSAGES_EFFECT, values)


async def _cancel(call: Call, row: MessageView) -> None:
    await service.cancel(call.change(), call.portal.context.outcomes, row.id)


# --- their numbers ---------------------------------------------------------------------------------------------------


def _numbers(rows: Sequence[MessageView]) -> dict[int, list[str]]:
    """By account, each once."""
    found: dict[int, dict[str, None]] = {}
    for row in rows:
        if not is_pseudonym(row.number):
            found.setdefault(row.account_id, {})[row.number] = None
    return {account_id: list(numbers) for account_id, numbers in found.items()}


async def _block_effect(call: Call, rows: Sequence[MessageView]) -> Effect:
    found = _numbers(rows)
    there = sum([await lists.already(call.db, numbers, account_id) for account_id, numbers in found.items()])
    values = {"n": f"{sum(map(len, found.values())):,}", "accounts": f"{len(found):,}", "there": f"{there:,}"}
    return Effect(words.TO_BLOCKED_EFFECT, values)


async def _block(call: Call, rows: Sequence[MessageView]) -> str:
    done = 0
    for account_id, numbers in _numbers(rows).items():
        scope = Scope(account_id, "", "")
        done += await blocking.block(call.change(), numbers, scope, MANUAL, await reason_of(call))
    call.toast(call.filled(words.TO_BLOCKED_DONE, {"n": f"{done:,}"}))
    return "/records"


async def _groups(call: Call) -> Mapping[str, str]:
    rows = await book.open_groups(call.db, call.actor)
    return {str(row["id"]): call.filled(NAMED, {"name": row["name"], "more": row["account"]}) for row in rows}


async def _group_effect(_: Call, rows: Sequence[MessageView]) -> Effect:
    n = len({row.number for row in rows if not is_pseudonym(row.number)})
    return Effect(words.TO_GROUP_EFFECT, {"messages": f"{len(rows):,}", "n": f"{n:,}"})


async def _to_group(call: Call, rows: Sequence[MessageView]) -> str:
    group_id = int(await picked(call))
    numbers = [row.number for row in rows if not is_pseudonym(row.number)]
    inside, new, others = await book.collect(call.change(), group_id, numbers)
    values = {"n": f"{inside:,}", "new": f"{new:,}", "others": f"{others:,}"}
    call.toast(call.filled(words.TO_GROUP_BUT if others else words.TO_GROUP_DONE, values))
    return f"/contacts/groups/{group_id}"


async def _one(db: Database, actor: Actor, id_: int) -> MessageView | None:
    return await queries.get(db, id_, accounts=actor.scope.accounts, submitter=actor.scope.submitter)


# --- those who have not clicked --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rest:
    """Of chosen messages those to numbers that have not clicked."""

    messages: Mapping[int, Sequence[Sequence[int]]]
    """By account, of each number."""
    links: Set[int]
    clicked: int
    """Numbers that have clicked."""
    dead: int
    """Numbers to which a message failed for good."""


async def _rest(call: Call, rows: Sequence[MessageView], *, dead: bool) -> _Rest:
    """``dead``: with numbers to which a message failed for good."""
    found = await segments.rest(call.db, [row.id for row in rows])
    meant: dict[int, list[list[int]]] = {}
    links = set[int]()
    for row in found:
        if not row["clicked"] and (dead or not row["dead"]):
            meant.setdefault(row["account_id"], []).append(row["messages"])
            links.add(row["link_id"])
    return _Rest(
        meant, links, sum(row["clicked"] for row in found), sum(row["dead"] and not row["clicked"] for row in found)
    )


async def _rest_effect(call: Call, rows: Sequence[MessageView]) -> Effect:
    rest = await _rest(call, rows, dead=False)
    n = sum(map(len, rest.messages.values()))
    values = {"n": f"{n:,}", "clicked": f"{rest.clicked:,}", "dead": f"{rest.dead:,}",
              "unkept": await unkept(call, sorted(rest.links))}  # fmt: skip
    if not n and not rest.dead:
        return Effect(words.UNCLICKED_NONE, values, nothing=True)
    return Effect(words.UNCLICKED_EFFECT, values, option=words.UNCLICKED_DEAD if rest.dead else "")


async def _send_to_rest(call: Call, rows: Sequence[MessageView]) -> str:
    """A draft to exactly those: their messages say who they are, and who of them has not clicked is found once more
    when it becomes a task."""
    dead = await opted(call)
    rest = await _rest(call, rows, dead=dead)
    found = rest.messages
    if not found:
        raise Refused("STATE_CONFLICT", reason=phrase("segment.none"))
    if len(found) > 1:
        raise Refused("STATE_CONFLICT", reason=phrase("segment.accounts"))
    ((account_id, numbers),) = found.items()
    messages = [str(id_) for ids in numbers for id_ in ids]
    if len(messages) > MOST_MESSAGES_PICKED:
        raise Refused("STATE_CONFLICT", reason=phrase("segment.many", most=MOST_MESSAGES_PICKED))
    state = State(
        account=str(account_id), source=Source.SEGMENT.value, segment=SegmentKind.NOT_CLICKED.value,
        segment_messages=messages, link=str(max(rest.links)), segment_dead="1" if dead else "",
    )  # fmt: skip
    draft = await drafts.begin(call.change(), secrets.token_urlsafe(18), DraftKind.SAME, state, ())
    call.toast(call.filled(words.UNCLICKED_DONE, {"n": f"{len(numbers):,}"}))
    return f"/send/{draft.id}/content"


# --- taken away ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ended:
    """What a message's reason is made of."""

    cls: str
    code: str


def _why(text: str) -> str:
    status, cls, code = text.split("|", 2)
    return words.why_of(status, _Ended(cls, code))


async def _copy(
    database: Database, actor: Actor, found: Found, day: date, fields: Sequence[str], sink: Sink, *, descending: bool
) -> None:
    await records.copy(database, actor, _wanted(found), day, fields, sink, descending=descending)


BULK = Bulk(
    frozenset(records.FIELDS), lambda db, actor, found: records.days(db, actor, _wanted(found)), _copy,
    {"type": lambda text: tuple(text.split(",")), "reason": _why, "click_device": hardware_of},
)  # fmt: skip
TO_GROUP = Action("group", words.TO_GROUP, Permission.CONTACT_EDIT, _to_group, _group_effect, goes=True,
                  picks=_groups, pick="contact_group")  # fmt: skip
TO_BLOCKED = Action(
    "block", words.TO_BLOCKED, Permission.BLOCK_EDIT, _block, _block_effect, danger=True, reason=True, goes=True
)
UNCLICKED = Action("unclicked", words.UNCLICKED, Permission.MESSAGE_SEND, _send_to_rest, _rest_effect, goes=True)
CANCEL = Action("cancel", words.CANCEL_MESSAGES, Permission.MESSAGE_CANCEL, _cancel, _cancel_effect, danger=True)
RESEND = Action("resend", words.RESEND, Permission.MESSAGE_SEND, _again, _effect)
PAGE = ListPage(
    "records", "/records", "records.sent", Permission.MESSAGE_VIEW, FILTER, COLUMNS, choices=_choices,
    rows=lambda db, actor, found, window: records.search(db, actor, _wanted(found), window),
    sums=lambda db, actor, found, most: records.sums(db, actor, _wanted(found), most),
    most=MOST_COUNTED, sort=Sort("time"), leads=True, wide=True, lead=words.RECORDS_LEAD, links=(SEND,),
    export=Permission.MESSAGE_EXPORT, bulk=BULK, one=_one,
    actions=(RESEND, CANCEL, UNCLICKED, TO_GROUP, TO_BLOCKED), whole="message",
    notice=lambda _, found: words.REPLIES_KEPT if found.get("replied") else "",
    empty=Empty(words.RECORDS_EMPTY, words.RECORDS_TEACH, *SEND),
)  # fmt: skip
