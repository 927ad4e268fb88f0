"""A node over the demo data, with simulated carriers for its channels."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from portal_site import all_proven

from smsgw.admin.hashing import hash_password
from smsgw.core.actor import Actor
from smsgw.core.permissions import Permission
from smsgw.demo.carriers import CHANNELS, SECRET, USER
from smsgw.demo.fill import fill
from smsgw.demo.world import LINK_DOMAIN
from smsgw.node.life import Daemon
from smsgw.platform.change import Change
from smsgw.platform.org import queries, service, sessions
from smsgw.runtime import clock
from smsgw.runtime.config import Config, DatabaseConfig, HttpConfig, NodeConfig, OpsConfig, PublicConfig
from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import load_key
from smsgw.store.records import audit

PASSWORD = "Demo-Horse-7-Staple"
ROLES = ("admin", "ops", "reviewer", "finance", "sysadmin", "secadmin", "auditor", "dept", "operator", "dev", "super")
"""A page is looked at by the first of these that may open it."""


@dataclass(frozen=True, slots=True)
class DemoSite:
    """What whoever looks at it needs."""

    url: str
    database: Database
    rights: dict[str, frozenset[str] | None]
    """Role -> what its person may do; None: everything."""
    anybody: str = "admin"
    """The role whose person opens what everybody may open."""

    def role_for(self, permission: str) -> str:
        """The role whose person looks at pages of this permission."""
        return next(r for r in ROLES if (may := self.rights[r]) is None or permission in may)

    @staticmethod
    def login_of(role: str) -> str:
        """Its person."""
        return f"demo-{role}"


_BEHAVIOUR = Behaviour(answer_delay=Delay(0.01, 0.04), report_delay=Delay(0.5, 2.0))


async def _carriers(stack: contextlib.AsyncExitStack) -> dict[str, int]:
    """A carrier for each channel; the ports at which they listen."""
    ports = {}
    for name, (protocol, _, _) in CHANNELS.items():
        config = CarrierConfig(name=name, protocol=protocol[:4], users={USER: SECRET}, behaviour=_BEHAVIOUR)
        carrier = Carrier(config)
        await carrier.start()
        stack.push_async_callback(carrier.stop)
        ports[name] = carrier.port
    return ports


_BOUND = """
INSERT INTO partner_bind (node, number, partner_id, account_id, mode, ip, bound_at, seen_at, version, submits, refused,
                          slowed, delivered, unanswered, deliveries, rate, last_at, codes)
SELECT 6 + n % 2, row_number() OVER (ORDER BY p.id, n), p.id, p.account_id, 'transceiver',
       '192.0.2.' || 40 + n, now() - n * interval '5 hours',
       now() + interval '1 day', CASE p.protocol WHEN 'cmpp' THEN 'cmpp30' ELSE 'smpp34' END, 18240 + 977 * n, 12 + n,
       9, 17800 + 950 * n, 3 + n, n, 41.5 - n, now(), '{"rate": 9, "NUMBER_BLACKLISTED": 3}'
FROM partner p CROSS JOIN generate_series(1, 3) n WHERE p.status = 'active' AND (p.protocol = 'cmpp' OR n = 1)
"""
"""Binds of two other nodes, which last said so in a day's time: they stay."""


def _settings(dsn: str, data_dir: Path) -> Config:
    return Config(
        node=NodeConfig(data_dir=data_dir),
        database=DatabaseConfig(dsn=dsn),
        http=HttpConfig(listen="127.0.0.1:0", insecure_bearer=True),
        ops=OpsConfig(listen="127.0.0.1:0"),
        public=PublicConfig(listen="127.0.0.1:0", hosts=(LINK_DOMAIN,)),
    )


@contextlib.asynccontextmanager
async def demo_site(
    dsn: str, data_dir: Path, *, days: int = 90, daily: int = 350, filled: bool = False
) -> AsyncIterator[DemoSite]:
    """Fill the empty database, unless it was ``filled`` before, and serve it on a free port of loopback until the
    block ends."""
    settings = _settings(dsn, data_dir)
    async with contextlib.AsyncExitStack() as stack:
        ports = await _carriers(stack)
        data_dir.mkdir(parents=True, exist_ok=True)
        sealer = load_key(settings.key_file, create=True)
        audit.use(lambda: sealer)
        database = Database(dsn)
        await database.open()
        stack.push_async_callback(database.close)
        if not filled:
            await fill(
                database, sealer, password_hash=hash_password(PASSWORD), now=clock.now(), days=days, daily=daily,
                ports=ports,
            )  # fmt: skip
            await all_proven(dsn)
            await _logged_in(database)
            await database.execute(_BOUND)
        daemon = Daemon(settings)
        await daemon.start()
        stack.push_async_callback(daemon.stop)
        yield DemoSite(daemon.node.urls["http"], database, await _rights(database))


@contextlib.asynccontextmanager
async def empty_site(dsn: str, data_dir: Path) -> AsyncIterator[DemoSite]:
    """A node of a new organisation: the administrator has logged in for the first time, and nothing else is there."""
    settings = _settings(dsn, data_dir)
    async with contextlib.AsyncExitStack() as stack:
        data_dir.mkdir(parents=True, exist_ok=True)
        sealer = load_key(settings.key_file, create=True)
        audit.use(lambda: sealer)
        database = Database(dsn)
        await database.open()
        stack.push_async_callback(database.close)
        by = Change(database, Actor.system("test"))
        await service.add_person(by, "demo-super", "管理员", ["super"], hash_password(PASSWORD), must_change=False)
        await all_proven(dsn)
        daemon = Daemon(settings)
        await daemon.start()
        stack.push_async_callback(daemon.stop)
        rights = {role: frozenset[str]() for role in ROLES} | {"super": None}
        yield DemoSite(daemon.node.urls["http"], database, rights, "super")


_AGENTS = {
    "demo-operator": "Mozilla/5.0 (Windows NT 6.1; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/108.0.5359.95 Safari/537.36 QIHU 360SE",
    "demo-dept": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
    "Safari/537.36 Edg/120.0.2210.91",
    "demo-sysadmin": "Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0",
    "demo-reviewer": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.1 Mobile/15E148 Safari/604.1",
}


async def _logged_in(database: Database) -> None:
    """Some of the people are at their desks, each at an own one."""
    for n, (login, agent) in enumerate(_AGENTS.items()):
        found = await queries.person_to_check(database, login)
        assert found is not None
        person, hashed = found
        address, token = f"10.20.3.{n + 11}", login.encode()
        assert await sessions.open_session(database, person, hashed, token, "c", address, agent=agent)
        await sessions.log_in(database, person, address)


async def _rights(database: Database) -> dict[str, frozenset[str] | None]:
    rows = await database.fetch("SELECT code, everything, permissions FROM role WHERE builtin")
    found = {row["code"]: None if row["everything"] else frozenset(row["permissions"]) for row in rows}
    unknown = {p for own in found.values() if own is not None for p in own} - {str(p) for p in Permission}
    assert not unknown, unknown
    return found
