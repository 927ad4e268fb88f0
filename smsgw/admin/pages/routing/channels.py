"""Channels (P10.1, P10.2; 通道管理): how each is doing right now, what it is set to, start, stop and drain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form
from smsgw.admin.kit.lists import Effect
from smsgw.admin.kit.menu import Entry
from smsgw.admin.rights import route
from smsgw.admin.words import routing as words, setup as setup_words
from smsgw.core.model import ChannelStatus
from smsgw.core.permissions import Permission
from smsgw.pipeline.fleet import pools_of
from smsgw.platform.channels import queries, recordings, service, throttles, versions
from smsgw.platform.channels.model import MOST_OWED, ChannelDay, ChannelLoad, ChannelView
from smsgw.platform.statistics.today import midnight
from smsgw.runtime import clock

PATH = "/channels"


async def _wait_for(call: Call) -> int:
    """Changes that wait for the person: by others, and they may decide."""
    if not call.may(Permission.CHANNEL_EDIT):
        return 0
    return sum(one.made_by != call.actor.label for one in await versions.waiting(call.db))


MENU = Entry("routing.channels", PATH, Permission.CHANNEL_VIEW, _wait_for)
ONE = PATH + "/{id:[0-9]{1,9}}"
DAY_SECONDS, LOAD_SECONDS, CODES_SECONDS = 30.0, 10.0, 60.0
"""How old figures may be that take a look at many rows."""


@dataclass(frozen=True, slots=True)
class Line:
    """A channel as it is set, and how it is doing; ``now`` is None until a node has heard of it."""

    channel: ChannelView
    now: ChannelStatus | None
    day: ChannelDay
    waits: int = 0
    """The version that waits for a second person; 0: none."""

    @property
    def id(self) -> int:
        """Of the channel."""
        return self.channel.id

    @property
    def state(self) -> str:
        """A key of ``CHANNEL_STATE``."""
        if self.channel.desired == "stopped":
            return "stopped"
        if self.now is None or self.now.state == "stopped":  # it was started a moment ago
            return "connecting"
        return self.now.state

    @property
    def simulated(self) -> bool:
        """Whether nobody gets what goes there."""
        return self.channel.profile.get("simulated") is True

    @property
    def error(self) -> str:
        """What it last complained about, while it is wanted and not up."""
        up = self.state in ("bound", "idle", "stopped")
        return "" if up or self.now is None else self.now.last_error


async def lines(call: Call, channels: list[ChannelView]) -> list[Line]:
    known = {status.id: status for status in call.portal.context.channel_status()}
    start = midnight(clock.now())
    days = await call.portal.remembered.get(("channels", start), DAY_SECONDS, lambda: queries.since(call.db, start))
    waits = {one.channel_id: one.number for one in await versions.waiting(call.db)}
    return [Line(one, known.get(one.id), days.get(one.id, ChannelDay()), waits.get(one.id, 0)) for one in channels]


@route("GET", PATH, Permission.CHANNEL_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """All channels with their state."""
    return call.render("routing/channels.html", lines=await lines(call, await queries.channels(call.db)))


@route("GET", PATH + "/-/live", Permission.CHANNEL_VIEW, passive=True)
async def live(call: Call) -> web.StreamResponse:
    """The table that changes."""
    return call.piece("routing/channels_live.html", lines=await lines(call, await queries.channels(call.db)))


async def channel(call: Call) -> ChannelView | None:
    """The one of the address."""
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await queries.get(call.db, id_)


async def _shown(call: Call) -> Line:
    found = await channel(call)
    if found is None:
        raise web.HTTPNotFound
    return (await lines(call, [found]))[0]


def _pools(call: Call, line: Line) -> list[int]:
    known = call.portal.context.snapshots.current.pools
    return [known[name] for name in (line.now.pools if line.now else ()) if name in known]


async def _load(call: Call, line: Line) -> ChannelLoad:
    pools = _pools(call, line)
    return await queries.load(call.db, line.id, pools)


async def _parts(call: Call, line: Line) -> dict[str, Any]:
    """What both the page of a channel and the part of it that changes show."""
    asked = call.portal.remembered
    start = midnight(clock.now())
    owed = await asked.get(("channel load", line.id), LOAD_SECONDS, lambda: _load(call, line))
    codes = await asked.get(
        ("channel codes", line.id, start), CODES_SECONDS, lambda: queries.codes_since(call.db, line.id, start)
    )
    settings = call.portal.context.snapshots.current.settings
    shift = await queries.shift(call.db, line.id) if settings.success_shift else None
    return {"line": line, "waits": line.waits, "owed": owed, "codes": codes, "most": MOST_OWED, "probes": words.PROBE,
            "link_states": words.LINK_STATE, "advice": setup_words.ADVICE, "shift": shift,
            "settings": settings}  # fmt: skip


@route("GET", ONE, Permission.CHANNEL_VIEW)
async def show_one(call: Call) -> web.StreamResponse:
    """One channel: how it is doing, what it owes, the carrier's codes of today, what it is set to."""
    line = await _shown(call)
    history = await throttles.history(call.db, line.id, clock.now())
    return call.render(
        "routing/channel.html", policy=words.POLICY, bind=setup_words.BIND,
        recording=await recordings.last(call.db, line.id), throttles=history,
        throttle_chart=_throttle_chart(call, line, history),
        **await _parts(call, line),
    )  # fmt: skip


