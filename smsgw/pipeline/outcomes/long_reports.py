"""One report for all parts of a long message, from carriers whose profile says so (``long_reports = first``).

The report is for whichever part it names; the others that the carrier has taken get a copy. Parts of which nobody knows
whether it has taken them get none: a report does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from smsgw.core.model import Report
from smsgw.core.states import PartState
from smsgw.pipeline.fleet import Fleet
from smsgw.store.engine.database import Connection, Row
from smsgw.store.messages import long_reports as store


class LongReports:
    """Used by the outcomes' writer, inside its transactions."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def with_siblings(
        self, connection: Connection, reports: Sequence[Report], *, oldest: int, newest: int
    ) -> list[Report]:
        """The reports, each followed by its copies for the other parts of its message."""
        channels = self._fleet.reporting_once
        shared = [r for r in reports if r.channel_id in channels] if channels else []
        if not shared:
            return list(reports)
        found = await store.siblings(connection, shared, oldest=oldest, newest=newest)
        named = {(r.channel_id, r.carrier_id) for r in reports}
        copies = [
            replace(shared[n], carrier_id=carrier_id, reference=None, by_number=False)
            for n, carrier_id in found
            if (shared[n].channel_id, carrier_id) not in named  # it has a report of its own
        ]
        return [*reports, *copies]

    async def told_before(self, connection: Connection, changed: Sequence[Row], now: datetime) -> list[Report]:
        """Reports for parts just answered, whose message was reported before."""
        channels = self._fleet.reporting_once
        if not channels:
            return []
        sent = [
            row
            for row in changed
            if row["state"] == PartState.SENT
            and row["total"] > 1
            and row["carrier_id"]
            and row["channel_id"] in channels
        ]
        if not sent:
            return []
        return [
            Report(
                channel_id=sent[n]["channel_id"], carrier_id=sent[n]["carrier_id"], state=PartState(row["state"]),
                code=row["code"], cls=row["class"], number="", received_at=now, pdu=row["pdu"],
            )
            for n, row in await store.told(connection, sent)
        ]  # fmt: skip
