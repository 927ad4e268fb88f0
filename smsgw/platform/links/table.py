"""The links in force, in memory: what the public edge answers from, whatever the database does.

A link costs a few hundred octets however many codes it has, for codes are computed (``core/short_codes``); one that is
over costs half of that, so that who opens it is not taken for somebody who guesses. Read whole once, then change by
change; while the database is away it stays as it was.
"""

from __future__ import annotations

import asyncio
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from smsgw.core.alarms import WARNING, Finding
from smsgw.core.link_targets import name_of
from smsgw.core.short_codes import LENGTH, Permutation
from smsgw.core.url_filings import Link, found_in
from smsgw.core.words import phrase
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.links import queries
from smsgw.runtime import clock
from smsgw.store.engine.database import Database, Row
from smsgw.store.engine.rows import some
from smsgw.store.engine.secrets import Sealer

log = structlog.get_logger(__name__)

FOLLOW_EVERY = 1.0
VISITS_EVERY = 5.0
SWEEP_EVERY = 60.0
STALE = 15.0
"""Seconds without an answer of the database after which a code that is not known may have been made since."""


@dataclass(frozen=True, slots=True)
class LiveLink:
    """A link in force. Times are seconds since 1970; 0: none."""

    id: int
    target: str
    version: int
    warn: bool
    begins: float
    ends: float
    visits_max: int
    personal: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a code leads to."""

    link: LiveLink | None
    """None: nowhere any more, or not yet."""
    n: int
    """Which of its link's codes it is."""


