"""A gateway whose database fails over, under load: ``scripts/ha --help``.

The primary is killed, frozen and cut off, again and again, while messages come at a steady rate and their reports are
pulled. At the end the books are balanced: nothing lost, nothing sent twice, and how long the longest pause was.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import Site, site, until
from outages import BUSY, Load
from patroni_cluster import Cluster, Member, missing, patroni
from storm import background

WITHIN = 180.0
"""Seconds from a fault until there is sending again, on a machine with more to do."""
SILENT_MOST = 90.0
"""Seconds in which nothing reaches a carrier, at most: the longest that was seen was 47."""


@dataclass
class Pauses:
    """How long nothing reached any carrier."""

    longest: float = 0.0
    sent: int = 0
    _since: float = field(default_factory=time.monotonic)

    async def watch(self, built: Site) -> None:
        """Until cancelled."""
        while True:
            sent, now = built.submits(), time.monotonic()
            self.longest = max(self.longest, now - self._since)
            if sent != self.sent:
                self.sent, self._since = sent, now
            await asyncio.sleep(0.05)

    def begin(self) -> None:
        """The next fault."""
        self.longest = 0.0


async def killed(cluster: Cluster, primary: Member) -> None:
    """The machine is gone, and back when another one has taken over."""
    primary.kill()
    await cluster.primary(other=primary.name)
    primary.patroni.start()


async def crashed(cluster: Cluster, primary: Member) -> None:
    """PostgreSQL is killed, and Patroni starts it again or has another one take over."""
    before = primary.postmaster
    primary.kill(machine=False)
    await until(lambda: primary.postmaster not in (None, before), within=WITHIN, what="it runs again", every=0.2)
    await cluster.primary()


async def frozen(cluster: Cluster, primary: Member) -> None:
    """The machine stands still until another one has taken over, and goes on as if nothing had been."""
    primary.freeze()
    try:
        await cluster.primary(other=primary.name)
        await asyncio.sleep(5)
    finally:
        primary.thaw()


async def cut_off(cluster: Cluster, primary: Member) -> None:
    """The machine reaches nobody and nobody reaches it, and connections stand; until another one has taken over."""
    primary.cut()
    try:
        await cluster.primary(other=primary.name)
        await asyncio.sleep(5)
    finally:
        primary.mend()


async def left_alone(cluster: Cluster, primary: Member) -> None:
    """Both standbys are gone: nothing is committed until one is back."""
    standbys = [one for one in cluster.members.values() if one is not primary]
    for one in standbys:
        one.kill()
    await asyncio.sleep(15)
    for one in standbys:
        one.patroni.start()


Fault = Callable[[Cluster, Member], Awaitable[None]]


@dataclass
class Failover:
    """What a fault has cost."""

    fault: str
    primary: str
    then: str
    pause: float
    """Seconds in which no carrier got anything."""
    spooled: str
    """What waited on the node's own disk at the end of the fault."""
    again: bool = True
    """It has sent again by itself."""

    def __str__(self) -> str:
        pause = f"a pause of {self.pause:.1f} s" if self.again else f"NOTHING IS SENT after {self.pause:.1f} s"
        return f"{self.primary} {self.fault}, then {self.then}: {pause}; spool: {self.spooled}"


def problems(found: Sequence[Failover], played: int) -> list[str]:
    """What was not as it should be, but for the books."""
    told = [] if len(found) == played else [f"{len(found)} of {played} faults were played"]
    return told + [str(one) for one in found if not one.again or one.pause > SILENT_MOST]


async def through(
    cluster: Cluster, built: Site, faults: Sequence[Fault], *, rate: float, settle: float = 5.0
) -> tuple[list[Failover], Load]:
    """Load all the while, and the faults one after the other, each on a cluster that is whole; no more behind one after
    which it does not send by itself."""
    pauses, found = Pauses(), list[Failover]()
    load = Load(built, batches=0.8 * rate, singles=0.2 * rate)
    async with background(pauses.watch(built), built.customer.pull_for_ever()), load.beside():
        for fault in faults:
            await cluster.whole()
            await asyncio.sleep(settle)
            primary = await cluster.primary()
            pauses.begin()
            await fault(cluster, primary)
            then = await cluster.primary()
            spooled = str((await built.node.status())["checks"].get("spool", "nothing"))
            sent, again = pauses.sent, True
            try:
                await until(lambda sent=sent: pauses.sent > sent + rate, within=WITHIN, what="it sends again")
            except AssertionError:
                again = False
            found.append(Failover(fault.__name__, primary.name, then.name, pauses.longest, spooled, again))
            print(f"{found[-1]}; {len(built.customer.sent)} accepted", flush=True)
            if not again:
                break
        else:
            await cluster.whole()
    return found, load


@contextlib.asynccontextmanager
async def failing_over(data_dir: Path, *, channels: Sequence[str] = ("cmpp30",)) -> AsyncIterator[tuple[Cluster, Site]]:
    """A gateway on a cluster, up and bound."""
    async with patroni() as cluster, site(data_dir, dsn=cluster.dsn, channels=channels, **BUSY) as built:
        await built.node.unhurried(built.client.key["key_id"])
        yield cluster, built


async def run(faults: Sequence[Fault], rate: float) -> bool:
    """The long one; whether the books balance."""
    folder = Path(tempfile.mkdtemp(prefix="smsgw-ha-node-"))
    async with failing_over(folder / "node", channels=("cmpp30", "smpp34")) as (cluster, built):
        began = time.monotonic()
        found, load = await through(cluster, built, faults, rate=rate)
        minutes = (time.monotonic() - began) / 60
        books = await built.ledger(within=600)
    longest = max(found, key=lambda one: one.pause)
    again = sum(one.again for one in found)
    print(
        f"{len(found)} of {len(faults)} faults of the primary in {minutes:.0f} minutes under {rate:.0f}/s: "
        f"{books.accepted} accepted, "
        f"{books.lost} lost, {books.doubled} doubled, {len(books.unknown)} unknown; "
        f"longest pause {longest.pause:.1f} s ({longest.fault}), sending again by itself {again} of {len(found)}; "
        f"calls not taken: {dict(load.refused) or 'none'}, slowest answer {load.slowest:.1f} s\n{books}"
    )
    wrong = problems(found, len(faults)) + books.problems[:20]
    for problem in wrong:
        print(f"  PROBLEM {problem}")
    if not wrong:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"log and data are kept in {folder}")
    return not wrong


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="scripts/ha",
        description="Kill, freeze, cut off and leave alone the primary (conf/ha) under load, and balance the books.",
    )
    parser.add_argument("--kills", type=int, default=10, help="SIGKILL: of PostgreSQL every third time, else of all")
    parser.add_argument("--freezes", type=int, default=5, help="SIGSTOP, until another one has taken over")
    parser.add_argument("--cuts", type=int, default=1, help="nothing passes, connections stand")
    parser.add_argument("--alone", type=int, default=1, help="both standbys are killed for 15 seconds")
    parser.add_argument("--rate", type=float, default=500.0, help="messages a second")
    given = parser.parse_args()
    if lacks := missing():
        parser.error(f"not installed: {lacks} (Debian: patroni python3-etcd etcd-server haproxy postgresql)")
    kills = [crashed if n % 3 == 2 else killed for n in range(given.kills)]
    others = [*[frozen] * given.freezes, *[cut_off] * given.cuts, *[left_alone] * given.alone]
    return 0 if asyncio.run(run([*kills, *others], given.rate)) else 1


if __name__ == "__main__":
    sys.exit(main())
