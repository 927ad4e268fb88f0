"""Workbench (P1.1): what matters to whoever looks at it, by their rights, and in the order of what they are there for.

Every number leads to exactly the rows that it counts, where there is a page of them. The piece refreshes itself; the
clock alone changes nothing in it. It is found out and rendered once for all who would see the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from typing import Any, NamedTuple

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.menu import Entry
from smsgw.admin.pages.home import figures
from smsgw.admin.pages.setup import steps
from smsgw.admin.pages.system.login_security import places
from smsgw.admin.rights import route
from smsgw.admin.words import METRIC, home as words
from smsgw.core.permissions import Permission as P
from smsgw.platform.accounts import queries as accounts
from smsgw.platform.alarms import queries as alarms
from smsgw.platform.audit import queries as audit
from smsgw.platform.campaigns import queries as campaigns
from smsgw.platform.channels import versions
from smsgw.platform.channels.model import connected
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.login import checks
from smsgw.platform.messages import queries as messages
from smsgw.platform.notices import queries as notices
from smsgw.platform.org import queries as org
from smsgw.platform.review import queries as review
from smsgw.platform.routing import approvals as routing
from smsgw.platform.statistics.today import DAY, midnight
from smsgw.runtime import clock

MENU = Entry("home.workbench", "/", P.HOME_VIEW)
EVERY = 5.0
"""Seconds for which what was found is good for all who see the same; pages ask as often."""
OLD = 20.0
"""Seconds from which it is called old."""
LATEST = 6
ALARMS = 20
"""Kinds of them: ten times the same trouble is one note, or it would push everything else off the page."""
SHOWN = 5
"""Of a kind; the rest is among the alarms."""
ROWS = 5
ACCOUNTS = 3
"""Those whose balance ends first."""
MOST_COUNTED = 100_000
SCORE_SECONDS = 300.0
"""The security check looks at every person."""


@route("GET", "/", P.HOME_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The whole page."""
    found = await _find(call)
    mine = {"decisions": _of_others(call, found["decisions"])}
    return call.render("home/workbench.html", todo=await steps.todo(call), **(found | mine))


@route("GET", "/home/live", P.HOME_VIEW, passive=True)
async def live(call: Call) -> web.StreamResponse:
    """The part that changes; at most ``EVERY`` seconds old where the database answers in time."""
    asked, alike = call.portal.remembered, _alike(call)
    found = await asked.get(("workbench", alike), EVERY, lambda: _find(call))
    old = (clock.now() - found["at"]).total_seconds() > OLD
    decisions = _of_others(call, found["decisions"])

    async def render() -> str:
        return str(call.render("home/workbench_live.html", **(found | {"old": old, "decisions": decisions})).text)

    text = await asked.get(("workbench piece", alike, found["at"], old, decisions), 2 * EVERY, render)
    return call.unless_known(web.Response(text=text, content_type="text/html"))


def _alike(call: Call) -> Hashable:
    """Who has the same of all this sees the same cards, with the same in them."""
    other_jobs = call.may(P.TASK_VIEW) or call.may(P.JOB_EDIT)
    jobs_of = call.actor.label if call.may(P.AUDIT_VIEW) and not other_jobs else ""
    return (
        call.language, call.actor.permissions, call.actor.scope, tuple(role.id for role in call.who.roles),
        call.who.reach.department, call.portal.secure(call.request), jobs_of,
    )  # fmt: skip


async def _find(call: Call) -> dict[str, Any]:
    at, found = clock.now(), {}
    for name in arrangement(call):
        _, find = CARDS[name]
        found[name] = await find(call)
    standing = await alarms.alike(call.db, call.actor, kinds=ALARMS, each=SHOWN) if call.may(P.ALARM_VIEW) else []
    announced = found.pop("notices")
    return {
        "cards": found, "decisions": await _decisions(call), "notices": announced, "alarms": standing,
        "metrics": METRIC, "at": at, "old": False,
    }  # fmt: skip


class Decision(NamedTuple):
    """A change that waits for a second person's word, who made it, and the page to say it on."""

    said: str
    path: str
    by: str


async def _decisions(call: Call) -> list[Decision]:
    """What waits for somebody who may decide it."""
    found = list[Decision]()
    if call.may(P.CHANNEL_EDIT):
        for one in await versions.waiting(call.db):
            said = call.filled(words.CHANNEL_WAITS, {"name": one.channel, "n": one.number, "by": one.made_by})
            found.append(Decision(said, f"/channels/{one.channel_id}/versions/{one.number}", one.made_by))
    if call.may(P.ROUTE_EDIT) and call.actor.scope.whole is None:
        table = await routing.waiting(call.db)
        if table is not None:
            said = call.filled(words.ROUTES_WAIT, {"n": table.id, "by": table.made_by})
            found.append(Decision(said, f"/routes/submitted/{table.id}", table.made_by))
    return found


def _of_others(call: Call, decisions: list[Decision]) -> tuple[Decision, ...]:
    """Without one's own changes: they are for another to decide. (What was found out is everybody's.)"""
    return tuple(one for one in decisions if one.by != call.actor.label)


# --- the cards: each with its permission ------------------------------------------------------------------------------


