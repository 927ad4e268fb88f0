"""Numbers that phones see (P10.9, 码号与扩展号): access codes, extensions as a tree, conflicts, what is free,
replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.menu import Entry
from smsgw.admin.rights import route
from smsgw.admin.words import numbers as words
from smsgw.core import code_plan
from smsgw.core.code_plan import LONGEST_EXTENSION, Branch, Clash, Conflict, Holder
from smsgw.core.permissions import Permission
from smsgw.platform.channels import queries as channels
from smsgw.platform.codes import queries
from smsgw.platform.lists import queries as lists

PATH = "/numbers"
EXTENSIONS, REPLIES = PATH + "/extensions", PATH + "/replies"
MENU = Entry("routing.extensions", PATH, Permission.CODE_VIEW)
SECONDS = 60.0
"""How old figures may be that take a look at many rows."""
MOST_CONFLICTS, MOST_NAMED = 50, 5
MOST_BRANCHES = 500
NEAR = 0.8
"""From this share of the ceiling on, complaints are a warning."""


def _tabs(call: Call, here: str) -> list[tuple[str, str, bool]]:
    named = ((words.TAB_ACCESS, PATH), (words.TAB_EXTENSIONS, EXTENSIONS), (words.TAB_REPLIES, REPLIES))
    return [(call.gettext(text), path, path == here) for text, path in named]


def who(call: Call, holders: Sequence[Holder]) -> str:
    """Some of these, by name."""
    named = list(dict.fromkeys(f"{one.account}【{one.sign}】" if one.sign else one.account for one in holders))
    return call.listed(named[:MOST_NAMED]) + ("…" if len(named) > MOST_NAMED else "")


def said(call: Call, one: Conflict) -> str:
    """A conflict in a sentence."""
    channels_named = call.listed(dict.fromkeys(f"{a.channel}({a.code})" for a in one.access))
    values = {"number": one.number, "who": who(call, one.holders), "channels": channels_named}
    if one.kind is Clash.PLAIN:
        values["n"] = str(len({holder.account_id for holder in one.holders}))
    return call.filled(words.CLASH[one.kind], values)


@route("GET", PATH, Permission.CODE_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """Access codes with who uses them, complaints, and what is not plain; for who sees all accounts."""
    if call.actor.scope.whole is not None:
        return call.redirect(EXTENSIONS)
    holders, access = await queries.holders(call.db), await queries.access(call.db)
    asked = call.portal.remembered
    settings = call.portal.context.snapshots.current.settings
    rates = await asked.get(("complaint rates",), SECONDS, lambda: lists.complaint_rates(call.db, settings))
    found = code_plan.conflicts(access, holders)
    users = await asked.get(("code users",), SECONDS, lambda: queries.users(call.db))
    former: dict[int, list[Any]] = {}
    for one in access:
        if one.until is not None:
            former.setdefault(one.channel_id, []).append(one)
    return call.render(
        "routing/numbers.html", tabs=_tabs(call, PATH), number_words=words, former=former, users=users,
        channels=await channels.channels(call.db), none=queries.Users(), days=queries.DAYS,
        conflicts=[(one.bad, said(call, one)) for one in found[:MOST_CONFLICTS]], bad=sum(one.bad for one in found),
        left=max(0, len(found) - MOST_CONFLICTS), rates=rates,
        of_channel={r.channel_id: r for r in rates if r.channel_id}, settings=settings, near=NEAR,
        lent=queries.MOST_LENT if queries.cut(holders) else 0,
        own=sum(one.kind in ("account", "sign") and one.digits != "" for one in holders),
        may_code=call.may(Permission.CODE_EDIT),
        may_channel=call.may(Permission.CHANNEL_EDIT) and call.may(Permission.ROUTE_EDIT),
    )  # fmt: skip


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 3 else default


@route("GET", EXTENSIONS, Permission.CODE_VIEW)
async def extensions(call: Call) -> web.StreamResponse:
    """The tree, of the accounts in the person's scope, and what is free."""
    query = call.request.query
    under = query.get("under", "")[:LONGEST_EXTENSION].strip()
    under = under if under.isascii() and under.isdigit() else ""
    length = min(max(_number(query.get("length", ""), len(under) + 2), len(under) + 1, 1), LONGEST_EXTENSION)
    everybody = await queries.holders(call.db)
    seen = call.actor.scope.whole
    mine = everybody if seen is None else await queries.holders(call.db, seen)
    branches = code_plan.tree(mine)
    plain = [one for branch in branches if not branch.digits for one in branch.holders]
    lines = _lines([branch for branch in branches if branch.digits])
    ranges = code_plan.free(everybody, length, under)
    return call.render(
        "routing/extensions.html", tabs=_tabs(call, EXTENSIONS), number_words=words, plain=plain,
        lines=lines[:MOST_BRANCHES], left=max(0, len(lines) - MOST_BRANCHES),
        ranges=ranges, under=under, length=length, longest=LONGEST_EXTENSION,
        lent=queries.MOST_LENT if queries.cut(everybody) or queries.cut(mine) else 0,
        n=sum(one.n for one in ranges), cut=len(ranges) == code_plan.MOST_RANGES, most_named=20,
        may_code=call.may(Permission.CODE_EDIT),
    )  # fmt: skip


def _lines(branches: Sequence[Branch], depth: int = 0) -> list[tuple[int, Branch]]:
    """The tree line by line; it is as deep as digits are long."""
    found: list[tuple[int, Branch]] = []
    for branch in branches:
        found += [(depth, branch), *_lines(branch.below, depth + 1)]
    return found


@route("GET", REPLIES, Permission.CODE_VIEW)
async def replies(call: Call) -> web.StreamResponse:
    """What has come to which number."""
    seen = call.actor.scope.whole
    found = await call.portal.remembered.get(
        ("replies by number", repr(call.actor.scope)), SECONDS, lambda: queries.replies(call.db, seen)
    )
    return call.render(
        "routing/number_replies.html", tabs=_tabs(call, REPLIES), number_words=words, replies=found, days=queries.DAYS,
        most=queries.MOST_NUMBERS,
    )  # fmt: skip
