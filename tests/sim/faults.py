"""What goes wrong in a run, drawn from its seed: which kinds at all, and then when and where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import driver
import wires
from virtual import dice_of
from world import Node, World

from smsgw.simulator.config import Behaviour, Delay, Mix

REFUSALS = {"cmpp": 4, "smpp": 0x0B, "smgp": 31}
"""A definite refusal of each family."""
CALM = Behaviour(answer_delay=Delay(0.001, 0.01))


class Faults:
    """``play`` lets them happen and takes all of them back at the end."""

    def __init__(self, world: World, seed: int, schedule: list[str]) -> None:
        self.world = world
        self.dice = dice_of(seed, "faults")
        self._schedule = schedule
        self._undo: list[Callable[[], None]] = []

    async def play(self, seconds: float) -> None:
        """Some kinds of faults, in the time given."""
        dice = self.dice
        kinds: Sequence[Callable[[], str]] = [
            self.crash, self.crash, self.freeze, self.cut, self.silence, self.carrier_disconnects, self.carrier_stands,
            self.no_way, self.slices, self.database_slow, self.database_lossy, self.database_away, self.database_frozen,
            self.behaviour, self.behaviour, self.clock_set,
        ]  # fmt: skip
        chosen = dice.sample(kinds, dice.randint(1, 6))
        if dice.random() < 0.7:
            self._say(self.behaviour())
        loop = self.world.loop
        begun = loop.time()
        for at in sorted(dice.uniform(0.0, seconds) for _ in range(dice.randint(1, 9))):
            await asyncio.sleep(max(0.0, begun + at - loop.time()))
            self._say(dice.choice(chosen)())
        await asyncio.sleep(max(0.0, begun + seconds - loop.time()))
        self.heal()

    def heal(self) -> None:
        """All is well from now on; what has been broken off stays so."""
        self._say("all is healed")
        for undo in self._undo:
            undo()
        self._undo.clear()
        self.world.network.weather.__init__()  # type: ignore[misc]
        for weather in self.world.server.weather.values():
            weather.__init__()  # type: ignore[misc]
        for carrier in self.world.carriers:
            carrier.behaviour = CALM
            carrier.change(rate=None)

    def _say(self, what: str) -> None:
        line = f"{self.world.loop.time():10.4f} {what}"
        self._schedule.append(line)
        self.world.checks.note(f"FAULT {what}")

    def _later(self, seconds: float, undo: Callable[[], None]) -> None:
        """Take something back after a while, or at the end."""
        done = False

        def once() -> None:
            nonlocal done
            if not done:
                done = True
                undo()

        self._undo.append(once)
        self.world.loop.call_later(seconds, once)

    def _node(self) -> Node:
        return self.dice.choice(self.world.nodes)

    # --- nodes -------------------------------------------------------------------------------------------------

    def crash(self) -> str:
        """A node dies, at one of its next effects or in between, and is started again."""
        node, dice = self._node(), self.dice
        process = node.process
        node.restart_after = dice.choice((0.0, 0.5, dice.uniform(1.0, 25.0)))
        process.dies_at = process.effects + dice.randint(1, 50)
        timer = self.world.loop.call_later(dice.uniform(0.0, 4.0), process.die)

        def spare() -> None:
            timer.cancel()
            process.dies_at = None

        self._undo.append(spare)
        return f"{node.name} dies at effect {process.dies_at} and starts {node.restart_after:.1f} s later"

    def freeze(self) -> str:
        """A node stands still for a while."""
        node = self._node()
        return self.stand_still(node, self.dice.choice((self.dice.uniform(0.1, 3.0), self.dice.uniform(8.0, 30.0))))

    def stand_still(self, node: Node, seconds: float) -> str:
        """This node, for so long."""
        process = node.process
        process.frozen = True
        self._later(seconds, lambda: self.world.loop.thaw(process))
        return f"{node.name} is frozen for {seconds:.1f} s"

    def clock_set(self) -> str:
        """Somebody sets the clock of a node's machine."""
        node, seconds = self._node(), self.dice.choice((-172_800.0, -40.0, 40.0, 172_800.0))
        node.process.wall_offset += seconds
        return f"the clock of {node.name}'s machine is set by {seconds:.0f} s"

    # --- connections -------------------------------------------------------------------------------------------

    def _wire(self) -> wires.Wire | None:
        found = [wire for wire in self.world.network.wires if wire.open and not wire.silent]
        return self.dice.choice(found) if found else None

    def cut(self) -> str:
        """A connection is reset."""
        wire = self._wire()
        if wire is not None:
            wire.cut()
        return f"a connection is cut: {wire and wire.port}"

    def silence(self) -> str:
        """Two peers lose each other without being told."""
        wire = self._wire()
        if wire is not None:
            wire.fall_silent()
        return f"a connection falls silent: {wire and wire.port}"

    def no_way(self) -> str:
        """No new connection for a while."""
        seconds = self.dice.uniform(1.0, 15.0)
        weather = self.world.network.weather
        weather.down = True
        self._later(seconds, lambda: setattr(weather, "down", False))
        return f"no new connections for {seconds:.1f} s"

    def slices(self) -> str:
        """Octets come in pieces, and late."""
        weather = self.world.network.weather
        weather.slices = self.dice.choice((0.3, 0.9))
        weather.latency = self.dice.choice(((0.0005, 0.003), (0.01, 0.2), (0.1, 0.3)))
        return f"octets come in pieces ({weather.slices}) after {weather.latency}"

    # --- carriers ----------------------------------------------------------------------------------------------

    def _carrier(self) -> tuple[int, Any]:
        n = self.dice.randrange(len(self.world.carriers))
        return n, self.world.carriers[n]

    def carrier_disconnects(self) -> str:
        """A carrier closes all of its connections."""
        n, carrier = self._carrier()
        rst = self.dice.random() < 0.5
        self.world.in_carrier(n, lambda: carrier.disconnect(rst=rst))
        return f"{carrier.config.name} closes its connections {'hard' if rst else 'softly'}"

    def carrier_stands(self) -> str:
        """A carrier reads and writes nothing for a while."""
        n, carrier = self._carrier()
        seconds = self.dice.uniform(0.5, 20.0)
        self.world.in_carrier(n, carrier.pause)
        self._later(seconds, lambda: self.world.in_carrier(n, carrier.resume))
        return f"{carrier.config.name} stands still for {seconds:.1f} s"

    def behaviour(self) -> str:
        """A carrier answers and reports in some other way from now on."""
        dice = self.dice
        _, carrier = self._carrier()
        refusal = REFUSALS[carrier.config.protocol]
        throttle = carrier.dialect.throttle_status
        manners: dict[str, dict[str, Any]] = {
            "slow": {"answer_delay": Delay(0.0, dice.choice((0.5, 5.0)))},
            "loses answers": {"lose_answers": dice.choice((0.1, 0.5))},
            "answers late": {"late_answers": dice.choice((0.1, 0.4)), "late_by": Delay(2.0, dice.choice((20.0, 90.0)))},
            "answers twice": {"duplicate_answers": 0.5},
            "throttles": {"answers": Mix({0: 0.6, throttle: 0.4})},
            "refuses": {"answers": Mix({0: 0.8, refusal: 0.2})},
            "counts": {"rate": dice.choice((2.0, 10.0))},
            "reports early": {"early_reports": 0.7},
            "reports twice": {"duplicate_reports": 0.7, "report_copies": dice.choice((2, 10))},
            "reports late": {"late_reports": 0.5, "late_by": Delay(1.0, 40.0)},
            "loses reports": {"lose_reports": 0.3},
            "reports at once": {"report_delay": Delay(0.0, 0.0)},
            "silent": {"silent": True},
            "leaves": {"disconnect_after": dice.choice((1, 5, 20)), "disconnect_rst": dice.random() < 0.5},
            "takes no login": {"refuse_login": carrier.dialect.full_status},
            "well": {},
        }
        names = dice.sample(sorted(manners), dice.randint(1, 3))
        fields: dict[str, Any] = {}
        for name in names:
            fields |= manners[name]
        carrier.behaviour = replace(CALM, **fields)
        carrier._limit(self.world.loop.time())
        return f"{carrier.config.name}: {', '.join(names)}"

    # --- the database ------------------------------------------------------------------------------------------

    def _weather(self) -> tuple[list[driver.Weather], str]:
        names = [node.name for node in self.world.nodes]
        if len(names) > 1 and self.dice.random() < 0.5:
            names = [self.dice.choice(names)]
        server = self.world.server
        return [server.weather.setdefault(name, driver.Weather()) for name in names], "+".join(names)

    def _for_a_while(self, low: float, high: float, **values: Any) -> str:
        weathers, names = self._weather()
        seconds = self.dice.uniform(low, high)
        calm = driver.Weather()
        for weather in weathers:
            for name, value in values.items():
                setattr(weather, name, value)

        def undo() -> None:
            for weather in weathers:
                for name in values:
                    setattr(weather, name, getattr(calm, name))

        self._later(seconds, undo)
        return f"{names} for {seconds:.1f} s"

    def database_slow(self) -> str:
        """Commits take long, now and then longer than their callers wait."""
        commit = (0.0, self.dice.choice((0.3, 2.0, 8.0, 14.0)))
        latency = self.dice.choice(((0.0002, 0.001), (0.01, 0.5)))
        return f"commits take up to {commit[1]} s: {self._for_a_while(1.0, 20.0, commit=commit, latency=latency)}"

    def database_lossy(self) -> str:
        """Connections to the database are lost before and after requests."""
        before, after = self.dice.choice(((0.1, 0.0), (0.0, 0.1), (0.05, 0.05), (0.3, 0.3)))
        how = self._for_a_while(1.0, 10.0, lost_before=before, lost_after=after)
        return f"requests to the database are lost ({before}, {after}): {how}"

    def database_away(self) -> str:
        """Nothing gets to the database or back."""
        return f"the database is away: {self._for_a_while(0.5, 25.0, away=True)}"

    def database_frozen(self) -> str:
        """The database stands still and goes on afterwards."""
        return f"the database is frozen: {self._for_a_while(0.5, 25.0, frozen=True)}"
