"""The board (P14.1; 监控大盘): how the platform does now, each figure leading to its page; and for a wall."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from smsgw.admin.call import WALL_COOKIE, Call
from smsgw.admin.kit.menu import Entry
from smsgw.admin.pages.monitoring import board_figures as figures
from smsgw.admin.rights import PUBLIC, route
from smsgw.admin.words import board as words
from smsgw.admin.words.entry import SLOWED
from smsgw.core.actor import Actor
from smsgw.core.addresses import place_of
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.walls import queries, service
from smsgw.platform.walls.queries import Shown
from smsgw.runtime import clock

PATH, WALL, SCREENS = "/board", "/wall", "/board/screens"
MENU = Entry("monitoring.dashboard", PATH, Permission.NODE_VIEW)
TABS = ((words.TABS[0], PATH), (words.TABS[1], SCREENS))
_LINKS = (
    "monitoring.nodes", "monitoring.alarms", "monitoring.queues", "routing.channels", "records.sent",
    "connect.webhooks", "records.success", "records.latency", "records.daily",
)  # fmt: skip


def sees(call: Call) -> bool:
    """Whether the person may see the platform as a whole."""
    return call.may(Permission.NODE_VIEW) and call.accounts is None


async def _text(call: Call, template: str, links: dict[str, str]) -> str:
    """The piece, rendered once for all who read one language and have the same pages."""
    found = await figures.found(call)
    old = figures.age(found) > figures.OLD

    async def render() -> str:
        minutes, hours = found.flow.charts(call)
        made = call.render(template, f=found, links=links, minutes=minutes, hours=hours, old=old, lane_words=words.LANE)
        return str(made.text)

    question = (template, call.language, tuple(links.items()), found.at, old)
    return await call.portal.remembered.get(question, 2 * figures.EVERY, render)


async def _board(call: Call) -> str:
    links = {key: call.menu.path_of(key) for key in _LINKS}
    return await _text(call, "monitoring/board_live.html", links)


@route("GET", PATH, Permission.NODE_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The whole page."""
    return call.render("monitoring/board.html", tabs=TABS, piece=await _board(call) if sees(call) else "")


@route("GET", PATH + "/-/live", Permission.NODE_VIEW, passive=True)
async def live(call: Call) -> web.StreamResponse:
    """The part that changes."""
    if not sees(call):
        return web.Response(status=204)
    return call.unless_known(web.Response(text=await _board(call), content_type="text/html"))


# --- for a wall ------------------------------------------------------------------------------------------------------


async def _screen(call: Call) -> Shown | None:
    """The screen whose token the browser has, while it holds."""
    token = call.cookie(WALL_COOKIE)
    if not token or len(token) > 100 or not token.isascii():
        return None
    found = await queries.of_token(call.db, token)
    if found is not None:
        await service.seen(call.db, found, call.ip)
    return found


def _ask(call: Call, error: str = "", *, status: int = 200, ended: bool = False) -> web.Response:
    return call.render("monitoring/wall_code.html", status=status, error=error, ended=ended, digits=service.DIGITS)


@route("GET", WALL, PUBLIC)
async def wall(call: Call) -> web.StreamResponse:
    """The board for a wall: of a screen that was let in, or of a person who sees it anyway, as long as they are logged
    in. For all others the form of the code."""
    shown = await _screen(call)
    if shown is None and not sees(call):
        return _ask(call, ended="ended" in call.request.query)
    piece = await _text(call, "monitoring/wall_live.html", {})
    return call.render("monitoring/wall.html", piece=piece, screen=shown, every=figures.EVERY)


@route("GET", WALL + "/live", PUBLIC, passive=True)
async def wall_live(call: Call) -> web.StreamResponse:
    """The part that changes; who may not see it any more is led to the form of the code."""
    if await _screen(call) is None and not sees(call):
        return web.Response(status=401, headers={"HX-Redirect": f"{WALL}?ended=1"})
    text = await _text(call, "monitoring/wall_live.html", {})
    return call.unless_known(web.Response(text=text, content_type="text/html"))


@route("POST", WALL, PUBLIC)
async def let_in(call: Call) -> web.StreamResponse:
    """Look at a code: few tries, and slower ones for who is wrong over and over. Counted by network alone: no screen
    has a name, and who guesses elsewhere must not keep others out; a code is random, good for minutes, and once."""
    guard, address = call.portal.wall_guard, call.ip or ""
    network = place_of(address)
    given: Any = (await call.request.post()).get("code", "")
    if wait := guard.admit(address, network, clock.steady()):
        await call.unwelcome()
        return _ask(call, call.filled(SLOWED, {"n": max(1, round(wait))}), status=429)
    opened = await service.open_(Change(call.db, Actor.system("wall")), str(given), call.ip)
    if opened is None:
        guard.failed(address, network, clock.steady())
        await call.unwelcome()
        return _ask(call, call.gettext(words.WRONG_CODE), status=401)
    token, screen = opened
    response = call.redirect(WALL)
    left = max(1, int((screen.until - clock.now()).total_seconds()))
    call.set_cookie(response, WALL_COOKIE, token, max_age=left)
    return response
