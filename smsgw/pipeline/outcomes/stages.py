"""How long parts take from stage to stage, and how they end, by channel: what the metrics tell of this node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from smsgw.core.histograms import Histogram
from smsgw.core.ids import EPOCH_MS
from smsgw.core.states import PartState
from smsgw.store.engine.database import Row

_RESULT = {
    PartState.DELIVERED: "delivered", PartState.UNDELIVERABLE: "failed", PartState.REJECTED: "failed",
    PartState.NO_REPORT: "no_report", PartState.UNCONFIRMED: "unconfirmed",
}  # fmt: skip


class Stages:
    """Counts what the writer of outcomes has changed; no look at the database or the clock."""

    def __init__(self) -> None:
        self.queued: dict[int, Histogram] = {}
        """From the acceptance to the claim; of what was planned for later, with that time. By channel id, as all."""
        self.answered: dict[int, Histogram] = {}
        """From the claim to the carrier's answer."""
        self.reported: dict[int, Histogram] = {}
        """From the answer to the delivery report."""
        self.ended: Counter[tuple[int, str]] = Counter()
        """Channel id and result: ``delivered``, ``failed``, ``no_report``, ``unconfirmed``."""

    def note(self, rows: Iterable[Row]) -> None:
        """Parts that have changed, as they are now."""
        for row in rows:
            channel_id = row.get("channel_id")
            if not channel_id:
                continue
            state, claimed, answered = row["state"], row.get("claimed_at"), row.get("answered_at")
            if state == PartState.SENT and claimed is not None and answered is not None:
                at = claimed.timestamp()
                _of(self.queued, channel_id).note(at - ((row["id"] >> 22) + EPOCH_MS) / 1000)
                _of(self.answered, channel_id).note(answered.timestamp() - at)
            elif (result := _RESULT.get(state)) is not None:
                self.ended[channel_id, result] += 1
                final = row.get("final_at")
                if answered is not None and final is not None and result in ("delivered", "failed"):
                    _of(self.reported, channel_id).note((final - answered).total_seconds())


def _of(histograms: dict[int, Histogram], channel_id: int) -> Histogram:
    found = histograms.get(channel_id)
    if found is None:
        found = histograms[channel_id] = Histogram()
    return found
