"""Whom alarms go to in a test: a mail server, robots, a webhook and a phone, and the nodes that tell them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from portal_site import SEALER, Site, by_test, running
from post import Post, serving
from receiver import LOOPBACK
from robots import HOOK_SECRET, SECRET, Robots, robots

from smsgw.admin.mailing import named
from smsgw.core.alarm_notes import Way
from smsgw.net.mail import Mailer
from smsgw.pipeline.delivery.push_http import Sender
from smsgw.platform.alarms import receivers
from smsgw.platform.alarms.memory import Memory
from smsgw.platform.alarms.model import Draft
from smsgw.platform.alarms.notifier import Notifier
from smsgw.platform.alarms.ways import Ways
from smsgw.platform.numbers.vendor import Outside
from smsgw.store.records import alarms

PHONE = "13800138000"


@dataclass
class Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Desk:
    """A site, whom its alarms go to, and nodes that tell them."""

    site: Site
    post: Post
    robots: Robots
    sender: Sender
    folder: Path
    clock: Clock

    def node(self, name: str = "one") -> Notifier:
        outside = Outside(LOOPBACK)
        ways = Ways(
            Mailer(self.post.config), self.sender, outside, self.site.acceptor, self.site.snapshots,
            lambda english: named(self.site.snapshots.current.brands, "en" if english else "zh"),
        )  # fmt: skip
        return Notifier(self.site.db, SEALER, ways, Memory(self.folder / f"{name}.json"), now=self.clock)

    async def add(self, way: Way, address: str, secret: str = "", name: str = "", **more: object) -> int:
        account = self.site.accounts["hall"] if way is Way.SMS else None
        draft = Draft(name or way, way, address, secret, account, **more)  # type: ignore[arg-type]
        return await receivers.add(by_test(self.site.db), SEALER, draft, LOOPBACK)

    async def everybody(self) -> None:
        await self.add(Way.SMS, PHONE)
        await self.add(Way.MAIL, "ops@buyer.example.org")
        await self.add(Way.WECOM, self.robots.wecom_url)
        await self.add(Way.DINGTALK, self.robots.dingtalk_url, SECRET)
        await self.add(Way.WEBHOOK, self.robots.hook_url, HOOK_SECRET)

    async def raised(self, object: str = "channel/mobile-a", severity: str = "critical") -> None:
        async with self.site.db.transaction() as connection:
            await alarms.raise_(connection, "channel_down", object, severity, "no answer", now=self.clock.now)

    async def cleared(self, object: str = "channel/mobile-a") -> None:
        async with self.site.db.transaction() as connection:
            await alarms.clear(connection, "channel_down", object, now=self.clock.now)

    async def told(self, *nodes: Notifier, after: timedelta = timedelta(seconds=15)) -> None:
        """Let so much time go by, and all nodes tell what is due."""
        self.clock.now += after
        for node in nodes:
            while await node.step():
                pass
        for node in nodes:
            await node.settle()

    async def states(self) -> Counter[tuple[str, str]]:
        rows = await self.site.db.fetch(
            "SELECT r.kind, n.state FROM alarm_note n JOIN alarm_receiver r ON r.id = n.receiver_id"
        )
        return Counter((row["kind"], row["state"]) for row in rows)

    async def texts(self) -> list[str]:
        """What the phone got."""
        rows = await self.site.db.fetch("SELECT content FROM message WHERE submitter LIKE '%alarms%' ORDER BY id")
        return [row["content"] for row in rows]


@asynccontextmanager
async def at_desk(dsn: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(running(dsn, tmp_path))
        post = await stack.enter_async_context(serving(Post()))
        bots = await stack.enter_async_context(robots())
        sender = Sender(own_ports=())
        await sender.start()
        stack.push_async_callback(sender.stop)
        yield Desk(site, post, bots, sender, tmp_path, Clock(datetime.now(UTC)))
