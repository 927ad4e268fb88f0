"""Two nodes in network namespaces of their own, a router between them and everything else, and what it drops.

Each node is a machine as far as the network goes: what it says to the database, to carriers and, through Redis, to the
other node passes the router, which can lose any of it, in one direction or both, without a word to either side.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbproxy import DatabaseProxy
from ground import Ground, slow_enough
from harness import FAKETIME, Node, Wall, database_beside, free_port, put_down, site, until
from storm import TAKEOVER, drain_owner, freeze_owner, kill_owner, loaded, owner_of, taken_over, windows

from smsgw.simulator import Carrier

DATABASE, CARRIERS, REDIS = 1, 2, 3
"""Hosts of the network of services."""
_numbers = itertools.count()


def _ip(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        ["ip", *arguments], capture_output=True, text=True, timeout=20, check=False,
        env=os.environ | {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
    )  # fmt: skip
    if check and done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


class Net:
    """The services' network, a router, and a network for each node."""

    def __init__(self, nodes: int) -> None:
        k = os.getpid() * 4 + next(_numbers)
        self._net, self._tag = f"10.{100 + k // 250 % 100}.{k % 250}", f"sg{k % 1_000_000}"
        self._nodes = nodes
        self.router = f"{self._tag}r"
        self._dropped: set[tuple[str, str]] = set()

    def service(self, host: int) -> str:
        """Its address."""
        return f"{self._net}.{host}"

    def node(self, n: int) -> str:
        """The address of a node, from 1."""
        return f"{self._net}.{16 * n + 2}"

    def prefix(self, n: int) -> list[str]:
        """What makes a command one of the node's machine."""
        return ["ip", "netns", "exec", f"{self._tag}n{n}"]

    def make(self) -> None:
        """Three addresses here, and machines behind the router."""
        here, router = f"{self._tag}a", self.router
        _ip("netns", "add", router)
        _ip("link", "add", here, "type", "veth", "peer", "name", "out", "netns", router)
        for host in (DATABASE, CARRIERS, REDIS):
            _ip("addr", "add", f"{self.service(host)}/28", "dev", here)
        _ip("link", "set", here, "up")
        self._in(router, "addr", "add", f"{self._net}.14/28", "dev", "out")
        self._in(router, "link", "set", "out", "up")
        forward = ["sysctl", "-qw", "net.ipv4.ip_forward=1"]
        subprocess.run(["ip", "netns", "exec", router, *forward], check=True, timeout=20)
        for n in range(1, self._nodes + 1):
            node, gate = f"{self._tag}n{n}", f"{self._net}.{16 * n + 14}"
            _ip("netns", "add", node)
            _ip("link", "add", f"to{n}", "netns", router, "type", "veth", "peer", "name", "eth", "netns", node)
            self._in(router, "addr", "add", f"{gate}/28", "dev", f"to{n}")
            self._in(router, "link", "set", f"to{n}", "up")
            self._in(node, "link", "set", "lo", "up")
            self._in(node, "addr", "add", f"{self.node(n)}/28", "dev", "eth")
            self._in(node, "link", "set", "eth", "up")
            self._in(node, "route", "add", "default", "via", gate)
            _ip("route", "add", f"{self._net}.{16 * n}/28", "via", f"{self._net}.14")

    def clear(self) -> None:
        """Nothing of it is left, whatever of it was made."""
        for name in (self.router, *(f"{self._tag}n{n}" for n in range(1, self._nodes + 1))):
            _ip("netns", "del", name, check=False)
        _ip("link", "del", f"{self._tag}a", check=False)

    def drop(self, source: str, target: str) -> None:
        """What goes from one address to the other one is lost on the way."""
        if (source, target) not in self._dropped:
            self._in(self.router, "rule", "add", "from", source, "to", target, "blackhole")
            self._dropped.add((source, target))

    def mend(self) -> None:
        """Everything goes through again."""
        for source, target in self._dropped:
            self._in(self.router, "rule", "del", "from", source, "to", target, "blackhole")
        self._dropped.clear()

    @contextlib.contextmanager
    def cut(self, *ways: tuple[str, str]) -> Iterator[None]:
        """For the time of a block, in these directions."""
        for source, target in ways:
            self.drop(source, target)
        try:
            yield
        finally:
            self.mend()

    @staticmethod
    def _in(namespace: str, *arguments: str) -> None:
        _ip("-n", namespace, *arguments)