def _throttle_chart(call: Call, line: Line, history: throttles.History) -> Chart | None:
    """How far below its rate the channel was held, by hours; None: it was not, or has no rate that says how far."""
    limit = line.channel.rate
    if not history.slowed or not limit:
        return None
    held = [limit if hour.lowest is None else min(round(hour.lowest), limit) for hour in history.hours]
    say = {"n": f"{min(held):,}", "limit": f"{limit:,}"}
    return Chart(
        call.gettext(words.THROTTLES), ChartKind.LINE, [f"{hour.at:%m-%d %H:00}" for hour in history.hours],
        [Series(call.gettext(words.THROTTLED_TO), held, "orange"),
         Series(call.gettext(words.THROTTLE_LIMIT), [limit] * len(held), "secondary")],
        summary=call.filled(words.THROTTLES_SUMMARY, say),
    )  # fmt: skip


@route("GET", ONE + "/live", Permission.CHANNEL_VIEW, passive=True)
async def live_one(call: Call) -> web.StreamResponse:
    """The part of it that changes."""
    return call.piece("routing/channel_live.html", **await _parts(call, await _shown(call)))


# --- start, stop, drain ----------------------------------------------------------------------------------------------


def _counted(call: Call, n: int) -> str:
    return call.filled(words.MORE_THAN, {"n": f"{MOST_OWED:,}"}) if n > MOST_OWED else f"{n:,}"


def _others(call: Call, line: Line) -> list[str]:
    """Channels that are up and serve one of its pools."""
    pools = set(line.now.pools) if line.now else set()
    return [one.name for one in call.portal.context.channel_status()
            if one.id != line.id and one.state in ("bound", "idle") and pools & set(one.pools)]  # fmt: skip


async def waiting(call: Call, one: ChannelView) -> dict[str, str]:
    """What waits for a channel, and how many connections it has, in words."""
    (line,) = await lines(call, [one])
    owed = await _load(call, line)
    said = {key: _counted(call, getattr(owed, key)) for key in ("queued", "deferred", "sending")}
    return said | {"bound": str(line.now.bound if line.now else 0)}


def _effect(alone: str, text: str) -> Callable[[Call, ChannelView, Mapping[str, Any]], Awaitable[Effect]]:
    async def effect(call: Call, one: ChannelView, _: Mapping[str, Any]) -> Effect:
        (line,) = await lines(call, [one])
        owed, others = await _load(call, line), _others(call, line)
        said = {key: _counted(call, getattr(owed, key)) for key in ("queued", "deferred", "sending", "unreported")}
        return Effect(text if others else alone, said | {"others": ", ".join(others[:5])})

    return effect


def _turn(desired: str) -> Callable[[Call, ChannelView, Mapping[str, Any]], Awaitable[web.StreamResponse]]:
    async def save(call: Call, one: ChannelView, _: Mapping[str, Any]) -> web.StreamResponse:
        if one.desired != desired:
            await service.edit(call.change(), call.portal.context.sealer, one.name, {"desired": desired})
        call.toast(call.gettext(words.DESIRED_DONE[desired]))
        return call.redirect(f"{PATH}/{one.id}")

    return save


def _page(key: str, title: str, send: str, desired: str, effects: tuple[str, str], *, danger: bool) -> FormPage:
    return FormPage(
        f"{ONE}/{key}", Permission.CHANNEL_EDIT, title, send, Form(()), _turn(desired),
        lambda one: f"{PATH}/{one.id}", channel, effect=_effect(*effects), lead=lambda one: one.name, danger=danger,
    )  # fmt: skip


async def _remove_effect(call: Call, one: ChannelView, _: Mapping[str, Any]) -> Effect:
    now = call.portal.context.snapshots.current
    spec = next((spec for spec in now.channels if spec.id == one.id), None)
    served = pools_of(spec, now.pools, now.table) if spec else {}
    named = {name for name, id_ in now.pools.items() if id_ in served}
    owed = await queries.load(call.db, one.id, list(served))
    others = [
        status.name
        for status in call.portal.context.channel_status()
        if status.id != one.id and status.state in ("bound", "idle") and named & set(status.pools)
    ]
    said = {key: _counted(call, getattr(owed, key)) for key in ("queued", "deferred", "sending", "unreported")}
    said |= {
        "name": one.name, "pools": f"{len(served):,}", "others": ", ".join(others[:5]),
        "rules": f"{sum(rule.pool in named for rule in now.table.rules):,}",
    }  # fmt: skip
    rest = words.REMOVE_OTHERS_EFFECT if others else words.REMOVE_ALONE_EFFECT
    return Effect("%(said)s%(rest)s", {"said": call.filled(words.REMOVE_EFFECT, said), "rest": call.filled(rest, said)})


async def _remove(call: Call, one: ChannelView, _: Mapping[str, Any]) -> web.StreamResponse:
    await service.remove(call.change(), one.name)
    call.toast(call.gettext(words.REMOVED))
    return call.redirect(PATH)


REMOVE = FormPage(
    f"{ONE}/remove", Permission.CHANNEL_EDIT, words.REMOVE_TITLE, words.REMOVE, Form(()), _remove,
    lambda one: f"{PATH}/{one.id}", channel, effect=_remove_effect, lead=lambda one: one.name, danger=True,
)  # fmt: skip
START = _page("start", words.START_TITLE, words.START, "started", (words.START_EFFECT,) * 2, danger=False)
STOP = _page("stop", words.STOP_TITLE, words.STOP, "stopped", (words.STOP_ALONE_EFFECT, words.STOP_EFFECT), danger=True)
DRAIN = _page(
    "drain", words.DRAIN_TITLE, words.DRAIN, "draining", (words.DRAIN_ALONE_EFFECT, words.DRAIN_EFFECT), danger=True
)
