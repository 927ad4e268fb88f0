"""The whole way of one message (P8.2): time line with durations, parts, raw codes, what it means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from smsgw.admin import words
from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT, teller
from smsgw.admin.kit import sent_links
from smsgw.admin.kit.kinds import names_of
from smsgw.admin.rights import route
from smsgw.admin.words import fallback as chain_words, trace as named
from smsgw.admin.words.records import PLAYBOOK
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.wording_json import Heard
from smsgw.core.words import Wording, labels_of
from smsgw.platform.fallback import queries as fallback
from smsgw.platform.links import queries as links
from smsgw.platform.lists import complaints
from smsgw.platform.messages import codes, examining, queries
from smsgw.platform.messages.model import MessageView, Trace, TraceStep
from smsgw.runtime import clock

EVERY = 2.0
"""Seconds for which what was found out is told to all who look; an open page looks a little less often."""
AUDIT_DAYS = 366
"""Of the audit log, in one look (``kit.filters.Period``)."""
MOST_COMPLAINTS = 100
"""About one message that are counted."""


@route("GET", "/records/{id:[0-9]{1,19}}", Permission.MESSAGE_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The page."""
    shown = await values(call)
    message: MessageView = shown["message"]
    return call.render(
        "records/trace.html", **shown, choice=await examining.choice(call.db, message),
        complaints=await _complaints(call, message.id), seen=_seen(message),
    )  # fmt: skip


def _seen(message: MessageView) -> str:
    """What asks the audit log who has looked at the message, since it was accepted or as far back as may be asked."""
    today = clock.now().astimezone(CHINA).date()
    first = max(message.accepted_at.astimezone(CHINA).date(), today - timedelta(days=AUDIT_DAYS - 1))
    return urlencode({"object": f"message/{message.id}", "time": "custom", "from": first, "to": today})


async def _complaints(call: Call, message_id: int) -> int:
    """How many there are about the message; 0 for who may not know of any."""
    if not call.may(Permission.COMPLAINT_VIEW):
        return 0
    wanted = complaints.WantedComplaints(message_id=message_id)
    return await complaints.how_many(call.db, wanted, MOST_COMPLAINTS, accounts=call.actor.scope.whole)


@route("GET", "/records/{id:[0-9]{1,19}}/live", Permission.MESSAGE_VIEW, passive=True)
async def live(call: Call) -> web.StreamResponse:
    """The part that changes until the message has come to its end; found out once for all who see the same of it."""
    message_id = int(call.request.match_info["id"])

    async def write() -> str:
        return str(call.render("records/trace_live.html", **await values(call)).text)

    alike = call.actor.scope, call.actor.permissions, call.language
    text = await call.portal.remembered.get(("trace", message_id, *alike), EVERY, write)
    await _read(call, message_id)
    return call.unless_known(web.Response(text=text, content_type="text/html"))


async def _read(call: Call, message_id: int) -> None:
    await call.reads("message.read", f"message/{message_id}", content=call.may(Permission.MESSAGE_READ))


async def values(call: Call) -> dict[str, Any]:
    """What the page of a message shows; that it was read is entered. 404 for what is not there or not the person's."""
    message_id = int(call.request.match_info["id"])
    scope = call.actor.scope
    found = await queries.trace(call.db, message_id, accounts=scope.accounts, submitter=scope.submitter)
    if found is None:
        raise web.HTTPNotFound
    await _read(call, message_id)
    places = examining.hops(found)
    carried = await links.carried(call.db, message_id)
    return {
        "trace": found,
        "places": places,
        "stuck": examining.stuck(places),
        "message": found.message,
        "stops": timeline(found, call.language),
        "final": found.message.status in words.FINAL_STATUSES,
        "content": call.may(Permission.MESSAGE_READ),
        "hidden": codes.HIDDEN in found.message.content,
        "names": named,
        "rules": [
            (label, path)
            for begin, label, path, right in named.RULES
            if found.message.status == "rejected" and found.message.code.startswith(begin) and call.may(right)
        ],
        "playbook": PLAYBOOK,
        "way": await fallback.way_of(call.db, message_id, scope.accounts, call.portal.context.snapshots.current.codes),
        "chain": chain_words,
        "link": carried,
        "device": sent_links.device(call, carried.agent) if carried is not None else "",
        "types": names_of(call, retired=True),
    }


@dataclass(frozen=True, slots=True)
class Stop:
    """A step of the time line with the time since the one before it."""

    step: TraceStep
    since_previous: timedelta | None
    since_start: timedelta
    colour: str
    facts: tuple[tuple[str, str], ...] = ()
    """What is told beside it: name and value, in the reader's language."""


def timeline(trace: Trace, language: str = DEFAULT) -> list[Stop]:
    """The steps with their durations; a report has the colour of what it reports."""
    stops: list[Stop] = []
    outcome = {part.part: words.STATUS_COLOUR.get(part.status, "") for part in trace.parts}
    for step in trace.steps:
        previous = stops[-1].step.at if stops else None
        since_previous = max(step.at - previous, timedelta(0)) if previous else None
        colour = outcome.get(step.part) if step.step == "report" else words.STEP_COLOUR.get(step.step)
        since_start = step.at - trace.steps[0].at
        stops.append(Stop(step, since_previous, since_start, colour or "plain", _facts(step, language)))
    return stops


def _facts(step: TraceStep, language: str) -> tuple[tuple[str, str], ...]:
    tell, fields = teller(language), labels_of("audit_field")
    told = []
    for key, value in step.detail.items():
        if value not in ("", None):
            known: object = words.DETAIL_VALUES.get(key, {}).get(str(value), value)
            said = Heard(known) if isinstance(known, str) and key in _FROM_OUTSIDE else known
            text = tell(said) if isinstance(said, str | Wording) else str(said)
            name: str | Wording = words.DETAIL[key] if key in words.DETAIL else fields.get(key, key)
            told.append((tell(name), text))
    return tuple(told)


_FROM_OUTSIDE = frozenset({"problem", "reason"})
"""Facts that may be what others say of an error."""
