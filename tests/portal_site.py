"""A running portal on a real database with the real acceptor, and a carrier whose answers the test decides."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from changes import by_test
from composing import Composed, ground
from databases import change as as_owner
from following import follow
from snapshots import Overlay
from standins import AnyDestination, AnyFleet, NoLists, NoNumbers

from smsgw.admin.app import setup
from smsgw.admin.hashing import hash_password
from smsgw.api.app import runner_options
from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.addresses import Network
from smsgw.core.ids import IdSource
from smsgw.core.model import ChannelStatus, Outcome, OutcomeKind, Report
from smsgw.core.permissions import Permission
from smsgw.core.policy import NO_POLICY, RELAXED, PolicySet, parse
from smsgw.core.states import PartState
from smsgw.pipeline.accept.acceptor import Acceptor
from smsgw.pipeline.accept.followed_table import FollowedTable
from smsgw.pipeline.delivery.push import Pusher
from smsgw.platform.accounts import service as account_service
from smsgw.platform.change import Change
from smsgw.platform.channels import service as channel_service
from smsgw.platform.drafts.surveyor import Surveyor
from smsgw.platform.org import service as org
from smsgw.runtime.config import PublicConfig, WebhooksConfig
from smsgw.store.config.segments import load_segments
from smsgw.store.engine import leases
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import claiming, outcomes

PASSWORD = "Right-Horse-7"
NODE = 1
SEALER = Sealer(b"k" * 32)
"""Of the node that the portal belongs to."""
LINK_DOMAINS = ("s.example.cn", "t.example.cn")
PASSWORD_HASH = hash_password(PASSWORD)
_SEGMENTS = load_segments()


PATIENCE = outcomes.Patience(timedelta(hours=72), timedelta(minutes=3), timedelta(minutes=5))


@dataclass
class Site:
    """What a test needs to know of the running portal."""

    url: str
    db: Database
    acceptor: Acceptor
    snapshots: Overlay
    """What the node goes by: no policies."""
    accounts: dict[str, int]
    channel_id: int
    ids: IdSource
    surveyor: Surveyor
    channels: list[ChannelStatus] = field(default_factory=list)
    unavailable: set[str] = field(default_factory=set)
    """Pools that no channel serves at the moment."""
    known: Sequence[FollowedTable] = ()
    """Lists of numbers as the node has them; none: no number is on any."""
    pusher: Pusher | None = None
    """Of the node; not started."""

    async def follow(self) -> None:
        """Take up what has been put on the lists."""
        for table in self.known:
            await table.follow()

    def review_all(self) -> None:
        """From now on every message waits for an approval."""
        fields = {name: parse(name, "off") for name in RELAXED} | {"review": parse("review", "all")}
        self.snapshots.change(policies=PolicySet({(0, ""): fields}))

    async def add_staff(self, login: str, role: str, *accounts: str, must_change: bool = False) -> int:
        """A person whose password is ``PASSWORD``."""
        return await org.add_person(
            Change(self.db, Actor.system("test")), login, f"{login} 先生", [role], PASSWORD_HASH,
            accounts=[self.accounts[a] for a in accounts], must_change=must_change,
        )  # fmt: skip

    async def unread(self, *kinds: str) -> dict[str, list[str]]:
        """Login -> ``kind.word`` of what is unread in the inbox; it is read then."""
        rows = await self.db.fetch(
            "UPDATE inbox i SET read_at = now() FROM staff s WHERE s.id = i.staff_id AND i.kind = ANY($1) "
            "AND i.read_at IS NULL RETURNING s.login, i.kind || '.' || i.word AS word, i.subject",
            kinds,
        )
        found: dict[str, list[str]] = {}
        for row in sorted(rows, key=lambda row: (row["login"], row["word"], row["subject"])):
            found.setdefault(row["login"], []).append(row["word"])
        return found

    async def carrier_takes(self) -> list[tuple[int, int]]:
        """The channel claims what is queued and the carrier accepts it: (message id, part)."""
        lease = await leases.acquire(self.db, f"channel/{self.channel_id}", NODE)
        assert lease is not None
        async with self.db.transaction() as connection:
            claimed = await claiming.claim(
                connection,
                claiming.Fence(lease.resource, NODE, lease.epoch, self.channel_id),
                limit=5000,
                queues=[(pool, lane) for pool in self.snapshots.current.pools.values() for lane in range(4)],
                oldest=0,
            )
            now = datetime.now(UTC)
            answers = [
                outcomes.Answer(
                    Outcome(c.id, c.part, c.attempt, OutcomeKind.ACCEPTED, carrier_id=f"{c.id}-{c.part}"), now, None
                )
                for c in claimed
            ]
            rows, _ = await outcomes.commit_answers(connection, answers, outcomes.Tally(), PATIENCE)
            await follow(connection, rows, self.ids.next)
        return [(c.id, c.part) for c in claimed]

    async def carrier_reports(
        self, taken: list[tuple[int, int]], state: PartState = PartState.DELIVERED, code: str = "DELIVRD", cls: str = ""
    ) -> None:
        """The carrier's delivery reports for what it took."""
        now = datetime.now(UTC)
        async with self.db.transaction() as connection:
            ids = [id_ for id_, _ in taken]
            rows = await connection.fetch("SELECT id, number FROM message WHERE id = ANY($1::bigint[])", ids)
            numbers = {row["id"]: row["number"] for row in rows}
            reports = [
                Report(self.channel_id, f"{id_}-{part}", state, code, cls, numbers[id_], now, pdu=b"report of %d" % id_)
                for id_, part in taken
            ]
            rows, _ = await outcomes.match_reports(
                connection, reports, outcomes.Tally(), recent=0, oldest=0, newest=2**63 - 1
            )
            await follow(connection, rows, self.ids.next)


