"""The line of time (事件时间线): what happened, of all sources; a bar or a time leads to a closer look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from aiohttp import web

from smsgw.admin import words as all_words
from smsgw.admin.call import Call
from smsgw.admin.rights import route
from smsgw.admin.words import faults as words
from smsgw.admin.words.audit import action_words, object_words
from smsgw.core import moments
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.words import Wording, spoken
from smsgw.platform.faults import queries, timeline
from smsgw.platform.faults.timeline import Entry, Source
from smsgw.runtime import clock

PATH = "/faults/timeline"
SPANS = tuple(int(span) for span in words.SPAN)
"""Minutes."""
BARS = 48
_TONES = ("red", "orange", "blue", "purple", "secondary")
"""The gravest first."""
_FORM = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as people read it."""

    at: datetime
    title: str
    tag: str
    tone: str
    facts: Sequence[tuple[str, str]]
    href: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of the time that is shown."""

    x: int
    height: int
    tone: str
    n: int
    since: datetime
    href: str


def address(since: datetime, until: datetime, sources: Sequence[str] = ()) -> str:
    """Where the shortest stretch that holds these times is shown."""
    minutes = (until - since).total_seconds() / 60
    span = next((one for one in SPANS if one >= minutes), SPANS[-1])
    query = [("until", (until + timedelta(minutes=1)).astimezone(CHINA).strftime(_FORM)), ("span", str(span))]
    return f"{PATH}?{urlencode([*query, *(('source', one) for one in sources)])}"


def _detail(call: Call, one: Entry) -> str:
    """What is said of it: an alarm's words begin as a sentence does, a person's as they were written."""
    said = _said(call, one.detail)
    return said[:1].upper() + said[1:] if one.source is Source.ALARM else said


def _said(call: Call, value: str | Wording) -> str:
    return value.text(call.language != "zh") if isinstance(value, Wording) else call.gettext(value) if value else ""


def _title(call: Call, one: Entry) -> str:
    match one.source:
        case Source.ALARM:
            what = f"{call.gettext(all_words.ALARM.get(one.kind, one.kind))} {one.object.partition('/')[2]}".strip()
            return call.filled(words.RAISED if one.what == "raised" else words.CLEARED, {"what": what})
        case Source.CHANGE:
            return _said(call, action_words(one.what)[0])
        case Source.FAULT:
            what = call.gettext(words.STEP.get(one.what, one.what))
            return call.filled(words.FAULT_STEP, {"id": one.id, "what": what})
        case _:
            values = {"node": one.who, "version": str(one.detail), "before": one.kind,
                      "object": one.object.partition("/")[2]}  # fmt: skip
            if one.what == "start":
                upgraded = one.kind and one.kind != str(one.detail)
                return call.filled(words.UPGRADED if upgraded else words.STARTED, values)
            if one.what == "stop":
                return call.filled(words.STOPPED, values)
            return call.filled(words.TAKEN_OVER if one.kind else words.TAKEN, values)


def _tone(one: Entry) -> str:
    if one.source is Source.ALARM:
        return "green" if one.what == "cleared" else "red" if one.tone == "critical" else "orange"
    return {Source.CHANGE: "blue", Source.NODE: "purple"}.get(one.source, "secondary")


def _href(call: Call, one: Entry) -> str:
    if one.source is Source.ALARM:
        return f"/alarms/{one.id}"
    if one.source is Source.FAULT:
        return f"/faults/{one.id}"
    if one.source is Source.CHANGE and call.may(Permission.AUDIT_VIEW):
        return f"/audit/{one.id}"
    return "/nodes" if one.source is Source.NODE and call.may(Permission.NODE_VIEW) else ""


def lines(call: Call, entries: Sequence[Entry]) -> list[Line]:
    """Entries as people read them."""
    found = []
    for one in entries:
        facts = list[tuple[str, str]]()
        if one.source is Source.CHANGE:
            named = spoken(one.title, call.language != "zh") or one.object.partition("/")[2] or one.object
            facts.append((_said(call, object_words(one.object)[0]), named))
        if one.source is Source.FAULT:
            facts.append((call.gettext(words.TAB_FAULTS), spoken(one.title, call.language != "zh")))
        if one.source in (Source.ALARM, Source.FAULT) and (said := _detail(call, one)):
            facts.append(("", said))
        who = "" if one.source is Source.NODE else _said(call, words.WHO.get(one.who, "")) or one.who
        found.append(Line(one.at, _title(call, one), who, _tone(one), facts, _href(call, one)))
    return found


def _bars(entries: Sequence[Entry], since: datetime, span: timedelta, sources: Sequence[str]) -> list[Bar]:
    each = span / BARS
    piles: dict[int, list[str]] = {}
    for one in entries:
        place = min(int((one.at - since) / each), BARS - 1)
        piles.setdefault(place, []).append(_tone(one))
    most = max((len(pile) for pile in piles.values()), default=1)
    found = []
    for place, pile in sorted(piles.items()):
        begin = since + place * each
        tone = min(pile, key=lambda tone: _TONES.index(tone) if tone in _TONES else len(_TONES))
        height = max(3, round(36 * len(pile) / most))
        found.append(Bar(place * 10, height, tone, len(pile), begin, address(begin, begin + each, sources)))
    return found


def _until(text: str, now: datetime) -> datetime:
    """The end of what is shown; now for what is none, and nothing that is still to come."""
    try:
        at = moments.minute(text.replace("T", " "))
    except ValueError:
        return now
    return min(at, now) if at.year >= queries.FIRST_YEAR else now


@route("GET", PATH, Permission.ALARM_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """A stretch of time: the last day, or what the address names; empty for who sees some accounts alone."""
    query, now = call.request.query, clock.now()
    until = _until(query.get("until", ""), now)
    span = next((one for one in SPANS if str(one) == query.get("span", "")), 1440)
    given = [one.value for one in Source if one.value in query.getall("source", ())]
    sources = given or [one.value for one in Source]
    since = until - timedelta(minutes=span)
    seen = await timeline.seen(call.db, call.actor, since, until, sources)
    place = SPANS.index(span)

    def moved(end: datetime, minutes: int) -> str:
        pairs = [("span", str(minutes)), *(("source", one) for one in given)]
        if end < now:
            pairs.insert(0, ("until", end.astimezone(CHINA).strftime(_FORM)))
        return f"{PATH}?{urlencode(pairs)}"

    middle = until - timedelta(minutes=span) / 2
    closer, wider = SPANS[max(place - 1, 0)], SPANS[min(place + 1, len(SPANS) - 1)]
    return call.render(
        "monitoring/timeline.html", lines=lines(call, seen.entries), more=seen.more, most=timeline.MOST, words=words,
        bars=_bars(seen.entries, since, timedelta(minutes=span), given), since=since, until=until, span=span,
        given=given, at=until.astimezone(CHINA).strftime(_FORM),
        before=moved(since, span), after=moved(until + timedelta(minutes=span), span) if until < now else "",
        closer=moved(middle + timedelta(minutes=closer) / 2, closer) if place else "",
        wider=moved(middle + timedelta(minutes=wider) / 2, wider) if place < len(SPANS) - 1 else "",
    )  # fmt: skip
