"""What a health report says: each figure from the service that has it, none found twice; what cannot be found in time
is said to be unknown, and holds up nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import structlog

from smsgw.core.actor import Actor
from smsgw.core.alarm_rules import Rules
from smsgw.core.ids import CHINA
from smsgw.platform.alarms import queries as alarms, rules
from smsgw.platform.backups import queries as backups
from smsgw.platform.brand import certificates, queries as brands
from smsgw.platform.faults import queries as faults
from smsgw.platform.health import sizes
from smsgw.platform.health.model import Item, Report
from smsgw.platform.health.sizes import Size
from smsgw.platform.login import checks
from smsgw.platform.nodes import queries as nodes
from smsgw.platform.queues import queries as queues
from smsgw.platform.statistics import reports
from smsgw.platform.tickets import model as tickets
from smsgw.runtime.config import Config
from smsgw.store.engine.database import Database

log = structlog.get_logger(__name__)

PATIENCE, WITHIN = 20.0, 45.0
"""Seconds for one part of a report, and for all of them."""
AT_ONCE = 3
"""Parts, so that one that hangs holds up no other, and pages find a connection."""
MOST_COUNTED = 10_000
MOST_ALARMS = 8
"""Open ones that are named."""
SOON, ENDING = 30, 7
"""Days before a certificate ends, or a disk is full, from which it is told as a warning, and as bad."""
SCORE_GOOD, SCORE_FAIR = 80, 60
_SYSTEM = Actor.system("health")


@dataclass(frozen=True, slots=True)
class Configured:
    """What only the configuration knows."""

    tls: bool
    """The portal is reached by HTTPS alone."""
    keys: int
    """In the key file."""
    files: Mapping[str, Path]
    """Of certificates, by the section that names them."""

    @classmethod
    def of(cls, settings: Config, keys: int) -> Configured:
        """As it is configured."""
        sections = {
            "http": settings.http.tls, "admin": settings.admin.tls, "partners.smpp": settings.partners_smpp.tls,
            "partners.cmpp": settings.partners_cmpp.tls,
        }  # fmt: skip
        portal = settings.admin.tls if settings.admin.listen else settings.http.tls
        return cls(bool(portal), keys, {name: Path(files[0]) for name, files in sections.items() if files})


@dataclass(frozen=True, slots=True)
class _Asked:
    database: Database
    configured: Configured
    first: date
    last: date
    now: datetime
    rules: Rules

    @property
    def since(self) -> datetime:
        return datetime.combine(self.first, datetime.min.time(), CHINA)

    @property
    def until(self) -> datetime:
        return datetime.combine(self.last + timedelta(days=1), datetime.min.time(), CHINA)


async def made(
    database: Database, configured: Configured, first: date, last: date, now: datetime, within: float = WITHIN
) -> Report:
    """How the platform was on these days, and is now; ``within`` seconds, whatever hangs."""
    asked = _Asked(database, configured, first, last, now, await rules.current(database))
    until, turns = asyncio.get_running_loop().time() + within, asyncio.Semaphore(AT_ONCE)

    async def found(name: str, part: _Part) -> Sequence[Item]:
        try:
            async with asyncio.timeout_at(until), turns, asyncio.timeout(PATIENCE):
                return await part(asked)
        except Exception as exc:  # whatever it is: the others are told
            log.warning("health.unknown", part=name, error=exc)
            return [Item(f"{name}_unknown", "unknown")]

    parts = await asyncio.gather(*(found(name, part) for name, part in _PARTS.items()))
    return Report(first, last, now, [item for items in parts for item in items])


async def _figures(asked: _Asked) -> list[Item]:
    items, limit = list[Item](), asked.rules.threshold("success_low")
    for n in range((asked.last - asked.first).days + 1):
        day = asked.first + timedelta(days=n)
        got = await reports.totals(asked.database, _SYSTEM, reports.Wanted(day, day))
        facts = {"day": day, "submitted": got.submitted, "delivered": got.delivered, "failed": got.failed,
                 "unknown": got.unknown, "unsent": got.unsent, "pending": got.pending, "billed": got.billed,
                 "rate": None if got.success_rate is None else round(got.success_rate, 2), "limit": limit}  # fmt: skip
        if got.success_rate is None:
            items.append(Item("figures_unrated", "plain", facts, "/reports/daily"))
        else:
            state = "warning" if got.success_rate < limit else "good"
            items.append(Item("figures", state, facts, "/reports/daily"))
    return items


async def _alarms(asked: _Asked) -> list[Item]:
    raised = alarms.AlarmFilter(since=(asked.since, asked.until))
    n = await alarms.ALARMS.count(asked.database, _SYSTEM, raised, MOST_COUNTED)
    grave = await alarms.ALARMS.count(asked.database, _SYSTEM, replace(raised, severity="critical"), MOST_COUNTED)
    standing = await alarms.page(asked.database, limit=alarms.MOST_OPEN)
    bad = sum(one.severity == "critical" for one in standing)
    facts = {"raised": n, "critical": grave, "open": len(standing), "open_critical": bad}
    items = [Item("alarms", "bad" if bad else "warning" if standing else "good", facts, "/alarms?state=open")]
    items += [
        Item("alarm", "bad" if one.severity == "critical" else "warning",
             {"kind": one.kind, "object": one.object, "since": one.since}, f"/alarms/{one.id}")
        for one in standing[:MOST_ALARMS]
    ]  # fmt: skip
    return items


async def _faults(asked: _Asked) -> list[Item]:
    begun = faults.FaultFilter(began=(asked.since, asked.until))
    n = await faults.FAULTS.count(asked.database, _SYSTEM, begun, MOST_COUNTED)
    standing = await faults.not_closed(asked.database, _SYSTEM)
    year = await faults.year(asked.database, _SYSTEM, asked.last.year)
    state = "bad" if year.counted > year.most else "warning" if standing or n else "good"
    share = None if year.availability is None else round(year.availability, 4)
    facts = {"begun": n, "open": standing, "year": year.counted, "most": year.most, "availability": share}
    return [Item("faults", state, facts, "/faults")]


async def _tickets(asked: _Asked) -> list[Item]:
    opened = tickets.TicketFilter(opened=(asked.since, asked.until))
    n = await tickets.TICKETS.count(asked.database, _SYSTEM, opened, MOST_COUNTED)
    standing = await tickets.not_closed(asked.database, _SYSTEM)
    return [Item("tickets", "warning" if standing else "good", {"opened": n, "open": standing}, "/tickets")]


async def _queue(asked: _Asked) -> list[Item]:
    found = (await queues.standing(asked.database)).queues
    oldest = max((max(0.0, (asked.now - one.since).total_seconds()) for one in found), default=0.0)
    over = oldest > asked.rules.threshold("queue_old")
    facts = {"n": sum(one.n for one in found), "minutes": round(oldest / 60)}
    code = "queue_more" if any(one.more for one in found) else "queue"
    return [Item(code, "warning" if over else "good", facts, "/queues")]


async def _nodes(asked: _Asked) -> list[Item]:
    found = [one for one in await nodes.listed(asked.database, _SYSTEM) if one.state != "removed"]
    missing = sum(one.state == "missing" for one in found)
    return [Item("nodes", "bad" if missing else "good", {"live": len(found) - missing, "missing": missing}, "/nodes")]


def _size(one: Size, rules: Rules) -> Item:
    left, percent, growth = one.days_left, one.free_percent, one.daily
    facts = {"object": one.object, "used": one.used, "free": one.free, "growth": growth, "days": left,
             "least": sizes.LEAST_DAYS, "back": sizes.LOOKED_BACK,
             "percent": None if percent is None else round(percent, 1)}  # fmt: skip
    if percent is None:
        return Item("database_new" if growth is None else "database", "plain", facts, "/board")
    node = "/".join(one.object.split("/")[:2])
    narrow = percent < rules.threshold("disk_filling", node)
    code = "disk_new" if growth is None else "disk_steady" if left is None else "disk"
    if left is not None and left <= ENDING:
        return Item(code, "bad", facts, "/board")
    return Item(code, "warning" if narrow or (left is not None and left <= SOON) else "good", facts, "/board")


async def _sizes(asked: _Asked) -> list[Item]:
    found = await sizes.sizes(asked.database)
    return [_size(one, asked.rules) for one in found] or [Item("sizes_unknown", "unknown")]


async def _backups(asked: _Asked) -> list[Item]:
    found, rule = await backups.standing(asked.database), asked.rules.of("backup_old")
    hours = None if found.last is None else found.hours
    facts = {"hours": None if hours is None else int(hours), "tried": found.tried, "failed": found.failed}
    if found.failed is not None:
        return [Item("backup_failed", "bad", facts, "/backups")]
    code = "backup_never" if hours is None else "backup_untried" if found.tried is None else "backup"
    good = code == "backup" and hours is not None and hours <= rule.values["threshold"]
    state = "plain" if not rule.on else "good" if good else "warning"  # another tool may make them
    return [Item(code, state, facts, "/backups")]


async def _security(asked: _Asked) -> list[Item]:
    found = await checks.run(asked.database, checks.Facts(asked.configured.tls, asked.configured.keys))
    score, bad = checks.score(found), sum(one.state == "bad" for one in found)
    state = "bad" if score < SCORE_FAIR else "warning" if score < SCORE_GOOD or bad else "good"
    archive = {one.code: one for one in found}["archive"]
    hours = archive.facts["n"]
    archived = "plain" if archive.state == "unknown" else archive.state  # who has none may have other backups
    return [
        Item("archive" if isinstance(hours, int) else "archive_never", archived, {"hours": hours}, "/security"),
        Item("security", state, {"score": score, "bad": bad}, "/security"),
    ]


def _ends(name: str, ends: datetime, asked: _Asked, path: str) -> Item:
    days = (ends - asked.now).days
    state = "bad" if days <= ENDING else "warning" if days <= SOON else "good"
    code = "certificate" if days >= 0 else "certificate_over"
    return Item(code, state, {"name": name, "ends": ends, "days": days}, path)


async def _certificates(asked: _Asked) -> list[Item]:
    items = []
    for name, file in asked.configured.files.items():
        try:
            text = await asyncio.to_thread(file.read_text)
            items.append(_ends(f"[{name}]", certificates.describe(text).ends, asked, ""))
        except (OSError, ValueError, IndexError):
            items.append(Item("certificate_unknown", "unknown", {"name": f"[{name}]"}))
    for entry in await brands.brands(asked.database):
        if entry.certificate is not None:
            hosts = ", ".join(entry.hosts[:3])
            items.append(_ends(hosts, entry.certificate.ends, asked, f"/platform/{entry.id}"))
    return items or [Item("certificates_none", "plain", {}, "/platform")]


_Part = Callable[[_Asked], Awaitable[Sequence[Item]]]
_PARTS: Mapping[str, _Part] = {
    "figures": _figures, "alarms": _alarms, "faults": _faults, "tickets": _tickets, "queue": _queue, "nodes": _nodes,
    "sizes": _sizes, "backups": _backups, "security": _security, "certificates": _certificates,
}  # fmt: skip
