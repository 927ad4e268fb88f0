"""What accept asks about a number before it takes a message: the block list, and where marketing has been stopped.

Kept in memory and followed from the database every second or so, change by change.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

import structlog

from smsgw.core.alarms import CRITICAL, Finding
from smsgw.core.blocklist import OPT_OUT, UNREADABLE, BlockList, Entry
from smsgw.core.errors import Reason
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.words import label, phrase
from smsgw.pipeline.accept.followed_table import FollowedTable
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.runtime import clock
from smsgw.store.config import blocklist as store, consents
from smsgw.store.engine.database import Database
from smsgw.store.messages import complaints
from smsgw.store.messages.complaints import Rate

log = structlog.get_logger(__name__)

FOLLOW_EVERY = 1.0
RATES_EVERY = 300.0

"""Code and detail of a refusal."""


def refusal_of(
    rows: BlockList, over: Collection[str], number: str, account_id: int, type_: MessageType, sign: str, now: float
) -> Reason | None:
    """Why the block list, or too many complaints about a signature (``over``), keep such a message from the number;
    None: they do not."""
    entry = rows.find(number, account_id, type_, sign, now)
    if entry is not None:
        if entry.source == OPT_OUT:
            at = datetime.fromtimestamp(entry.since, UTC).astimezone(CHINA)
            # Of one that is not the account's own it is told the day alone.
            form = "%Y-%m-%d %H:%M" if entry.scope.account_id else "%Y-%m-%d"
            return "NUMBER_OPTED_OUT", {"time": at.strftime(form)}
        named = phrase("block.unreadable") if entry.source == UNREADABLE else label("blocked_by", entry.source)
        return "NUMBER_BLACKLISTED", {"list": named}
    if type_ is MessageType.MARKETING and sign in over:
        return "COMPLAINT_CEILING", {"object": phrase("complaint.sign", sign=sign)}
    return None


def agreed(said: Mapping[int, bool], accounts: Sequence[int]) -> bool:
    """Whether a number's owner has agreed to get marketing of an account, which is followed by those above it: the
    nearest one to which anything was ``said`` decides."""
    return next((said[account_id] for account_id in accounts if account_id in said), False)


class Consents(FollowedTable):
    """Who has agreed to get marketing, and who has withdrawn."""

    def __init__(self, database: Database) -> None:
        super().__init__("consent")
        self._database = database

    async def _read(self) -> tuple[BlockList, int]:
        return await consents.load(self._database)

    def _changes(self, version: int) -> AsyncIterator[tuple[list[Entry], int]]:
        return consents.changes(self._database, version)


class NumberLists(FollowedTable):
    """The lists of a node. Without ``load`` they are empty."""

    def __init__(self, database: Database, snapshots: Snapshots, clock: Callable[[], float] = clock.time) -> None:
        """``clock`` gives seconds since 1970."""
        super().__init__("block_list")
        self._database = database
        self._snapshots = snapshots
        self._clock = clock
        self._consents = Consents(database)
        self._over: tuple[Rate, ...] = ()
        self._over_signs: frozenset[str] = frozenset()
        self._over_channels: frozenset[int] = frozenset()

    async def _read(self) -> tuple[BlockList, int]:
        return await store.load(self._database)

    def _changes(self, version: int) -> AsyncIterator[tuple[list[Entry], int]]:
        return store.changes(self._database, version)

    async def load(self) -> None:
        """Read everything."""
        await super().load()
        await self._consents.load()
        await self.judge()

    async def follow(self) -> None:
        """Take up what has changed. ``STORAGE_UNAVAILABLE``."""
        await super().follow()
        await self._consents.follow()

    def consented(self, number: str, accounts: Sequence[int]) -> bool:
        """Whether the number's owner has agreed to get marketing of an account, which is followed by those above it."""
        said = self._consents.rows.entries(int(number))
        return agreed({entry.scope.account_id: entry.source == consents.GIVEN for entry in said}, accounts)

    def withheld(self, number: str, account_id: int, type_: MessageType, kind: str) -> Reason | None:
        """Why the account's policies and the ledger of consents keep such a message from the number; None: they do
        not."""
        snapshot = self._snapshots.current
        account = snapshot.account(account_id)
        if account is None or snapshot.policies.limits(account, type_, kind).consent != type_:
            return None
        return None if self.consented(number, (account.id, *account.above)) else ("NUMBER_NO_CONSENT", {})

    def periodics(self) -> Sequence[Periodic]:
        """What follows the database; ``load`` comes first."""
        return (Periodic("lists.follow", FOLLOW_EVERY, self.follow), Periodic("lists.judge", RATES_EVERY, self.judge))

    async def judge(self) -> None:
        """Compare complaints with the ceiling."""
        settings = self._snapshots.current.settings
        over = tuple(r for r in await complaints.rates(self._database, settings) if r.over(settings))
        self._over = over
        self._over_signs = frozenset(r.name for r in over if r.channel_id is None)
        self._over_channels = frozenset(r.channel_id for r in over if r.channel_id is not None)

    def findings(self) -> list[Finding]:
        """Where complaints are above the ceiling."""
        ceiling = self._snapshots.current.settings.complaint_ceiling
        return [
            Finding(
                "complaint_ceiling",
                f"sign/{r.name}" if r.channel_id is None else f"channel/{r.name}",
                CRITICAL,
                phrase(
                    "alarm.complaints",
                    complaints=r.complaints,
                    sent=r.sent,
                    rate=f"{r.per_million:.0f}",
                    ceiling=ceiling,
                ),
            )
            for r in self._over
        ]

    def marketing_stopped(self, channel_id: int) -> bool:
        """Whether complaints keep marketing off a channel."""
        return channel_id in self._over_channels

    @property
    def stopped_channels(self) -> frozenset[int]:
        """Channels that marketing is kept off."""
        return self._over_channels

    def refusal(self, number: str, account_id: int, type_: MessageType, sign: str) -> Reason | None:
        """Why nothing of this kind may go to the number; None: it may."""
        return refusal_of(self.rows, self._over_signs, number, account_id, type_, sign, self._clock())
