"""Nodes (P14.5; 节点与高可用): which there are and were, what each owns, the role of the database and its standbys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Filter, Found
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.monitoring import board_figures
from smsgw.admin.words import monitoring as words
from smsgw.core.actor import Actor
from smsgw.core.permissions import Permission
from smsgw.platform.nodes import queries, service
from smsgw.platform.nodes.queries import Listed
from smsgw.platform.paging import Slice, Window

if TYPE_CHECKING:
    from smsgw.net.bus import Seen

PATH = "/nodes"
MENU = Entry("monitoring.nodes", PATH, Permission.NODE_VIEW)
COLUMNS = (
    Column("node_number", Cell.CODE, value=lambda one: str(one.id), phone=Phone.TITLE),
    Column("node_state", Cell.STATE, words=words.NODE_STATE, tones=words.NODE_TONE, value=lambda one: one.state,
           phone=Phone.BESIDE),
    Column("node_place", value=lambda one: one.place, phone=Phone.SECOND),
    Column("node_seen", Cell.TIME, value=lambda one: one.seen_at, phone=Phone.SECOND),
    Column("node_channels", Cell.TAGS, value=lambda one: one.channels, phone=Phone.THIRD),
    Column("node_alarms", Cell.NUMBER, value=lambda one: one.alarms, to=lambda _: "/alarms?state=open",
           phone=Phone.AWAY, figure=lambda one: ("open_alarms", f"node/{one.id}")),
    Column("node_since", Cell.TIME, value=lambda one: one.since, shown=False, phone=Phone.AWAY),
    Column("removed_by", shown=False, phone=Phone.AWAY),
)  # fmt: skip
_DATABASE = (
    Column("database_role", Cell.STATE, words=words.DATABASE_ROLE, tones=words.DATABASE_TONE,
           value=lambda one: "standby" if one.standby else "primary"),
    Column("database_standbys", Cell.NUMBER, value=lambda one: one.standbys),
    Column("database_lag", Cell.SPAN, value=lambda one: None if one.hidden or not one.standbys else one.lag),
)  # fmt: skip
_FACTS = (
    Column("database_address", value=lambda one: one.address),
    Column("database_version", value=lambda one: one.version),
    Column("database_since", Cell.TIME, value=lambda one: one.since),
    Column("database_promotions", Cell.NUMBER, value=lambda one: one.promotions),
    Column("database_recovered", Cell.TIME, value=lambda one: one.recovered_at),
    Column("database_size", Cell.SIZE, value=lambda one: one.size, figure=lambda _: ("database_size", "")),
    Column("database_connections", value=lambda one: f"{one.connections} / {one.most}",
           figure=lambda _: ("database_connections", "")),
)  # fmt: skip
_REDIS = (
    Column("redis_use", Cell.STATE, words=words.REDIS, tones=words.REDIS_TONE, value=lambda one: one.use),
    Column("redis_server", Cell.CODE, value=lambda one: one.server),
)
_SENTINELS = 16
"""That are shown."""


@dataclass(frozen=True, slots=True)
class _Redis:
    """How this node has it."""

    use: str
    server: str


def _redis(call: Call) -> Section:
    """What this node says of Redis, and its sentinels of the master."""
    neighbours = call.portal.context.neighbours
    bus = neighbours.bus
    if bus is None:
        return Section(_REDIS[:1], _Redis("none", ""), words.SENTINEL)
    columns = [*_REDIS, *(Column("redis_sentinel", value=partial(_said, call, seen)) for seen in bus.seen[:_SENTINELS])]
    return Section(columns, _Redis("up" if bus.up else "away", bus.server), words.SENTINEL)


def _said(call: Call, seen: Seen, _: Any) -> str:
    if seen.problem:
        said = call.filled(words.SEEN_SILENT, {"problem": seen.problem})
    else:
        said = call.filled(words.SEEN, {
            "state": call.gettext(words.SEEN_STATE[seen.state]), "master": seen.master, "replicas": seen.replicas,
            "sentinels": seen.sentinels, "quorum": seen.quorum})  # fmt: skip
    return f"{seen.sentinel} · {said}"


_WORK = (
    Column("node_pushed", Cell.NUMBER, value=lambda one: one.pushed),
    Column("node_jobs", Cell.TAGS, words=words.NODE_JOB, value=lambda one: one.jobs),
)


async def _rows(db: Any, actor: Actor, _: Found, __: Window) -> Slice[Listed]:
    found = await queries.listed(db, actor)
    return Slice(found, [("", one.id) for one in found], False)


async def _count(db: Any, actor: Actor, _: Found, __: int) -> int:
    return len(await queries.listed(db, actor))


async def _one(db: Any, actor: Actor, id_: int) -> Listed | None:
    found = await queries.listed(db, actor, id_) if id_ < 2**31 else []
    return found[0] if found else None


async def _detail(call: Call, one: Listed) -> Detail:
    database, facts = await queries.replication(call.db), await board_figures.database(call)
    columns = [column for column in COLUMNS if column.key != "removed_by" or one.state == "removed"]
    return Detail(
        call.filled(words.NODE, {"n": one.id}),
        [Section((*columns, *_WORK), one), Section(_DATABASE, database, words.DATABASE), Section(_FACTS, facts),
         _redis(call)],
        notice=call.gettext(words.DATABASE_HIDDEN) if database.hidden else "", good=False,
    )  # fmt: skip


async def _effect(_: Call, rows: Sequence[Listed]) -> Effect:
    gone = [one for one in rows if one.state == "missing"]
    if not gone:
        return Effect(words.NODE_REMOVE_NONE, nothing=True)
    return Effect(words.NODE_REMOVE_EFFECT, {"n": len(gone), "alarms": sum(one.alarms for one in gone)})


PAGE = ListPage(
    "nodes", PATH, "monitoring.nodes", Permission.NODE_VIEW, Filter((), period=None), COLUMNS, rows=_rows, count=_count,
    one=_one, detail=_detail, sort=Sort("node_number", descending=False), lead=words.NODES_LEAD, live=5,
    actions=(Action("remove", words.NODE_REMOVE, Permission.NODE_EDIT,
                    lambda call, one: service.remove(call.change(), one.id), _effect, danger=True),),
    empty=Empty(words.NODES_EMPTY, words.NODES_TEACH, icon="heartbeat"),
)  # fmt: skip
