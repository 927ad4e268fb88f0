"""Each check can fail: the program is made wrong on purpose, and some of the first seeds must show it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

import driver
import pytest
from faults import Faults
from simdb import SimDb
from simulation import draw, run_seed
from world import Setting

from smsgw.core.model import OutcomeKind
from smsgw.core.pacing import Pacer
from smsgw.net import connection as link
from smsgw.pipeline.accept.at_once import AtOnce
from smsgw.pipeline.outcomes import effects
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.protocols.events import Closed
from smsgw.protocols.session import Session
from smsgw.protocols.states import Role
from smsgw.runtime.clock import Clock
from smsgw.store.engine import leases
from smsgw.store.engine.group_commit import Ended
from smsgw.store.engine.journal import Journal
from smsgw.store.engine.leases import Lease

pytestmark = [
    pytest.mark.xdist_group("sim"), pytest.mark.shard("simulation"), pytest.mark.slow, pytest.mark.timeout(600),
]  # fmt: skip

SEEDS = 20
Mutation = Callable[[], AbstractContextManager[Any]]


def changed(owner: Any, name: str, make: Callable[[Any], Any]) -> Mutation:
    """``make`` gets what there was."""
    return lambda: mock.patch.object(owner, name, make(getattr(owner, name)))


def commits_later(real: Any) -> Any:
    async def statement(connection: driver.Connection, sql: str, args: tuple[Any, ...]) -> Any:
        if "state = 20" not in sql or "RETURNING" not in sql:
            return await real(connection, sql, args)
        txn = driver.Transaction(connection._server.db)
        rows = await txn.run(sql, args)
        connection._server.loop.call_later(0.2, txn.commit)
        return rows

    return statement


def sends_unknown_again(real: Any) -> Any:
    def answered(self: Outcomes, outcomes: list[Any], policy: Any) -> None:
        again = {"kind": OutcomeKind.DEFERRED, "delay": 1.0, "fault": "busy"}
        real(self, [replace(o, **again) if o.kind is OutcomeKind.UNKNOWN else o for o in outcomes], policy)

    return answered


def answers_reports_at_once(real: Any) -> Any:
    def report(self: Outcomes, report: Any) -> asyncio.Future[Any]:
        real(self, report)
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(0)
        return done

    return report


def takes_more(real: Any) -> Any:
    def init(self: Session, rules: Any, **how: Any) -> None:
        real(self, rules, **how)
        if self.rules.role is Role.CLIENT:
            self.window += 2

    return init


def forgets_what_is_lost(real: Any) -> Any:
    def closed(self: Session, why: str, now: float) -> list[Any]:
        return [replace(e, lost=()) if isinstance(e, Closed) else e for e in real(self, why, now)]

    return closed


def takes_doubt_for_success(real: Any) -> Any:
    def ended(self: AtOnce, how: Ended) -> None:
        if how is Ended.IN_DOUBT:
            for taken in self._takers.values():
                taken.entered = {part.id for part in taken.parts}
        real(self, Ended.NOT if how is Ended.NOT else Ended.COMMITTED)

    return ended


def tells_nobody(steps: Any) -> Any:
    return tuple(step for step in steps if step is not effects.report)


def nothing(_: Any) -> Any:
    return lambda *args, **how: None


MUTATIONS: dict[str, tuple[str, Mutation]] = {
    "the mark is committed after the write": ("claimed", changed(driver.Connection, "_statement", commits_later)),
    "what may be claimed by its acceptance is sent": ("claimed", changed(AtOnce, "ended", takes_doubt_for_success)),
    "what is unknown is sent again": ("twice", changed(Outcomes, "answered", sends_unknown_again)),
    "writes are not recorded": ("twice", changed(Journal, "write", nothing)),
    "answers are not recorded": ("end", changed(Journal, "answer", nothing)),
    "nobody looks at the lease": ("owner", changed(Lease, "still_mine", lambda _: lambda self: True)),
    "the machine's clock is believed": ("end", changed(Clock, "hear", nothing)),
    "the window is too wide": ("window", changed(Session, "__init__", takes_more)),
    "nothing is paced": ("rate", changed(Pacer, "take", lambda _: lambda self, now, n: n)),
    "reports are answered before they are stored": ("report", changed(Outcomes, "report", answers_reports_at_once)),
    "a lost link forgets its requests": ("tags", changed(Session, "closed", forgets_what_is_lost)),
    "a closed connection is kept": ("end", changed(link, "LETS_GO_AFTER", lambda _: 1e6)),
    "what was not written is not given back": ("stranded", changed(Outcomes, "unsent", nothing)),
    "the customer is not told": ("end", changed(effects, "STEPS", tells_nobody)),
}


def one_channel(nodes: int, rate: int) -> Callable[[random.Random], Setting]:
    """With one connection, for all nodes that would have it."""

    def draw_(dice: random.Random) -> Setting:
        setting = draw(dice)
        channel = replace(setting.channels[0], connections=1, window=16, rate=rate)
        return replace(setting, nodes=nodes, channels=[channel], messages=40, seconds=5.0, direct=0.5)

    return draw_


async def database_breaks_off(faults: Faults, seconds: float) -> None:
    """Requests get lost on their way, those to commit among them."""
    weather = faults.world.server.weather.setdefault("node1", driver.Weather())
    weather.lost_before = 0.1
    await asyncio.sleep(seconds)
    weather.lost_before = 0.0


async def owner_stands_still(faults: Faults, _: float) -> None:
    """The owner of the channel is frozen, with parts in hand, until the other node has taken it over."""
    await asyncio.sleep(3.0)
    lease = faults.world.db.lease("channel/1")
    assert lease is not None
    faults.stand_still(faults.world.nodes[lease["node"] - 1], leases.TTL + 5.0)
    await asyncio.sleep(leases.TTL + 10.0)
    faults.heal()


async def carrier_is_silent(faults: Faults, _: float) -> None:
    """The peers lose each other, and the kernel takes one window and a little."""
    await asyncio.sleep(1.0)
    for wire in faults.world.network.wires:
        wire.buffer = 5_000
        wire.fall_silent()


async def clock_is_set(faults: Faults, _: float) -> None:
    """The clock of the machine is set back by two days."""
    await asyncio.sleep(1.0)
    faults.world.nodes[0].process.wall_offset -= 172_800.0


FORCED: dict[str, dict[str, Any]] = {
    "what may be claimed by its acceptance is sent": {
        "setting": one_channel(nodes=1, rate=0),
        "trouble": database_breaks_off,
    },
    "nobody looks at the lease": {"setting": one_channel(nodes=2, rate=5), "trouble": owner_stands_still},
    "the machine's clock is believed": {"trouble": clock_is_set},
    "a closed connection is kept": {"setting": one_channel(nodes=1, rate=0), "trouble": carrier_is_silent},
}
"""What need not wait for the dice to fall that way."""


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_is_found(simdb: SimDb, name: str) -> None:
    check, mutation = MUTATIONS[name]
    how = FORCED.get(name, {})
    if how:
        assert not (run := run_seed(simdb, 1, **how)).violations, run.text()
    with mutation():
        for seed in range(1, SEEDS + 1):
            if any(violation.startswith(f"{check}:") for violation in run_seed(simdb, seed, **how).violations):
                return
    pytest.fail(f"{name}: {SEEDS} seeds have not shown it")
