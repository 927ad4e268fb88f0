"""Nodes that a browser is led through: the daemon in this process, with a simulated carrier."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from changes import by_test
from portal_site import PASSWORD_HASH, all_proven

from smsgw.node.life import Daemon
from smsgw.platform.accounts import service as accounts
from smsgw.platform.change import Change
from smsgw.platform.channels import service as channels
from smsgw.platform.org import service as org
from smsgw.runtime.config import Config, DatabaseConfig, HttpConfig, NodeConfig, OpsConfig
from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay
from smsgw.store.engine.database import Database

CODE, UNITS = "10690001", 100_000
QUICK = Behaviour(answer_delay=Delay(0.001, 0.003), report_delay=Delay(0.1, 0.3))


@dataclass
class Node:
    """A node, its carrier, and an account, 政务大厅."""

    url: str
    daemon: Daemon
    carrier: Carrier
    hall: int = 0

    @property
    def db(self) -> Database:
        return self.daemon.node.database

    def change(self) -> Change:
        """By the test."""
        return by_test(self.db, self.daemon.node.ids.next)

    def texts(self, number: str) -> list[str]:
        """What the phone has got."""
        return [m.text for m in self.carrier.inbox.messages if m.destination.endswith(number)]

    async def gets(self, number: str, n: int = 1) -> list[str]:
        """The same, once there are so many."""
        await until(lambda: len(self.texts(number)) >= n)
        return self.texts(number)

    async def received(self, n: int) -> dict[str, str]:
        """Number -> text of all that the carrier has, once there are so many."""
        messages = self.carrier.inbox.messages
        await until(lambda: len(messages) >= n, within=180)
        found = {m.destination[-11:]: m.text for m in messages}
        assert len(messages) == len(found) == n, "nobody got anything twice"
        return found


async def until(look: Callable[[], Awaitable[Any] | Any], *, within: float = 60) -> Any:
    """What there is, once there is anything."""
    async with asyncio.timeout(within):
        while not (found := await _now(look())):  # noqa: ASYNC110 - what others do
            await asyncio.sleep(0.1)
    return found


async def _now(found: Awaitable[Any] | Any) -> Any:
    return await found if isinstance(found, Awaitable) else found


def carrier(user: str = "900001", behaviour: Behaviour = QUICK) -> Carrier:
    """One that speaks CMPP."""
    return Carrier(CarrierConfig(protocol="cmpp", users={user: "secret"}, behaviour=behaviour))


def leading_to(carrier: Carrier, user: str = "900001", **more: Any) -> dict[str, Any]:
    """The fields of a channel to it."""
    return {
        "protocol": "cmpp30", "host": "127.0.0.1", "port": carrier.port, "username": user, "password": "secret",
        "access_code": CODE, **more,
    }  # fmt: skip


@contextlib.asynccontextmanager
async def empty_node(dsn: str, folder: Path, to: Carrier | None = None, **config: Any) -> AsyncIterator[Node]:
    """A node on an empty database, and a carrier that it knows nothing of yet."""
    to = to or carrier()
    await to.start()
    http = config.pop("http", HttpConfig(listen="127.0.0.1:0"))
    daemon = Daemon(Config(
        node=NodeConfig(data_dir=folder), database=DatabaseConfig(dsn=dsn), http=http,
        ops=OpsConfig(listen="127.0.0.1:0"), **config,
    ))  # fmt: skip
    try:
        await daemon.start()
        yield Node(daemon.node.urls["http"], daemon, to)
    finally:
        await daemon.stop()
        await to.stop()


@contextlib.asynccontextmanager
async def furnished(
    dsn: str, folder: Path, people: dict[str, str], *, to: Carrier | None = None, channel: bool = True, **config: Any
) -> AsyncIterator[Node]:
    """With an account, these people (login -> role), and a channel to its carrier."""
    async with empty_node(dsn, folder, to, **config) as node:
        await all_proven(dsn)
        node.hall = await accounts.add(node.change(), "hall", display_name="政务大厅", default_sign="市政服务")
        await accounts.top_up(node.change(), node.hall, UNITS, "test")
        if channel:
            await channels.add(node.change(), node.daemon.node.sealer, "mobile", leading_to(node.carrier))
        for login, role in people.items():
            await org.add_person(
                node.change(), login, login, [role], PASSWORD_HASH, accounts=[node.hall], must_change=False
            )
        yield node