class LinkTable:
    """Links by code. Empty until it was ``follow``ed."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._codes: Permutation | None = None
        self._links: dict[int, LiveLink] = {}
        self._chosen: dict[tuple[str, str], int] = {}
        """Ids of all links whose code was chosen."""
        self._serials: list[int] = []
        """The first serials of all links that ever were, in order, …"""
        self._ranges: list[tuple[int, int, str]] = []
        """… and of each its id, how many codes it has, and the name of its domain."""
        self._visits: dict[int, int] = {}
        """Of links with a limit: those that the database knows, …"""
        self._under_way: dict[int, set[int]] = {}
        """… and of this node, the clicks that are on their way there, as many as their file has room for, …"""
        self._unkept: Counter[int] = Counter()
        """… and how many are that have no row."""
        self._domains: set[str] = set()
        """Their names, of all links that ever were."""
        self._change = 0
        self._followed_at: float | None = None
        self._following = asyncio.Lock()
        self.counting = asyncio.Lock()
        """Held from before visits are entered until they are ``entered``, and while they are read: else what comes in
        between would count twice, or not at all."""

    def __len__(self) -> int:
        return len(self._links)

    def periodics(self) -> Sequence[Periodic]:
        """Following."""
        return (
            Periodic("links.follow", FOLLOW_EVERY, self.follow),
            Periodic("links.visits", VISITS_EVERY, self._look_at_visits),
            Periodic("links.sweep", SWEEP_EVERY, self._sweep),
        )

    async def begin(self) -> None:
        """Follow for the first time, so that the first visitor finds them. Messages do not hang on it: what fails is
        logged and tried again with the next look, and until then the edge is not ready and says so."""
        try:
            await self.follow()
        except Exception as exc:  # the database, the key file, a row: whatever it is, who has begun this goes on
            log.error("links.unread", error=exc)

    async def follow(self) -> None:
        """Take up what has changed; at first, everything. ``STORAGE_UNAVAILABLE``, ``KeyFileError``."""
        async with self._following:
            async for rows, change in queries.changes(self._database, self._change):
                if self._codes is None:
                    self._codes = await queries.permutation(self._database, self._sealer)
                some("short_link", rows, self._take)
                self._change = change
            self._followed_at = clock.steady()

    @property
    def age(self) -> float | None:
        """Seconds since it was as the database has it; None: it never was."""
        return None if self._followed_at is None else clock.steady() - self._followed_at

    @property
    def stale(self) -> bool:
        """Whether it may lack links, and lead where links have led."""
        return self.age is None or self.age > STALE

    def findings(self, about: str) -> list[Finding]:
        """The alarm about an edge that does not follow the database."""
        if not self.stale:
            return []
        stale = phrase("alarm.links_never") if self.age is None else phrase("alarm.links_stale", seconds=int(self.age))
        return [Finding("links_stale", about, WARNING, stale)]

    async def _look_at_visits(self) -> None:
        """How many visits other nodes have seen, of links with a limit."""
        async with self.counting:
            limited = [link.id for link in self._links.values() if link.visits_max]
            read = await queries.visits(self._database, limited) if limited else {}
            # Links that have come meanwhile stay as they came.
            self._visits = {id_: n for id_, n in self._visits.items() if id_ in self._links} | read

    async def _sweep(self) -> None:
        self.sweep(clock.time())

    def sweep(self, now: float) -> None:
        """Links whose time is over lead nowhere any more, and need no more room than those that were stopped."""
        for id_ in [link.id for link in self._links.values() if 0 < link.ends <= now]:
            self._forget(id_)

    def _forget(self, id_: int) -> None:
        self._links.pop(id_, None)
        self._visits.pop(id_, None)

    def _take(self, row: Row) -> None:
        id_, serial, name = row["id"], row["serial"], name_of(row["domain"])
        self._domains.add(name)
        if serial < 0:
            self._chosen[name, row["chosen"]] = id_
        else:
            self._know(serial, (id_, row["codes"], name))
        if not row["live"]:
            self._forget(id_)
            return
        link = self._links[id_] = LiveLink(
            id_, row["target"], row["version"], row["warn"], _seconds(row["valid_from"]), _seconds(row["valid_until"]),
            row["visits_max"], row["personal"],
        )  # fmt: skip
        if link.visits_max:
            self._visits.setdefault(id_, row["visits"])  # of one that it knows, it may know more

    def _know(self, serial: int, whose: tuple[int, int, str]) -> None:
        """Where a range begins; nearly always behind all others."""
        at = bisect_right(self._serials, serial)
        if at and self._serials[at - 1] == serial:
            return
        self._serials.insert(at, serial)
        self._ranges.insert(at, whose)

    def find(self, domain: str, code: str, now: float) -> Found | None:
        """Which link of that domain the code is of; None: of none that ever was."""
        whose = self._whose(domain, code)
        return None if whose is None else Found(self._open(whose[0], now), whose[1])

    def target(self, link: Link) -> str:
        """Where a link of a text leads that is one of ours in force, now or later; empty: it is none."""
        whose = self._whose(link.host, _code_in(link.path)) if link.host in self._domains else None
        live = None if whose is None else self._links.get(whose[0])
        return "" if live is None else live.target

    def leads_to(self, text: str) -> str:
        """The targets of those of our links in force that stand in a text, with spaces between them. What nobody here
        knows yet leads nowhere yet: its own domain is all that can be judged of it."""
        if not self._domains:
            return ""
        plain = unicodedata.normalize("NFKC", text).lower()
        if not any(domain in plain for domain in self._domains):
            return ""
        return " ".join(target for link in found_in(text) if (target := self.target(link)))

    def _whose(self, domain: str, code: str) -> tuple[int, int] | None:
        """The id of the link, and which of its codes."""
        if len(code) != LENGTH:
            id_ = self._chosen.get((domain, code.lower()))
            return None if id_ is None else (id_, 0)
        serial = None if self._codes is None else self._codes.serial(code)
        if serial is None:
            return None
        at = bisect_right(self._serials, serial) - 1
        if at < 0:
            return None
        (id_, codes, of), n = self._ranges[at], serial - self._serials[at]
        return (id_, n) if n < codes and of == domain else None

    def _open(self, id_: int, now: float) -> LiveLink | None:
        """The link, when it leads somewhere at this moment."""
        link = self._links.get(id_)
        if link is None or link.begins > now or 0 < link.ends <= now:
            return None
        if link.visits_max and self._seen(id_) >= link.visits_max:
            return None
        return link

    def _seen(self, id_: int) -> int:
        return self._visits.get(id_, 0) + len(self._under_way.get(id_, ())) + self._unkept[id_]

    def visited(self, link: LiveLink, click: int) -> None:
        """One more visit of a link with a limit is on its way to the database: that click's."""
        self._under_way.setdefault(link.id, set()).add(click)

    def unkept(self, link_id: int, click: int) -> None:
        """That visit gets no row: it is one of a number from now on, however long the database is away."""
        self._arrived(link_id, click)
        self._unkept[link_id] += 1

    def entered(self, visits: Iterable[tuple[int, int]]) -> None:
        """These (link, click) are there now; of an earlier run's, that was never under way here, nobody knew."""
        for link_id, click in visits:
            self._visits[link_id] = self._visits.get(link_id, 0) + 1
            self._arrived(link_id, click)

    def entered_unkept(self, visits: Mapping[int, int]) -> None:
        """So many of each link are there now that have no row."""
        for link_id, n in visits.items():
            self._visits[link_id] = self._visits.get(link_id, 0) + n
        self._unkept -= Counter(visits)  # and what is down to nothing goes

    def _arrived(self, link_id: int, click: int) -> None:
        under_way = self._under_way.get(link_id, set())
        under_way.discard(click)
        if not under_way:
            self._under_way.pop(link_id, None)


def _code_in(path: str) -> str:
    """The code that a browser opens: to it a backslash is a slash, and dots are steps in place or up."""
    steps: list[str] = []
    for step in path.partition("?")[0].partition("#")[0].replace("\\", "/").removeprefix("/").split("/"):
        dots = step.lower().replace("%2e", ".")
        if dots == "..":
            del steps[-1:]
        elif dots != ".":
            steps.append(step)
    return "/".join(steps)


def _seconds(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()
