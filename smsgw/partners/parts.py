"""Long messages of partners: their parts are kept until all have come, then accepted as one message (docs/adr/016)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import structlog

from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary
from smsgw.core.ids import IdSource
from smsgw.core.model import Origin
from smsgw.core.partners import IN_PARTS, Partner
from smsgw.core.text import Coding
from smsgw.partners.protocol_server import NotText, text_of
from smsgw.partners.resubmits import Answers, Line
from smsgw.pipeline.accept.acceptor import OUTAGE_PATIENCE, Acceptor, SendItem, SendRequest
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.messages import partner_parts as store
from smsgw.store.messages.partner_parts import Kept, Part

log = structlog.get_logger(__name__)

MAX_WAITING = 10_000
SWEEP_EVERY = 5.0
LEFT_UNDONE = timedelta(seconds=5)
"""A set that is complete for so long was left by whoever was joining it."""

UNDECIDED_FOR = (0.05, 0.1, 0.2, 0.4, 0.5, 0.75)
"""Seconds between the looks for others of a part that may be one that came before."""

Work = Callable[[Connection], Awaitable[set[int]]]


class Parts:
    """Keeps parts and joins them."""

    def __init__(
        self, database: Database, acceptor: Acceptor, snapshots: Snapshots, hub: EventHub, ids: IdSource
    ) -> None:
        self._database = database
        self._acceptor = acceptor
        self._snapshots = snapshots
        self._hub = hub
        self._ids = ids
        self._writer: Batcher[Part, Kept | SmsgwError] = Batcher(
            "partner.parts",
            database.dsn,
            self._commit,
            max_batch=1000,
            limit=MAX_WAITING,
            give_up_after=OUTAGE_PATIENCE,
        )
        self._told: set[int] = set()
        self.answers = Answers()
        self.joined = 0
        self.given_up = 0

    async def start(self) -> None:
        """Connect the writer."""
        await self._writer.start()

    def periodics(self) -> Sequence[Periodic]:
        """What looks after what is left undone."""
        return (Periodic("partner.parts", SWEEP_EVERY, self._sweep),)

    async def stop(self) -> None:
        """Commit what waits."""
        await self._writer.stop()

    async def take(self, part: Part, partner: Partner, line: Line) -> int:
        """Keep a part, and accept the message when it is the last one; the id to answer with over the ``line`` that it
        came by.

        Raises ``SmsgwError`` when it was not kept, or when the message that it completes is refused: then it is
        forgotten, and its siblings get reports unless the refusal was for now.
        """
        self.answers.came(part, line)
        try:
            return await self._take(part, partner)
        except BaseException:
            self.answers.refused(part.id)
            raise

    async def _take(self, part: Part, partner: Partner) -> int:
        kept = await self._keep(part)
        for pause in UNDECIDED_FOR:
            if kept.id:
                break
            await asyncio.sleep(pause)
            kept = await self._keep(replace(part, decided=pause == UNDECIDED_FOR[-1]))
        if self._told:
            told, self._told = self._told, set()
            self._hub.notify(told, "report")
        if kept.whole:
            rows = await store.open_parts(self._database, kept.whole)
            try:
                if not await self._join(rows, partner) and not await store.is_taken(self._database, kept.id):
                    raise Temporary("BACKPRESSURE", retry_after=1, n=1)  # refused under another submit of it
            except SmsgwError as exc:
                # Of its parts the one that made it whole has no answer yet; the others' senders were told their ids.
                last = part.id if part.id == kept.id else max(kept.whole)
                await self._undo(last, rows, exc)
                raise
        return kept.id

    async def _keep(self, part: Part) -> Kept:
        kept = await self._writer.put(part)
        if isinstance(kept, SmsgwError):  # never: the writer raises it
            raise kept
        return kept

    async def _commit(self, connection: Connection, parts: list[Part], again: bool) -> list[Kept | SmsgwError]:
        # A repeat finds its own rows, as if the partner had sent them again.
        results, told = await store.keep(connection, parts, self._ids.next, now=clock.now(), answers=self.answers)
        self._told |= told
        return list(results)

    async def _join(self, rows: Sequence[Row], partner: Partner | None) -> bool:
        """Accept what the rows make up; False when they are no longer all there: somebody else has, or they are
        refused."""
        newest = {row["part"]: row for row in rows}
        if not rows or len(newest) < rows[0]["total"]:
            return False
        ordered = [newest[n] for n in sorted(newest)]
        first = ordered[0]
        account = self._snapshots.current.account(first["account_id"])
        if account is None or partner is None:
            raise Refused("ACCOUNT_STOPPED")
        request = SendRequest(
            account=account,
            items=(SendItem(first["number"], _content(ordered), ext=IN_PARTS, extend_code=first["extend_code"]),),
            type=partner.type,
            origin=Origin(partner.protocol),
            submitter=partner.label,
            send_at=first["send_at"],
            expire_at=first["expire_at"],
            emergency=first["urgent"] and account.emergency,
            joins=tuple(row["id"] for row in ordered),
        )
        try:
            result = await self._acceptor.send(request)
        except Refused as exc:
            if exc.code == "STATE_CONFLICT":
                return False
            raise
        item = result.items[0]
        if item.code is not None:
            raise Invalid(item.code)
        self.joined += 1
        return True

    async def _undo(self, part_id: int, rows: Sequence[Row], error: SmsgwError) -> None:
        async def work(connection: Connection) -> set[int]:
            if isinstance(error, Temporary):
                await store.withdraw(connection, part_id)
                return set()
            await store.forget(connection, part_id)
            others = [row["id"] for row in rows if row["id"] != part_id]
            return await store.refuse(connection, others, self._ids.next, code=error.code)

        await self._tell(work)

    async def _tell(self, work: Work) -> int:
        async with self._database.transaction() as connection:
            told = await work(connection)
        self._hub.notify(told, "report")
        return len(told)

    async def _sweep(self) -> None:
        now = clock.now()
        partners = {p.id: p for p in self._snapshots.current.partners.values()}
        for ids in await store.ready(self._database, now - LEFT_UNDONE):
            rows = await store.open_parts(self._database, ids)
            try:
                await self._join(rows, partners.get(rows[0]["partner_id"]) if rows else None)
            except Temporary:
                continue  # the next round, until their time is over
            except SmsgwError as exc:
                work = partial(store.refuse, part_ids=[row["id"] for row in rows], ids=self._ids.next, code=exc.code)
                await self._tell(work)
        self.given_up += await self._tell(partial(store.give_up, before=now - store.PATIENCE, ids=self._ids.next))


def _content(rows: Sequence[Row]) -> str:
    """The text of all parts. Octets are joined before they are read: a sender may have cut a character in two."""
    codings = {row["coding"] for row in rows}
    try:
        if len(codings) == 1:
            return text_of(b"".join(row["octets"] for row in rows), Coding(codings.pop()))
        return "".join(text_of(row["octets"], Coding(row["coding"])) for row in rows)
    except NotText as exc:
        raise Invalid("PARAM_INVALID", field="content", reason=str(exc)) from exc
