"""One run a seed: what it is made of, what goes wrong in it, and what is found."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults import Faults
from simdb import SimDb, served
from virtual import VirtualLoop, dice_of, simulated
from world import PROTOCOLS, Setting, World

from smsgw.core.model import ChannelSpec
from smsgw.core.states import PartState
from smsgw.runtime import aio

QUIET = 600.0
"""Seconds after the last fault within which everything must have come to its end."""


Trouble = Callable[[Faults, float], Coroutine[Any, Any, None]]
"""What goes wrong while a run's messages come, in so many seconds."""


@dataclass(slots=True)
class Run:
    """What one seed has brought."""

    seed: int
    violations: list[str] = field(default_factory=list)
    schedule: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    digest: str = ""
    states: Counter[str] = field(default_factory=Counter)

    def text(self, lines: int = 60) -> str:
        """For people: what was violated, what had been done, and the lines about the parts concerned."""
        words = {word.strip("(),:") for v in self.violations for word in v.split() if word.strip("(),:").isdigit()}
        ids = [word for word in words if len(word) > 12]
        about = [line for line in self.trace if "VIOLATION" in line or any(i in line for i in ids)]
        return "\n".join((f"seed {self.seed}", *self.violations, "faults:", *self.schedule, "trace:", *about[-lines:]))


def draw(dice: random.Random) -> Setting:
    """What a run is made of."""
    protocols = list(PROTOCOLS)
    channels = [
        ChannelSpec(
            id=n, name=f"c{n}", protocol=dice.choice(protocols), host="carrier", port=7000 + n, username="900001",
            password="", access_code="10690", connections=dice.choice((1, 1, 2)), window=dice.choice((1, 4, 16)),
            rate=dice.choice((0, 5, 20, 100)), carriers=frozenset({"CMCC"}), version=1,
        )
        for n in range(1, dice.choice((1, 1, 2)) + 1)
    ]  # fmt: skip
    return Setting(
        nodes=dice.choice((1, 1, 2)),
        channels=channels,
        messages=dice.randrange(15, 41),
        long=dice.choice((0.0, 0.3)),
        seconds=dice.uniform(3.0, 15.0),
        clocks=(dice.uniform(-5.0, 5.0), dice.uniform(-5.0, 5.0)),
        direct=dice.choice((0.0, 0.5, 1.0, 1.0)),
    )


async def calm(faults: Faults, seconds: float) -> None:
    """Nothing goes wrong."""


async def _play(world: World, trouble: Callable[[], Coroutine[Any, Any, None]]) -> None:
    dice, setting = world.dice, world.setting
    await world.open_carriers()
    for node in world.nodes:
        node.start()
    await asyncio.sleep(dice.uniform(0.0, 3.0))
    begun = world.loop.time()
    troubled = aio.spawn(trouble(), name="faults")
    for at in sorted(dice.uniform(0.0, setting.seconds) for _ in range(setting.messages)):
        await asyncio.sleep(max(0.0, begun + at - world.loop.time()))
        world.accept()
    await troubled
    until = world.loop.time() + QUIET
    while world.loop.time() < until and world.busy():  # noqa: ASYNC110 - time passes when nothing happens
        await asyncio.sleep(1.0)
    world.checks.note("all should be quiet")
    world.checks.at_the_end()
    for node in world.nodes:
        node.stop()
    _, late = await asyncio.wait([node.stopped for node in world.nodes], timeout=60.0)
    if late:
        world.checks.fail("end", f"{len(late)} nodes do not stop")


def run_seed(
    db: SimDb, seed: int, *, setting: Callable[[random.Random], Setting] = draw, trouble: Trouble = Faults.play
) -> Run:
    """Play one seed, of this making and with this trouble."""
    dice = dice_of(seed)
    run = Run(seed)
    loop = VirtualLoop()
    asyncio.set_event_loop(None)
    with tempfile.TemporaryDirectory(prefix="smsgw-sim-") as folder, simulated(loop, seed):
        world = World(db, loop, seed, setting(dice), Path(folder))
        faults = Faults(world, seed, run.schedule)
        checks = world.checks
        loop.set_exception_handler(lambda _, context: checks.note(f"loop    {context.get('exception')!r} {context}"))
        with world.observed(), world.server.installed():
            try:
                loop.run_until_complete(_play(world, lambda: trouble(faults, world.setting.seconds + 5.0)))
            except AssertionError as exc:
                checks.fail("loop", repr(exc))
            finally:
                world.bury()
        for exc in world.server.broken:
            checks.fail("states", repr(exc))
    run.violations = checks.violations
    run.trace = list(checks.trace)
    run.digest = hashlib.sha256("\n".join(run.trace).encode()).hexdigest()
    run.states = Counter(PartState(row["state"]).name for row in db.fetch("SELECT state FROM part"))
    return run


def run_seeds(db: SimDb, first: int, count: int, *, each: Callable[[Run], None] = lambda _: None) -> list[Run]:
    """Play ``count`` seeds from ``first`` on; those in which a promise was broken. ``each`` is told of every run."""
    failures = []
    for seed in range(first, first + count):
        run = run_seed(db, seed)
        each(run)
        if run.violations:
            failures.append(run)
    return failures


def main() -> int:
    """``scripts/sim``."""
    parser = argparse.ArgumentParser(prog="scripts/sim", description="The sending path under seeded faults.")
    parser.add_argument("--seeds", default="1..200", help="A..B, or a single one (default: 1..200)")
    parser.add_argument("--trace", action="store_true", help="print all that happened in failing seeds")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("..")

    def tell(run: Run) -> None:
        if run.violations:
            print(run.text(100_000 if options.trace else 60), end="\n\n", flush=True)

    begun = time.perf_counter()
    count = int(last or first) - int(first) + 1
    with served() as db:
        failures = run_seeds(db, int(first), count, each=tell)
    print(f"{count} seeds, {len(failures)} failed, {time.perf_counter() - begun:.1f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
