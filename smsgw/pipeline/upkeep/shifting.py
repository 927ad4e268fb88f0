"""Traffic moves from channels that deliver too little to others of their pools (ADR 075): one node at a time decides,
all of them follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from smsgw.core.alarms import WARNING, Finding
from smsgw.core.settings import Settings
from smsgw.core.shifting import Shift, judge
from smsgw.core.words import phrase
from smsgw.pipeline.fleet import Fleet, membership
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.messages import shifts, success

log = structlog.get_logger(__name__)
DECIDED_EVERY = 30.0
FOLLOWED_EVERY = 5.0


class Shifting:
    """On this node."""

    def __init__(
        self, database: Database, snapshots: Snapshots, fleet: Fleet, tell: Callable[[Mapping[int, float]], None]
    ) -> None:
        """``tell`` is given what part of its share each channel that gets less keeps, by id."""
        self._database = database
        self._snapshots = snapshots
        self._fleet = fleet
        self._tell = tell
        self._known: Mapping[int, Shift] = {}

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (
            Periodic("shifting", DECIDED_EVERY, self.decide, exclusive="shifting"),
            Periodic("shifts", FOLLOWED_EVERY, self.follow),
        )

    @property
    def _settings(self) -> Settings:
        return self._snapshots.current.settings

    async def decide(self) -> None:
        """Look at what the channels have delivered, and write down which get less from now on."""
        before, now, settings = await shifts.read(self._database), clock.now(), self._settings
        if not settings.success_shift and not before:
            return
        standings = await success.standings(self._database, settings, now)
        after = judge(standings, self._beside(), before, settings, now)
        if after == before:
            return
        async with self._database.transaction() as connection:
            await shifts.keep(connection, after)
        for id_ in sorted(after.keys() ^ before.keys()):
            one = after.get(id_) or before[id_]
            log.info("channel.shifted", channel=id_, less=id_ in after, rate=round(one.rate, 2), better=one.better)

    def _beside(self) -> list[list[int]]:
        """Channels that share what a pool holds: its primaries, and apart from them its standbys."""
        table, groups = self._snapshots.current.table, dict[tuple[str, bool], list[int]]()
        for name in self._snapshots.current.pools:
            for spec in self._fleet.members(name):
                if found := membership(spec, name, table):
                    groups.setdefault((name, found.standby), []).append(spec.id)
        return list(groups.values())

    async def follow(self) -> None:
        """Do as was decided."""
        known = await shifts.read(self._database) if self._settings.success_shift else {}
        left = 1 - self._settings.success_shift / 100
        self._tell(dict.fromkeys(known, left))
        self._known = known

    async def findings(self) -> Sequence[Finding]:
        """Channels that get less now: with the alarm's beginning and end it stays known for how long."""
        names = {spec.id: spec.name for name in self._snapshots.current.pools for spec in self._fleet.members(name)}
        settings = self._settings
        return [
            Finding(
                "channel_shifted", f"channel/{names[one.channel_id]}", WARNING,
                phrase(
                    "alarm.shifted", rate=f"{one.rate:.2f}", limit=settings.success_limit, ended=one.ended,
                    better=one.better, better_rate=f"{one.better_rate:.2f}", share=100 - settings.success_shift,
                ),
            )
            for one in self._known.values() if one.channel_id in names
        ]  # fmt: skip
