"""Takes the hops: looks at messages that have a chain behind them, and sends what follows those that have failed.

A hop goes through the door like any message. That it has been taken is written in the transaction that stores it, under
a lock of the message before it: whatever dies when, and whoever else looks, a message is followed once at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.core.fallback import Follow, Hop, Sight, follows, look
from smsgw.core.ids import time_of
from smsgw.core.model import Account, Lane, MessageType, Origin
from smsgw.core.sent_links import NAME
from smsgw.core.states import PartState
from smsgw.core.words import phrase
from smsgw.pipeline.accept.acceptor import VALIDITY, Acceptor
from smsgw.pipeline.accept.requests import ItemResult, SendItem, SendRequest
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.platform.campaigns.row_rules import OF_ROWS
from smsgw.platform.fallback import rules
from smsgw.platform.fallback.rules import LATEST
from smsgw.platform.links.sending import following
from smsgw.platform.messages import resend
from smsgw.runtime import clock, failpoints
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import fallback as store, resends, tasks
from smsgw.store.messages.fallback import Watch

log = structlog.get_logger(__name__)

RESOURCE = "fallback"
TICK = 1.0
CALLS = 20
"""Calls that are looked at in a step."""
AT_ONCE = 20
"""Hops that go to the door together."""
SOONEST = timedelta(seconds=1)
"""Between two looks at a call: an eighth of its age, from this to ``rules.LATEST``."""
LAST = timedelta(seconds=30)
"""The last look, before the time of a chain is over."""
PAUSED = timedelta(seconds=10)
_OF_ALL = ("ACCOUNT_", "BALANCE_", "QUOTA_", "RATE_LIMITED", "STORAGE_")
"""How codes begin that say something of the account, or of us: the door says the same to the others."""
_SOON = ("BACKPRESSURE", "RATE_LIMITED")
"""What is over in seconds."""
_PASSES = frozenset({"TIME_WINDOW_CLOSED"})
"""What the door says of a number and will not say later: the hop waits, as long as the chain has time."""


class _Gate:
    """In the transaction that stores a hop: nothing has followed the message before, and its task goes on."""

    def __init__(self, watch: Watch, previous: int) -> None:
        self._watch, self._previous = watch, previous
        self._id, self._refusal = 0, ""

    def given(self, results: Sequence[ItemResult]) -> _Gate:
        """What the door says of it."""
        (only,) = results
        self._id = int(only.message_id or 0)
        self._refusal = only.code if only.code in _PASSES else ""
        return self

    async def admit(self, connection: Connection) -> SmsgwError | None:
        """Why it may not follow, or not yet."""
        if self._refusal:
            return Temporary(self._refusal)
        if not await resends.lock(connection, self._previous):
            return Temporary("BACKPRESSURE", retry_after=1)
        if await resends.done(connection, self._previous):
            return Refused("STATE_CONFLICT", reason=phrase("resend.again"))
        if self._watch.task_id is None:
            return None
        task = await tasks.lock_free(connection, self._watch.task_id)
        if task is None or task.state == "paused":
            return Temporary("BACKPRESSURE", retry_after=1)
        return Refused("STATE_CONFLICT", reason=phrase("task.changed")) if task.state == "cancelled" else None

    async def mark(self, connection: Connection) -> None:
        """It follows."""
        watch = self._watch
        await resends.note(
            connection, self._previous, self._id, hop=watch.hop + 1, first_id=watch.first_id or self._previous,
            task=watch.task,
        )  # fmt: skip


class Fallback:
    """The chains of all accounts, on the node that has the lease."""

    def __init__(
        self, database: Database, acceptor: Acceptor, snapshots: Snapshots, *, now: Callable[[], datetime] = clock.now
    ) -> None:
        self._database = database
        self._acceptor = acceptor
        self._snapshots = snapshots
        self._now = now

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("fallback", TICK, self.step, exclusive=RESOURCE),)

    async def step(self) -> bool:
        """Look at some calls that are due; whether there may be more."""
        watches = await store.due(self._database, self._now(), CALLS)
        for watch in watches:
            try:
                await self._look(watch)
            except Exception:  # one chain must never hold up another
                log.exception("fallback.failed", message=watch.base_id)
                again = min(self._now() + LATEST, watch.until)
                await store.looked(self._database, watch.base_id, watch.open, again, "INTERNAL")
        return len(watches) == CALLS

    async def _look(self, watch: Watch) -> None:
        now = self._now()
        account = self._snapshots.current.account(watch.account_id)
        state = await self._task_state(watch)
        if now >= watch.until or account is None or state == "cancelled":
            await store.looked(self._database, watch.base_id, watch.open, None, watch.problem)
            return
        if account.halted or state == "paused":
            problem = "ACCOUNT_STOPPED" if account.halted else "PAUSED"
            await store.looked(self._database, watch.base_id, watch.open, now + PAUSED, problem)
            return
        parts = await store.states(self._database, watch.open)
        seen = {id_: look(parts[id_]) for id_ in watch.open if id_ in parts}
        left = [id_ for id_, sight in seen.items() if sight is Sight.OPEN]
        failed = [id_ for id_, sight in seen.items() if sight is Sight.FAILED]
        waiting: list[int] = []
        problem = ""
        if failed and watch.hop < len(watch.chain.hops):
            waiting, problem = await self._follow(watch, account, failed)
        pause = min(max((now - _begun(watch)) / 8, SOONEST), PAUSED if problem in _SOON else LATEST)
        last = watch.until - LAST
        again = min(now + pause, last if now < last else watch.until)
        open_ = sorted((*left, *waiting))
        await store.looked(self._database, watch.base_id, open_, again if open_ else None, problem)

    async def _task_state(self, watch: Watch) -> str:
        if watch.task_id is None:
            return ""
        task = await tasks.get(self._database, watch.task_id, accounts=None)
        return "cancelled" if task is None else task.state

    async def _follow(self, watch: Watch, account: Account, failed: Sequence[int]) -> tuple[list[int], str]:
        """Take the hop of those that it follows; those of which that has to be tried again, and why."""
        hop, book = watch.chain.hops[watch.hop], self._snapshots.current.codes
        rows = []
        for row in await resend.judged(self._database, failed, None):
            states = [PartState(state) for state in row["states"]]
            if not resend.why_not(row, book) and follows(hop.when, list(zip(states, row["codes"], strict=True))):
                rows.append(row)
        waiting: list[int] = []
        problem = ""
        for at in range(0, len(rows), AT_ONCE):
            some = rows[at : at + AT_ONCE]
            found = await asyncio.gather(*(self._take(watch, account, hop, row) for row in some))
            failpoints.reach("fallback.committed")
            waiting += [row["id"] for row, why in zip(some, found, strict=True) if why]
            problem = next((why for why in (*found, problem) if why in _SOON), problem or next(filter(None, found), ""))
            if any(why.startswith(_OF_ALL) for why in found):
                return [*waiting, *(row["id"] for row in rows[at + AT_ONCE :])], problem
        return waiting, problem

    async def _take(self, watch: Watch, account: Account, hop: Hop, row: Row) -> str:
        """Send what follows a message; empty, or the code of why it has to be tried again."""
        now = self._now()
        try:
            request = self._request(watch, account, hop, row, now)
            if (address := watch.values.get(str(row["id"]), {}).get(NAME)) and _says(request.items[0], address):
                link = await following(self._database, row["id"], now, address)
                request = replace(request, items=(replace(request.items[0], link=link),))
            result = await self._acceptor.send(request)
        except KeyError as exc:  # its template has changed since the chain was checked
            log.info("fallback.waits", message=row["id"], hop=watch.hop + 1, variable=str(exc))
            return "CONTENT_VARIABLE_UNRESOLVED"
        except SmsgwError as exc:
            if exc.code == "STATE_CONFLICT":  # somebody has followed it, or it was cancelled
                return ""
            log.info("fallback.waits", message=row["id"], hop=watch.hop + 1, code=exc.code)
            return exc.code
        (only,) = result.items
        if only.message_id is None:
            return only.code or "BACKPRESSURE"
        log.info("fallback.taken", message=only.message_id, hop=watch.hop + 1, after=row["id"], status=only.status)
        return ""

    def _request(self, watch: Watch, account: Account, hop: Hop, row: Row, now: datetime) -> SendRequest:
        snapshot, kind = self._snapshots.current, MessageType(row["type"])
        values: Mapping[str, str] = watch.values.get(str(row["id"]), {})
        content, params = rules.said(hop, rules.template_of(snapshot, account, hop), values)
        own = row["extend_code"].removeprefix(snapshot.numbering.extension_of(account, row["sign"]))
        item = SendItem(
            f"+{row['number']}", content, ext=row["ext"], extend_code=own, sign=hop.sign or row["sign"],
            template_id=hop.template_id or 0, params=params,
        )  # fmt: skip
        first = watch.first_id or row["id"]
        follow = Follow(watch.chain, watch.hop + 1, first, watch.until, watch.task, (values,))
        request = SendRequest(
            account, (item,), kind, Origin(row["origin"]), row["submitter"],
            expire_at=min(watch.until, now + VALIDITY[kind]), callback_url=row["callback_url"],
            emergency=row["lane"] == Lane.EMERGENCY, prefer=hop.prefer, follow=follow,
            gate=_Gate(watch, row["id"]).given, reviewed=watch.reviewed,
            kind=snapshot.kinds.get(row["kind"]),
        )  # fmt: skip
        return _as_reviewed(self._acceptor, request) if watch.reviewed and values else request


def _says(item: SendItem, address: str) -> bool:
    """Whether the address of a short link stands in its text."""
    return any(address in text for text in (item.content, *(item.params or {}).values()))


def _begun(watch: Watch) -> datetime:
    """When its messages were accepted, or may be sent from."""
    return max(time_of(watch.base_id), watch.until - watch.chain.minutes * rules.MINUTE)


def _as_reviewed(acceptor: Acceptor, request: SendRequest) -> SendRequest:
    """A reviewer has passed what a hop says to everybody; what its values bring in is asked about like any message."""
    passed, _ = acceptor.judge(request)
    asked = any(getattr(why, "key", "") in OF_ROWS for one in passed for why in one.subject.draft.reviews)
    return replace(request, reviewed=not asked)
