"""What another node has said of its channels counts for as long as a lease lives, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from changes import by_test
from harness import free_port, until

from smsgw.channels import manager
from smsgw.core.model import ChannelStatus
from smsgw.node.life import Daemon
from smsgw.platform.channels import service as channels
from smsgw.runtime.config import Config, DatabaseConfig, HttpConfig, NodeConfig, OpsConfig

LEASED = """
INSERT INTO lease (resource, node, epoch, expires_at)
SELECT 'channel/' || id, 2, 1, now() + interval '1 day' FROM channel WHERE name = 'theirs'
ON CONFLICT (resource) DO UPDATE SET node = 2, expires_at = excluded.expires_at
"""
SAID = """
INSERT INTO channel_state (channel_id, node, bound, last_bound_at, last_error, updated_at, refused)
SELECT id, 2, 2, now(), '', now() - $1::float8 * interval '1 second', false FROM channel WHERE name = 'theirs'
ON CONFLICT (channel_id) DO UPDATE SET updated_at = excluded.updated_at, bound = 2, node = 2
"""


@pytest_asyncio.fixture
async def daemon(dsn: str, tmp_path: Path) -> AsyncIterator[Daemon]:
    daemon = Daemon(Config(
        node=NodeConfig(data_dir=tmp_path / "data"), database=DatabaseConfig(dsn=dsn),
        http=HttpConfig(listen="127.0.0.1:0"), ops=OpsConfig(listen="127.0.0.1:0"),
    ))  # fmt: skip
    await daemon.start()
    try:
        node = daemon.node
        fields = {"protocol": "cmpp30", "host": "127.0.0.1", "port": free_port(), "username": "900001",
                  "password": "secret12", "access_code": "10690001", "connections": 2,
                  "carriers": ["CMCC"]}  # fmt: skip
        await channels.add(by_test(node.database, node.ids.next), node.sealer, "theirs", fields)
        await node.database.execute(LEASED)
        yield daemon
    finally:
        await daemon.stop()


def line(daemon: Daemon) -> ChannelStatus | None:
    return next((one for one in daemon.node.channels.status() if one.name == "theirs"), None)


async def test_the_word_of_a_node_that_is_gone_is_over(daemon: Daemon) -> None:
    await daemon.node.database.execute(SAID, 0.0)
    await until(lambda: (one := line(daemon)) and (one.bound, one.state, one.node) == (2, "bound", 2), what="heard")
    await daemon.node.database.execute(SAID, manager.FRESH + 1)
    await until(lambda: (one := line(daemon)) and not one.bound, what="it counts no more")
    one = line(daemon)
    assert one is not None
    assert (one.state, one.node) == ("connecting", 0)
    assert one.last_error == "node 2, which had it, no longer reports"


async def test_what_was_heard_before_the_database_went_away_is_over(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await daemon.node.database.execute(SAID, 0.0)
    await until(lambda: (one := line(daemon)) and one.bound, what="heard")
    monkeypatch.setattr(manager.store, "said", _away)
    monkeypatch.setattr(manager, "FRESH", 0.5)
    await until(lambda: (one := line(daemon)) and not one.bound, what="it counts no more")


async def _away(*_: object) -> None:
    await asyncio.sleep(0)
    raise ConnectionResetError
