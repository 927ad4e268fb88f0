"""Queues (P14.4; 队列): what waits, where, whose and how long; and where it is paused or led elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.menu import Entry
from smsgw.admin.pages.monitoring import board_figures
from smsgw.admin.pages.monitoring.board import sees
from smsgw.admin.pages.routing import channels as channel_page
from smsgw.admin.rights import route
from smsgw.admin.words import board as words
from smsgw.core.permissions import Permission
from smsgw.platform.campaigns import queries as campaigns
from smsgw.platform.channels import queries as channels
from smsgw.platform.queues import queries
from smsgw.platform.queues.queries import QueueLine, Standing
from smsgw.runtime import clock

PATH = "/queues"
MENU = Entry("monitoring.queues", PATH, Permission.NODE_VIEW)
SECONDS, SHARE = 5.0, 0.01
"""How old what waits may be; and longer where looking takes more than this share of the time."""
TASKS = 20
UNDER_WAY = ("running", "paused")


@dataclass(frozen=True, slots=True)
class Queued:
    """A queue with the channels that pull from it."""

    line: QueueLine
    age: timedelta
    channels: Sequence[channel_page.Line]
    ahead: int
    """Messages of this pool that go before it or with it, its own included."""

    @property
    def rate(self) -> float:
        """What its channels submit a second now."""
        return sum(one.now.rate_now for one in self.channels if one.now)

    @property
    def drains(self) -> timedelta | None:
        """How long it lasts at this rate; None: nothing goes."""
        return timedelta(seconds=self.ahead / self.rate) if self.rate >= 0.1 else None

    @property
    def served(self) -> bool:
        """Whether any of them is logged in."""
        return any(one.state in ("bound", "idle") for one in self.channels)


def _kept(found: Standing) -> float:
    return max(SECONDS, found.took / SHARE)


async def _found(call: Call) -> dict[str, Any]:
    asked = call.portal.remembered
    standing = await asked.get(("queues",), _kept, lambda: queries.standing(call.db))
    set_to = await asked.get(("queues channels",), SECONDS, lambda: channels.channels(call.db))
    lines = await channel_page.lines(call, set_to)
    queued, ahead = [], dict[int, int]()
    for one in standing.queues:  # the most urgent first
        ahead[one.pool_id] = ahead.get(one.pool_id, 0) + one.n
        pulling = [line for line in lines if line.now and line.channel.desired == "started"]
        serving = [line for line in pulling if line.now and one.pool in line.now.pools]
        age = max(timedelta(0), standing.at - one.since)
        queued.append(Queued(one, age, serving, ahead[one.pool_id]))
    tasks = None
    if call.may(Permission.TASK_VIEW):
        tasks = await asked.get(
            ("queues tasks",),
            SECONDS,
            lambda: campaigns.page(call.db, accounts=None, states=list(UNDER_WAY), limit=TASKS),
        )
    return {
        "queued": queued, "accounts": standing.accounts, "at": standing.at, "tasks": tasks, "channels": lines,
        "lanes": board_figures.lanes(call), "lane_words": words.LANE,
        "old": (clock.now() - standing.at).total_seconds() > board_figures.OLD,
    }  # fmt: skip


@route("GET", PATH, Permission.NODE_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The whole page."""
    return call.render("monitoring/queues.html", seen=sees(call), **(await _found(call) if sees(call) else {}))


@route("GET", PATH + "/-/live", Permission.NODE_VIEW, passive=True)
async def live(call: Call) -> web.StreamResponse:
    """The part that changes."""
    if not sees(call):
        return web.Response(status=204)
    return call.piece("monitoring/queues_live.html", **await _found(call))
