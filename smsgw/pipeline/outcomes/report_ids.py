"""Finds the home of reports whose ids are spelled otherwise than in the answers, and learns how a channel spells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from smsgw.core.model import Report
from smsgw.core.report_ids import ENOUGH, Learner, Spelling, respell
from smsgw.pipeline.snapshot import Snapshots
from smsgw.store.engine.database import Connection
from smsgw.store.messages import report_ids as store

log = structlog.get_logger(__name__)

LOOK_AT = 200
"""Unmatched reports of one commit that are looked at: a flood of strangers must not slow the others down."""


class ReportIds:
    """One a node, used by the outcomes' writer."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._learned: dict[int, Spelling] = {}
        self._learner = Learner()

    def spelling(self, channel_id: int) -> Spelling | None:
        """How a channel spells; None: not known."""
        return self._snapshots.current.spellings.get(channel_id) or self._learned.get(channel_id)

    def respelled(self, report: Report) -> Report:
        """The report with its id as the answer had it, as far as that is known."""
        spelling = self.spelling(report.channel_id)
        if spelling is None or spelling is Spelling.SAME:
            return report
        carrier_id = respell(report.carrier_id, spelling)
        return report if carrier_id is None else replace(report, carrier_id=carrier_id)

    async def learn(self, connection: Connection, unmatched: Sequence[Report], *, oldest: int) -> set[int]:
        """Look at reports that have found no part; the channels whose spelling is known from now on."""
        asked = [r for r in unmatched if self.spelling(r.channel_id) is None][:LOOK_AT]
        found = await store.fits(connection, asked, oldest=oldest) if asked else {}
        new: set[int] = set()
        for n, fits in sorted(found.items()):
            channel_id = asked[n].channel_id
            if channel_id in new:
                continue
            spelling = self._learner.saw(channel_id, fits)
            if spelling is not None:
                await store.learned(connection, channel_id, spelling, ENOUGH)
                self._learned[channel_id] = spelling
                new.add(channel_id)
                log.warning("report_ids.learned", channel_id=channel_id, spelling=str(spelling))
        return new
