"""Routing: from a message to the pool it queues in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from smsgw.core import numbers
from smsgw.core.ids import CHINA
from smsgw.core.model import TEST_POOL, TEST_POOL_NAME, MessageType
from smsgw.core.numbers import Segments
from smsgw.core.routes import DEFAULT_POOL, Considered, Subject
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.snapshot import Snapshot
from smsgw.store.engine.database import Row


@dataclass(frozen=True, slots=True)
class Home:
    """Whose a number is, and how that is known."""

    carrier: str
    province: str
    known_by: str
    """``override`` (ported, imported), ``segment`` (segment table), ``country`` (abroad) or ``default`` (unknown)."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message goes."""

    home: Home
    pool: str
    pool_id: int


class Router:
    """Routes by the table of the snapshot that its caller holds, to pools that the fleet serves."""

    def __init__(self, segments: Segments, fleet: Fleet) -> None:
        self._segments = segments
        self.fleet = fleet

    def home(self, snapshot: Snapshot, number: str) -> Home:
        """The carrier and province of an E.164 number."""
        known = snapshot.overrides.home(number)
        if known is not None:
            return Home(known.carrier, known.province, "override")
        if not number.startswith("86"):
            return Home(numbers.INTL, "", "country")
        segment = self._segments.home(number)
        if segment is None or segment.carrier == numbers.UNKNOWN:
            return Home(numbers.UNKNOWN, segment.province if segment else "", "default")
        return Home(segment.carrier, segment.province, "segment")

    def route(
        self,
        snapshot: Snapshot,
        account: str,
        kind: MessageType,
        number: str,
        home: Home,
        sign: str,
        content: str,
        now: datetime,
        prefer: str = "",
        custom: str = "",
    ) -> Route:
        """Where a message goes; to the pool that is preferred where a rule leads there and it has a channel now."""
        table = snapshot.table
        if table.rules:
            subject = _subject(account, kind, number, home, sign, content, now, custom)
            if prefer and table.leads(subject, prefer) and self.fleet.available(prefer):
                pool = prefer
            else:
                pool = table.pool_for(subject)
        else:
            pool = DEFAULT_POOL[home.carrier]
        return Route(home, pool, snapshot.pools[pool])

    def explain(
        self,
        snapshot: Snapshot,
        account: str,
        kind: MessageType,
        number: str,
        home: Home,
        sign: str,
        content: str,
        now: datetime,
        custom: str = "",
    ) -> tuple[int, list[Considered]]:
        """The table's version and every rule that was looked at, up to the one that decides."""
        table = snapshot.table
        return table.version, table.explain(_subject(account, kind, number, home, sign, content, now, custom))[1]

    def reroute(self, snapshot: Snapshot, message: Row, carrier: str, now: datetime) -> int:
        """The pool of a stored message whose number turned out to be another carrier's."""
        account = snapshot.account(message["account_id"])
        home = replace(self.home(snapshot, message["number"]), carrier=carrier, known_by="override")
        return self.route(
            snapshot, account.name if account else "", MessageType(message["type"]), message["number"], home,
            message["sign"], message["content"], now, custom=message["kind"],
        ).pool_id  # fmt: skip

    @staticmethod
    def test_route(home: Home) -> Route:
        """Where a test message goes, whatever the table says."""
        return Route(home, TEST_POOL_NAME, TEST_POOL)

    def unavailable(self, pools: Iterable[str]) -> list[str]:
        """Those of the pools that no channel can serve now."""
        return [pool for pool in pools if not self.fleet.available(pool)]


def _subject(
    account: str, kind: MessageType, number: str, home: Home, sign: str, content: str, now: datetime, custom: str
) -> Subject:
    return Subject(
        account, kind, number, home.carrier, home.province, sign, content, now.astimezone(CHINA).time(), custom
    )