_ALL_PROVEN = (
    "CREATE FUNCTION test_proven() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.factor_at := now(); RETURN NEW; END'",
    "CREATE TRIGGER test_proven BEFORE INSERT ON portal_session FOR EACH ROW EXECUTE FUNCTION test_proven()",
)


@contextlib.asynccontextmanager
async def with_keeper(dsn: str, folder: Path, *rights: Permission) -> AsyncIterator[Site]:
    """The portal with ``boss``, who may do everything, and ``hall-op``, who has these rights with the data of hall."""
    async with running(dsn, folder) as site:
        await site.add_staff("boss", "super")
        await org.add_role(by_test(site.db), "keeper", "经办", [Permission.HOME_VIEW, *rights], ScopeKind.ACCOUNTS)
        await site.add_staff("hall-op", "keeper", "hall")
        yield site


async def all_proven(dsn: str) -> None:
    """From now on every session begins as if an app had just been shown."""
    await as_owner(dsn, *_ALL_PROVEN)


@contextlib.asynccontextmanager
async def running(
    dsn: str, folder: Path, *, secure_cookies: bool = False, trusted_proxies: Sequence[Network] = (),
    proven: bool = True, networks: Sequence[str] = (), listed: bool = False,
) -> AsyncIterator[Site]:  # fmt: skip
    """The portal on a free port of loopback, with two accounts and one channel; no staff yet. ``proven``: every login
    counts as one with an app, so that dangerous pages do not ask for it. ``networks`` may be called from the node.
    ``listed``: numbers stand as the lists in the database say."""
    db = Database(dsn, sealer=lambda: SEALER)
    await db.open()
    if proven:
        await all_proven(dsn)
    sealer = SEALER
    ids = IdSource(NODE, lambda: time.time_ns() // 1_000_000)
    accounts = {
        name: await account_service.add(by_test(db), name, display_name=shown, default_sign="市政服务")
        for name, shown in (("hall", "政务大厅"), ("clinic", "社区医院"))
    }
    for account_id in accounts.values():
        await account_service.top_up(by_test(db, ids.next), account_id, 100_000, "test")
    channel = {
        "protocol": "cmpp30", "host": "127.0.0.1", "port": 7890, "username": "900001", "password": "secret",
        "access_code": "10690001",
    }  # fmt: skip
    channel_id = await channel_service.add(by_test(db), sealer, "mobile-a", channel)
    unavailable: set[str] = set()
    channels: list[ChannelStatus] = []
    pushes = WebhooksConfig(http=True, networks=tuple(networks), ports=("1-65535",)) if networks else WebhooksConfig()
    stand = ground(db, folder, sealer=sealer, number=NODE, ids=ids, segments=_SEGMENTS, webhooks=pushes,
                   public=PublicConfig(hosts=LINK_DOMAINS))  # fmt: skip
    parts = Composed(
        stand, {"policies": NO_POLICY},
        fleet=AnyFleet(unavailable, narrow={"CUCC"}), callbacks=AnyDestination(), outage=None,
        proxies=list(trusted_proxies), channel_status=lambda: channels,
        **({} if listed else {"lists": NoLists(), "numbers": NoNumbers()}),
    )  # fmt: skip
    await parts.snapshots.follow()
    known = (parts.lists, parts.numbers) if listed else ()
    for table in known:
        await table.load()
    await parts.outcomes.start()
    await parts.acceptor.start()
    app = web.Application()
    context = replace(parts.portal, secure_cookies=secure_cookies)
    periodic = parts.periodic.run((*setup(app, context), *parts.jobs.periodics()))
    runner = web.AppRunner(app, **runner_options())
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    port = runner.addresses[0][1]
    try:
        yield Site(
            f"http://127.0.0.1:{port}",
            db,
            parts.acceptor,
            parts.snapshots,
            accounts,
            channel_id,
            ids,
            parts.surveyor,
            channels,
            unavailable,
            known,
            parts.pusher,
        )
    finally:
        await periodic.stop()
        await parts.jobs.stop()
        await runner.cleanup()
        await parts.acceptor.stop()
        await parts.outcomes.stop()
        await db.close()