@dataclass
class Writers:
    """Who writes to a carrier: one that comes after a later login of another node is a second writer."""

    carrier: Carrier
    submits: int = 0
    changes: int = 0
    seconds: list[str] = field(default_factory=list)
    _last: dict[str, int] = field(default_factory=dict)
    """Node -> its newest connection that has written."""
    _writer: str = ""

    def watch(self) -> None:
        """From here on."""
        request = self.carrier._request

        def noted(link: Any, event: Any, now: float) -> None:
            before = link.submits
            peer, number = link.peer, link.number
            request(link, event, now)
            if link.submits > before:
                self._note(peer, number, now)

        self.carrier._request = noted  # type: ignore[method-assign]

    def _note(self, peer: str, number: int, now: float) -> None:
        self.submits += 1
        later = {one: n for one, n in self._last.items() if one != peer and n > number}
        if later:
            self.seconds.append(f"{self.carrier.config.name}: {peer} #{number} at {now:.3f} after {later}")
        self._last[peer] = max(number, self._last.get(peer, 0))
        self.changes += peer != self._writer and bool(self._writer)
        self._writer = peer


@dataclass
class Netted(Ground):
    """``net`` is what lies between."""

    net: Net = field(default_factory=lambda: Net(2))
    writers: list[Writers] = field(default_factory=list)
    walls: list[Wall] = field(default_factory=list)

    def way(self, node: Node) -> str:
        """The address of a node."""
        return self.net.node(self.nodes.index(node) + 1)


@contextlib.asynccontextmanager
async def netted(folder: Path, *, dsn: str = "", clocks: bool = True) -> AsyncIterator[Netted]:
    """Both nodes are up and know of each other."""
    net = Net(2)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(net.clear)
        await asyncio.to_thread(net.make)
        database = None
        if not dsn:
            database, dsn = await stack.enter_async_context(database_beside(folder / "database"))
        way = await stack.enter_async_context(DatabaseProxy(dsn, host=net.service(DATABASE)))
        from valkeys import Valkey  # it skips where there is none

        port = free_port()
        redis = Valkey(folder, port, host=net.service(REDIS))
        redis.start()
        stack.callback(redis.kill)
        short = {"durability_unknown_short_seconds": "10", "redis_url": f"redis://{net.service(REDIS)}:{port}"}
        walls = [Wall(folder / f"wall{n}") for n in (1, 2)] if clocks and FAKETIME is not None else []
        settings = [
            short | {"http_listen": f"{net.node(n)}:{free_port()}", "ops_listen": f"{net.node(n)}:{free_port()}"}
            for n in (1, 2)
        ]
        built = await stack.enter_async_context(site(
            folder / "node", dsn=way.dsn, start=False, carrier={"host": net.service(CARRIERS)}, behaviour=slow_enough,
            **settings[0],
        ))  # fmt: skip
        other = built.node.another(**settings[1])
        stack.push_async_callback(put_down, other)
        stack.callback(net.mend)
        made = Netted(
            built.node, built.carriers, built.customer, built.signer, dsn=dsn, database=database, others=[other],
            stack=stack, signed=True, net=net, writers=[Writers(one) for one in built.carriers.values()], walls=walls,
        )  # fmt: skip
        for one in made.writers:
            one.watch()
        for n, node in enumerate(made.nodes):
            node.prefix = net.prefix(n + 1)
            node.clock = walls[n].environment if walls else {}
            await node.start()
        await built.bound()
        yield made


# --- faults ----------------------------------------------------------------------------------------------------------


