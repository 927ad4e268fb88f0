"""A gateway that many rounds of faults are played on, each with an account and books of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from changes import by_test
from dbproxy import DatabaseProxy
from harness import (
    OPEN,
    Answer,
    Client,
    Customer,
    Node,
    Site,
    another_node,
    database_beside,
    free_port,
    opened,
    site,
    until,
)
from hooks import Receivers, receivers

from smsgw.core.ids import IdSource
from smsgw.core.permissions import SCOPES
from smsgw.platform.accounts import service as accounts
from smsgw.platform.keys import service as keys
from smsgw.platform.messages import queries
from smsgw.platform.partners import service as partners
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.runtime import failpoints
from smsgw.runtime.config import WebhooksConfig
from smsgw.simulator import Behaviour, Delay
from smsgw.store.engine.database import Database

ACTOR = "test"
PARTNER, PARTNER_PASSWORD = "shop", "secret12"
REACH = WebhooksConfig(http=True, networks=("127.0.0.0/8",), ports=("1-65535",)).reach


@dataclass
class PushedCustomer(Customer):
    """One whose reports are pushed to it."""

    inbox: list[dict[str, Any]] = field(default_factory=list)

    async def pull(self) -> int:
        """Book what has come; how much that was."""
        came = self.inbox[:]
        self.inbox.clear()
        for item in came:
            event_id = str(item["event_id"])
            self.pulled[event_id] += 1
            if self.pulled[event_id] == 1:
                self.reports.setdefault(str(item["message_id"]), []).append(item)
        return len(came)


class Either(Client):
    """Calls several nodes in turn; what one of them does not answer is repeated at the next."""

    def __init__(self, nodes: list[Node], key: dict[str, str], *, signed: bool = False) -> None:
        super().__init__(nodes[0], key, signed=signed)
        self._turn = itertools.cycle(nodes)

    async def call(self, *what: Any, **how: Any) -> Answer:
        self.node = next(self._turn)
        return await super().call(*what, **how)


@dataclass
class Ground(Site):
    """``proxies``: the ways of the nodes to the database."""

    dsn: str = ""
    """Of the database, past all proxies; empty: embedded in the daemon."""
    proxies: list[DatabaseProxy] = field(default_factory=list)
    others: list[Node] = field(default_factory=list)
    partner_port: int = 0
    hooks: Receivers | None = None
    """Where pushes are taken."""
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    signed: bool = False
    """Customers sign their calls: a bearer is good on this machine alone."""
    rounds: int = 0
    _has_partner: bool = False
    _armed_at: int = 0
    """Lines of the log when it was armed."""

    @property
    def nodes(self) -> list[Node]:
        return [self.node, *self.others]

    def ledger_open(self) -> contextlib.AbstractAsyncContextManager[Database]:
        """The database, past all proxies."""
        return opened(self.dsn) if self.dsn else self.node.database()

    async def _account(self, database: Database, name: str, **fields: Any) -> int:
        """One with money."""
        ids = IdSource(1023, lambda: int(asyncio.get_running_loop().time() * 1000))
        account = await accounts.add(by_test(database), name, sign_required=False, **fields)
        await accounts.top_up(by_test(database, ids.next), account, 1_000_000, "")
        return account

    async def fresh(self, *, pushed: bool = False) -> None:
        """From here on it is another customer, with new books; numbers and marks go on."""
        self.rounds += 1
        name = f"round{self.rounds}"
        sealer = self.node.sealer
        async with self.ledger_open() as database:
            account = await self._account(database, name, webhook_networks="127.0.0.0/8")
            new = await keys.add(by_test(database), sealer, account, scopes=SCOPES, requests_per_second=1000)
            if pushed:
                assert self.hooks is not None
                wanted = Wanted("main", f"{self.hooks.origin}/{name}")
                await webhooks.put(by_test(database, actor=ACTOR), sealer, account, wanted, REACH)
        for node in self.nodes:
            if node.process is not None:
                await node.reload()
        key = {"key_id": new.key_id, "secret": new.secret, "bearer": new.bearer}
        client = await self.stack.enter_async_context(Either(self.nodes, key, signed=self.signed))
        serial = self.customer._serial
        if pushed:
            assert self.hooks is not None
            self.customer = PushedCustomer(client, _serial=serial, inbox=self.hooks.items[name])
        else:
            self.customer = Customer(client, _serial=serial)

    async def partner(self) -> None:
        """A login for an SMPP client, made once."""
        if self._has_partner:
            return
        self._has_partner = True
        fields = {"max_binds": 50, "any_source": True, "type": "otp"}  # whose unknown ends are told soon
        async with self.ledger_open() as database:
            account = await self._account(database, "partner")
            change = by_test(database, actor=ACTOR)
            await partners.add(change, self.node.sealer, account, "smpp", PARTNER, PARTNER_PASSWORD, fields)
        await self.node.reload()

    async def unknown(self) -> set[str]:
        async with self.ledger_open() as database:
            return {str(row["id"]) for row in await queries.unknown(database, limit=100_000)}

    async def owners(self) -> set[int]:
        """Numbers of the nodes that own channels now."""
        async with self.ledger_open() as database:
            rows = await database.fetch(
                "SELECT node FROM lease WHERE resource LIKE 'channel/%' AND expires_at > clock_timestamp()"
            )
        return {row["node"] for row in rows}

    # --- failpoints --------------------------------------------------------------------------------------------

    async def arm(self, place: str, action: str = "kill", n: int = 1) -> None:
        """Another process, armed. Nothing may be under way. ``dies`` afterwards."""
        if self.node.process is not None:
            self.node.kill()
        self.launch_armed(place, action, n)
        await self.node.ready()

    def launch_armed(self, place: str, action: str = "kill", n: int = 1) -> None:
        """The same, without waiting for it."""
        self._armed_at = len(self.node.log_lines())
        self.node.clock[failpoints.VARIABLE] = f"{place}={action}@{n}"
        try:
            self.node.launch()
        finally:
            del self.node.clock[failpoints.VARIABLE]

    async def dies(self, place: str, *, within: float = 60.0) -> None:
        """Wait until the process has killed itself there, and for nothing else."""
        process = self.node.process
        assert process is not None
        with contextlib.suppress(AssertionError):
            await until(lambda: process.poll() is not None, within=within, every=0.01)
        if process.returncode is None:
            raise AssertionError(f"{place} was not passed within {within} s")
        self.node.process = None
        assert process.returncode == -signal.SIGKILL, f"ended with {process.returncode}:\n{self.node.log_tail()}"
        assert self.passed(place), f"killed by somebody else:\n{self.node.log_tail()}"

    def passed(self, place: str) -> bool:
        """Whether the armed place has acted."""
        lines = self.node.log_lines()[self._armed_at :]
        return any('"failpoint.reached"' in line and f'"{place}"' in line for line in lines)


def slow_enough() -> Behaviour:
    """Answers and reports that are always on their way when something dies."""
    return Behaviour(answer_delay=Delay(0.0, 0.04), report_delay=Delay(0.02, 0.3))


@contextlib.asynccontextmanager
async def ground(
    folder: Path, *, dsn: str = "", embedded: bool = False, proxied: bool = False, nodes: int = 1, **how: Any
) -> AsyncIterator[Ground]:
    """Its database is the one of ``dsn``, or one beside it that can be stopped, or (``embedded``) the daemon's own."""
    async with contextlib.AsyncExitStack() as stack:
        database = None
        if not dsn and not embedded:
            database, dsn = await stack.enter_async_context(database_beside(folder / "database"))
        ways = [
            await stack.enter_async_context(DatabaseProxy(dsn)) for _ in range(nodes if proxied or nodes > 1 else 0)
        ]
        port = free_port()
        settings = OPEN | {"durability_unknown_short_seconds": "10", "partners_smpp_listen": f"127.0.0.1:{port}"} | how
        built = await stack.enter_async_context(
            site(folder / "node", dsn=ways[0].dsn if ways else dsn, behaviour=slow_enough, **settings)
        )
        others = [
            await stack.enter_async_context(another_node(built.node, n + 1, dsn=ways[n].dsn)) for n in range(1, nodes)
        ]
        made = Ground(
            built.node, built.carriers, built.customer, built.signer, dsn=dsn, database=database, proxies=ways,
            others=others, partner_port=port, stack=stack,
        )  # fmt: skip
        made.hooks = await stack.enter_async_context(receivers())
        yield made
