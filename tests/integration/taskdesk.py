"""All that makes and feeds tasks on a real database, with a clock that is set by hand and no carrier."""

from __future__ import annotations

import contextlib
import functools
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from changes import by_test
from composing import Composed, ground
from standins import AnyDestination, AnyFleet, NoLists, NoNumbers

from smsgw.core.actor import Actor
from smsgw.core.errors import Reason, SmsgwError
from smsgw.core.ids import CHINA, IdSource
from smsgw.core.model import Account, Origin
from smsgw.core.states import PartState
from smsgw.pipeline.accept.acceptor import Acceptor, Callbacks
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.platform.accounts import service as accounts
from smsgw.platform.campaigns.feeder import Feeder
from smsgw.platform.campaigns.model import TaskSpec, TaskView
from smsgw.platform.campaigns.service import Tasks
from smsgw.platform.change import Change
from smsgw.platform.policies import service as policies
from smsgw.platform.review.service import Reviewing
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

BLOCKED = ("NUMBER_BLACKLISTED", {"list": "人工"})


@dataclass
class Desk:
    """All that feeds, and a clock that is set by hand."""

    database: Database
    snapshots: SnapshotFollower
    acceptor: Acceptor
    tasks: Tasks
    feeder: Feeder
    reviewing: Reviewing
    ids: IdSource
    account_id: int
    away: set[str]
    """Pools without a channel."""
    sealer: Sealer
    clock: Callable[[], datetime] = field(default=functools.partial(datetime.now, UTC))
    offset: timedelta = timedelta()
    numbers: int = 0
    queued: set[tuple[int, int]] = field(default_factory=set)

    @property
    def account(self) -> Account:
        account = self.snapshots.current.account(self.account_id)
        return account

    def now(self) -> datetime:
        return self.clock() + self.offset

    def at(self, text: str) -> None:
        """Set the clock to a time of the day (in China), later today or tomorrow."""
        hour, minute = map(int, text.split(":"))
        now = self.now().astimezone(CHINA)
        wanted = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        self.offset += (wanted if wanted > now else wanted + timedelta(days=1)) - now

    def later(self, **how: float) -> None:
        self.offset += timedelta(**how)

    async def make(
        self, rows: int = 30, content: str = "您好", *, prefix: str = "138", to: Sequence[str] = (), **fields: Any
    ) -> int:
        numbers = tuple(to) or tuple(f"{prefix}{self.numbers + i:08d}" for i in range(rows))
        self.numbers += rows
        spec = TaskSpec(self.account, "测试", content, Origin.API, "key", to=numbers, **fields)
        change = Change(self.database, Actor.key("key", self.account_id, ("send",)))
        task, _ = await self.tasks.create(change, spec)
        return task.id

    async def feed(self, rounds: int = 20) -> None:
        """Let the feeder do what there is to do."""
        for _ in range(rounds):
            self.feeder._paced.clear()
            for feed in self.feeder._feeds.values():
                feed.counted = float("-inf")
                feed.aside_after = 0.0
            await self.feeder.step()

    async def view(self, task_id: int) -> TaskView:
        view = await self.tasks.get(task_id, accounts=None)
        progress = view.progress
        assert progress.valid == progress.pending + sum(progress.statuses.values()), view
        return view

    async def fed(self, task_id: int) -> TaskView:
        """A task after what there was to do."""
        await self.feed()
        return await self.view(task_id)

    async def states(self) -> Counter[PartState]:
        rows = await self.database.fetch("SELECT state, count(*) AS n FROM part GROUP BY state")
        return Counter({PartState(row["state"]): row["n"] for row in rows})

    async def submit(self, limit: int = 1_000_000) -> int:
        """Let a carrier take and deliver what is queued."""
        done = await self.database.execute(
            "UPDATE part SET state = 40, final_at = now() WHERE (id, part) IN "
            "(SELECT id, part FROM part WHERE state = 10 ORDER BY id LIMIT $1)",
            limit,
        )
        return int(done.split()[1])


class SomeBlocked(NoLists):
    """Numbers of 139 that end with a seven are on the list."""

    def refusal(self, number: str, *_: Any) -> Reason | None:
        """As said."""
        return BLOCKED if number.startswith("86139") and number[-1] == "7" else None


@contextlib.contextmanager
def refusing(code: str, **detail: Any) -> Iterator[None]:
    """What is done within is refused with this code, and with this detail."""
    with pytest.raises(SmsgwError) as refused:
        yield
    assert refused.value.code == code
    assert detail.items() <= refused.value.detail.items()


@contextlib.asynccontextmanager
async def desk(
    dsn: str, folder: Path, *, balance: int = 100_000, destinations: Callbacks | None = None
) -> AsyncIterator[Desk]:
    database = Database(dsn)
    await database.open()
    ids = IdSource(1, lambda: time.time_ns() // 1_000_000)
    account_id = await accounts.add(by_test(database), "acme", default_sign="测试")
    await accounts.top_up(by_test(database, ids.next), account_id, balance, "")
    for policy in ("frequency", "identical_seconds"):  # the same numbers are written to again and again
        await policies.put(by_test(database), policy, "off")
    found: list[Desk] = []

    def now() -> datetime:
        return found[0].now() if found else datetime.now(UTC)

    away: set[str] = set()
    sealer = Sealer(secrets.token_bytes(32))
    stand = ground(database, folder, sealer=sealer, ids=ids, min_free_mb=1)
    instead = {"callbacks": destinations or AnyDestination(), "fleet": AnyFleet(away), "outage": None, "now": now}
    parts = Composed(stand, lists=SomeBlocked(), numbers=NoNumbers(), **instead)
    await parts.snapshots.follow()
    found.append(
        Desk(
            database, parts.snapshots, parts.acceptor, parts.tasks, parts.feeder, parts.reviewing, ids, account_id,
            away, sealer,
        )
    )  # fmt: skip
    await parts.acceptor.start()
    await parts.outcomes.start()
    try:
        yield found[0]
    finally:
        await parts.acceptor.stop()
        await parts.outcomes.stop()
        await database.close()