async def cut(built: Netted, dice: random.Random, *hosts: int, out: bool = True, back: bool = True) -> int:
    """What the owner says to these hosts, or hears of them, is lost until the other one has its channels."""
    owner = await owner_of(built)
    here, ways = built.way(owner), []
    for host in hosts:
        there = built.net.service(host)
        ways += [(here, there)] * out + [(there, here)] * back
    with built.net.cut(*ways):
        await taken_over(built, owner)
    return 2 * windows(built)  # what it had written, and what it had claimed


@contextlib.asynccontextmanager
async def _apart(built: Netted, host: int) -> AsyncIterator[None]:
    """The owner and a host hear nothing of each other."""
    here, there = built.way(await owner_of(built)), built.net.service(host)
    with built.net.cut((here, there), (there, here)):
        yield


async def cut_carriers(built: Netted, dice: random.Random) -> int:
    """The owner stays the owner."""
    async with _apart(built, CARRIERS):
        await asyncio.sleep(dice.uniform(2, 8))
    return windows(built)


async def flapping(built: Netted, dice: random.Random) -> int:
    """Each time for less than a lease."""
    for _ in range(4):
        async with _apart(built, DATABASE):
            await asyncio.sleep(dice.uniform(0.5, 4))
        await asyncio.sleep(dice.uniform(0.2, 1))
    return windows(built)


async def cut_nodes(built: Netted, dice: random.Random) -> int:
    """What goes between the nodes goes through Redis."""
    async with _apart(built, REDIS):
        await asyncio.sleep(dice.uniform(4, 8))
    return 0


async def clock_jumps(built: Netted, dice: random.Random) -> int:
    """The owner's wall clock is set, and set back."""
    owner = await owner_of(built)
    wall = built.walls[built.nodes.index(owner)]
    wall.step(dice.choice(["+2h", "-2h", "+9d", "-1d", "+20s", "-20s"]))
    await asyncio.sleep(dice.uniform(3, 5))
    wall.step("+0")
    await asyncio.sleep(1.5)
    return 0


Fault = Callable[[Any, random.Random], Awaitable[int]]
FAULTS: dict[int, tuple[str, Fault]] = {
    1: ("the owner is killed", kill_owner),
    2: ("the owner is frozen, and wakes", freeze_owner),
    3: ("the owner is ended in order", drain_owner),
    4: ("nothing passes between the owner and the database", lambda b, d: cut(b, d, DATABASE)),
    5: ("nothing passes from the owner to the database", lambda b, d: cut(b, d, DATABASE, back=False)),
    6: ("nothing passes from the database to the owner", lambda b, d: cut(b, d, DATABASE, out=False)),
    7: ("the owner's machine is cut off from everything", lambda b, d: cut(b, d, DATABASE, CARRIERS, REDIS)),
    8: ("nothing passes between the owner and the carriers, 2–8 s", cut_carriers),
    9: ("the owner's way to the database comes and goes", flapping),
    10: ("nothing passes between the nodes (Redis), 4–8 s", cut_nodes),
    11: ("the owner's clock jumps, and back", clock_jumps),
}


def play(number: int, messages: int = 600) -> Callable[[Any, random.Random, int], Awaitable[int]]:
    """A round: load on both nodes, the fault in its midst, and who has written to the carriers."""
    fault = FAULTS[number][1]

    async def run(built: Netted, dice: random.Random, n: int) -> int:
        await built.fresh()
        seconds = [len(one.seconds) for one in built.writers]
        try:
            async with loaded(built, messages, dice) as loading:
                wanted = dice.randint(messages // 8, messages // 2)
                await until(
                    lambda: loading.done() or len(built.customer.sent) >= wanted, within=60, what="load", every=0.01
                )
                unknown = await fault(built, dice)
        finally:
            await asyncio.to_thread(built.net.mend)
        await until(lambda: _both(built), within=TAKEOVER, what="both nodes are there")
        told = [s for one, before in zip(built.writers, seconds, strict=True) for s in one.seconds[before:]]
        assert not told, f"two writers: {told[:5]}"
        return unknown

    return run


async def _both(built: Netted) -> bool:
    states = [await node.status() for node in built.nodes]
    return all(one["ready"] and one["nodes"] == len(built.nodes) for one in states)