async def _notices(call: Call) -> list[notices.Notice]:
    roles = [role.id for role in call.who.roles]
    return await notices.standing(call.db, roles=roles, department=call.who.reach.department, limit=3)


async def _traffic(call: Call) -> dict[str, Any]:
    now = clock.now()
    today = await figures.counted(call, call.actor.scope, midnight(now))
    others = {status: n for status in figures.OTHERS if (n := today.counts[status])}
    return {"today": today, "others": others, "flow": await figures.flow(call, now)}


async def _flow(call: Call) -> Any:
    return (await figures.flow(call, clock.now())).chart(call)


async def _reasons(call: Call) -> list[tuple[str, int]]:
    start = midnight(clock.now())
    scope = call.actor.scope
    seconds = figures.kept(await figures.counted(call, scope, start))

    async def found() -> list[tuple[str, int]]:
        return await messages.reasons(
            call.db, accounts=scope.accounts, from_time=start, to_time=start + DAY, limit=ROWS,
            submitter=scope.submitter,
        )  # fmt: skip

    return await call.portal.remembered.get(("reasons", scope, start), seconds, found)


async def _runway(call: Call) -> dict[str, Any]:
    day = midnight(clock.now()).date()
    found = await accounts.runways(call.db, seen=call.accounts, today=day)
    return {"accounts": found[:ACCOUNTS], "all": len(found), "sum": sum(one.available for one in found)}


async def _review(call: Call) -> dict[str, Any]:
    waiting, since = await review.waiting(call.db, accounts=call.accounts)
    first = await review.page(call.db, accounts=call.accounts, limit=3) if waiting else []
    return {"n": waiting, "since": since, "first": first}


async def _tasks(call: Call) -> Any:
    return await campaigns.page(call.db, accounts=call.accounts, states=list(words.TASK_STATE), limit=ROWS)


async def _channels(call: Call) -> Any:
    channels = sorted(call.portal.context.channel_status(), key=lambda channel: channel.name)
    return {"channels": channels, "connected": connected(one.state for one in channels)}


async def _audit(call: Call) -> dict[str, Any]:
    start = midnight(clock.now())
    counted = {}
    for name, action in (("all", ""), ("refused", "login.failed"), ("exports", "export")):
        wanted = audit.AuditFilter(start, start + timedelta(days=1), action=(action, ()))
        counted[name] = min(await audit.ENTRIES.count(call.db, call.actor, wanted, MOST_COUNTED), MOST_COUNTED)
    state = await audit.state(call.db)
    seen = state.job is not None and await jobs.own(call.db, call.actor, state.job) is not None
    return {"counted": counted, "state": state, "seen": seen}


async def _people(call: Call) -> org.Headcount:
    return await org.headcount(call.db, call.actor.scope)


async def _security(call: Call) -> dict[str, Any]:
    facts = checks.Facts(call.portal.secure(call.request), len(call.portal.context.sealer.ids))
    found = await call.portal.remembered.get(("security", facts), SCORE_SECONDS, lambda: checks.run(call.db, facts))
    bad = [one for one in found if one.state in ("bad", "warning")][:ROWS]
    return {"score": checks.score(found), "open": bad, "shown": places(call, bad)}


async def _latest(call: Call) -> Any:
    now, scope = clock.now(), call.actor.scope
    return await messages.search(
        call.db, accounts=scope.accounts, from_time=now - timedelta(days=7), limit=LATEST, now=now,
        submitter=scope.submitter,
    )  # fmt: skip


CARDS: dict[str, tuple[P, Callable[[Call], Awaitable[Any]]]] = {
    "notices": (P.HOME_VIEW, _notices),
    "traffic": (P.STATISTICS_VIEW, _traffic),
    "review": (P.REVIEW_VIEW, _review),
    "flow": (P.STATISTICS_VIEW, _flow),
    "reasons": (P.MESSAGE_VIEW, _reasons),
    "channels": (P.CHANNEL_VIEW, _channels),
    "tasks": (P.TASK_VIEW, _tasks),
    "runway": (P.BALANCE_VIEW, _runway),
    "audit": (P.AUDIT_VIEW, _audit),
    "people": (P.PERSON_VIEW, _people),
    "security": (P.SECURITY_VIEW, _security),
    "latest": (P.MESSAGE_VIEW, _latest),
}
"""In the order of whoever sends."""
FIRST: tuple[tuple[P, tuple[str, ...]], ...] = (
    (P.MESSAGE_SEND, ()),
    (P.CHANNEL_EDIT, ("channels", "traffic", "flow", "reasons")),
    (P.AUDIT_VIEW, ("audit",)),
    (P.SECURITY_EDIT, ("security", "people")),
    (P.ROLE_EDIT, ("people",)),
    (P.BALANCE_EDIT, ("runway",)),
    (P.REVIEW_DECIDE, ("review",)),
)
"""What somebody is there for, by the first of these permissions that they have: those cards come first."""


def arrangement(call: Call) -> list[str]:
    """The cards of the person, in their order."""
    first = next((names for permission, names in FIRST if call.may(permission)), ())
    order = dict.fromkeys((*first, *CARDS))
    return [name for name in order if call.may(CARDS[name][0])]
