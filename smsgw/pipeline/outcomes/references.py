"""Reports under an id that no answer has told: whose they are, as far as the channel's profile lets that be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from smsgw.core import references as core
from smsgw.core.model import Report
from smsgw.core.references import Candidate
from smsgw.pipeline.outcomes.reattempt import Event
from smsgw.store.engine.database import Connection
from smsgw.store.messages import references as store


async def find(
    connection: Connection, unmatched: Sequence[Report], now: datetime, *, oldest: int, newest: int
) -> tuple[list[Report], list[Report], list[Event]]:
    """The reports that can be matched by their id from now on, the others, and the events."""
    asked = [r for r in unmatched if r.reference is not None or r.by_number]
    if not asked:
        return [], list(unmatched), []
    by_position = await store.candidates(connection, asked, oldest=oldest, newest=newest)
    homes: dict[int, Candidate] = {}
    adopted: dict[tuple[int, int], str] = {}
    found: list[Report] = []
    events: list[Event] = []
    for n, report in enumerate(asked):
        home = _home(report, by_position.get(n, []))
        if home is None:
            continue
        homes[id(report)] = home
        # A second report about the same part cites it under the id that the first one has brought.
        carrier_id = home.carrier_id or adopted.setdefault((home.id, home.part), report.carrier_id)
        found.append(replace(report, carrier_id=carrier_id))
        kind = "inferred" if report.reference is None else "by_reference"
        events.append((home.id, now, home.part, kind, "{}"))
    new = {(c.id, c.part): c for c in homes.values() if not c.carrier_id}
    if new:
        await store.adopt(connection, [(c, adopted[key]) for key, c in new.items()])
    return found, [r for r in unmatched if id(r) not in homes], events


def _home(report: Report, candidates: list[Candidate]) -> Candidate | None:
    if report.reference is not None:
        return core.by_reference(candidates, report.reference)
    return core.by_number(candidates, report.submitted, report.received_at)
