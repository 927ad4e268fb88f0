"""What goes wrong reaches a mail server, a webhook and a phone within its time, once, and its end too."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from databases import change
from harness import OPEN, PASSWORD, Site, database_beside, fill, site, tmpfs, until
from post import Post, serving
from robots import HOOK_SECRET, Robots, robots

from smsgw.simulator.config import Mix
from smsgw.store.engine.embedded import EmbeddedPostgres

PHONE = "13800138999"
HELD = 10
"""Seconds for which it must have been over: in this database less than the 90 of all others."""
_HOLD = f"""
CREATE OR REPLACE FUNCTION alarm_hold() RETURNS interval LANGUAGE sql IMMUTABLE
AS $$ SELECT interval '{HELD} seconds' $$
"""
SETTINGS = {"channel_down_seconds": "5", "success_limit": "99", "success_minutes": "5", "success_least": "20"}


@dataclass
class People:
    """What receivers have got."""

    built: Site
    post: Post
    robots: Robots

    def phone(self) -> list[str]:
        """Lines of the messages that its carrier has."""
        got = [m.text for m in self.built.carriers["cmpp30"].inbox.messages if m.destination.endswith(PHONE)]
        return [line for text in got for line in text.split("\n")]

    def mail(self) -> list[str]:
        bodies = [message.get_body() for _, message in self.post.got]
        return [line for body in bodies if body is not None for line in body.get_content().splitlines() if line]

    def hook(self) -> list[str]:
        return [item["text"] for item in self.robots.hook]

    async def told(self, word: str, within: float, *, phone: bool = True) -> dict[str, float]:
        """Wait until each has got a line with the word; after how many seconds."""
        began, times = time.monotonic(), dict[str, float]()
        ways = {"mail": self.mail, "webhook": self.hook} | ({"phone": self.phone} if phone else {})

        def all_have() -> bool:
            for way, lines in ways.items():
                if way not in times and any(word in line for line in lines()):
                    times[way] = round(time.monotonic() - began, 1)
            return len(times) == len(ways)

        await until(all_have, within=within, what=f"{word} has reached {ways.keys()}, not only {times}")
        return times

    def counted(self, kind: str) -> Counter[str]:
        """How often each has been told that it began, or is over."""
        ways = {"mail": self.mail(), "webhook": self.hook(), "phone": self.phone()}
        return Counter(
            f"{way} {'over' if '告警恢复' in line else 'begun'}"
            for way, lines in ways.items() for line in lines if kind in line
        )  # fmt: skip


ONCE = {f"{way} {what}": 1 for way in ("mail", "webhook", "phone") for what in ("begun", "over")}


@pytest.fixture
def disk(data_dir: Path) -> Iterator[Path]:
    """A data folder with 96 MB, on a file system of its own."""
    data_dir.mkdir()
    with tmpfs(data_dir, 96):
        yield data_dir


@contextlib.asynccontextmanager
async def people(folder: Path, disk: Path) -> AsyncIterator[tuple[People, EmbeddedPostgres]]:
    """A site with two channels over a database of its own; its data on the disk."""
    async with contextlib.AsyncExitStack() as stack:
        database, dsn = await stack.enter_async_context(database_beside(folder))
        await change(dsn, _HOLD)
        post = await stack.enter_async_context(serving(Post()))
        bots = await stack.enter_async_context(robots())
        mail = {"mail_host": "127.0.0.1", "mail_port": str(post.port), "mail_security": "none",
                "mail_sender": "alarm@sms.example.org"}  # fmt: skip
        built = await stack.enter_async_context(
            site(disk, dsn=dsn, channels=["cmpp30", "cmpp20"], durability_min_free_mb="24", **OPEN, **mail)
        )
        node = built.node
        for name, value in SETTINGS.items():
            await node.furnish("setting", "set", name, value)
        receiver = ("alarm", "receiver", "add")
        await node.furnish(*receiver, "phone", "sms", "--address", PHONE, "--account", "acme")
        await node.furnish(*receiver, "mail", "mail", "--address", "ops@buyer.example.org")
        await node.furnish(*receiver, "hook", "webhook", "--address", bots.hook_url, "--secret", HOOK_SECRET)
        yield People(built, post, bots), database


@pytest.mark.slow
@pytest.mark.timeout(900)  # each end is told when it has held
@pytest.mark.root_only
async def test_what_goes_wrong_reaches_people_in_time_once_and_with_its_end(
    tmp_path: Path, disk: Path, embedded_data: None
) -> None:
    async with people(tmp_path / "postgres", disk) as (told, database):
        built, node = told.built, told.built.node
        await built.bound()
        # A channel dies.
        carrier = built.carriers["cmpp20"]
        await carrier.stop()
        print("channel down", await told.told("通道断开", 5 + 20))
        await carrier.start()
        await built.bound()
        print("channel back", await told.told("恢复：通道断开", HELD + 20))
        assert told.counted("通道断开") == ONCE
        # One message in ten fails.
        built.carriers["cmpp30"].change(reports=Mix({"UNDELIV": 1.0}))
        for _ in range(4):
            sent = await built.customer.send("cmpp30")
            await built.customer.reaches(sent.message_id, "failed")
        built.carriers["cmpp30"].change(reports=Mix({"DELIVRD": 1.0}))
        for _ in range(32):
            await built.customer.send("cmpp30")
        print("success low", await told.told("成功率偏低", 30 + 30))
        # A rule that asks for less holds at once, without a restart; what it does not find any more is over.
        rules = (await node.ctl("alarm", "rule", "list", "--json")).data
        (rule,) = [str(one["id"]) for one in rules if one["kind"] == "success_low"]
        await node.ctl("alarm", "rule", "set", rule, "--threshold", "50")
        print("success good", await told.told("恢复：通道成功率偏低", 30 + HELD + 30))
        assert told.counted("成功率偏低") == ONCE
        # The disk is nearly full: messages are refused, so that the phone is told when there is room again.
        ballast = fill(disk, leave_mb=12)
        print("disk low", await told.told("磁盘空间不足", 30, phone=False))
        ballast.unlink()
        print("disk free", await told.told("恢复：磁盘空间不足", HELD + 60))
        assert told.counted("磁盘空间不足") == ONCE
        # The database goes, and comes back; the node has died meanwhile, and tells nothing twice.
        await database.stop()
        print("database away", await told.told("数据库不可用", 5 + 25, phone=False))
        node.kill()
        await database.start()
        await node.start()
        print("database back", await told.told("恢复：数据库不可用", HELD + 60))
        assert told.counted("数据库不可用") == ONCE
        assert PASSWORD not in node.log_path.read_text("utf-8")
        assert HOOK_SECRET not in node.log_path.read_text("utf-8")
