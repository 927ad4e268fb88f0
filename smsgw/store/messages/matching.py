"""Which part a report is about, for every statement that asks: one choice, so that they cannot disagree."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.model import Report
from smsgw.core.numbers import tail
from smsgw.store.engine.states import by_name

FITS = "right(m.number, length(r.tail)) = r.tail"
"""A message ``m`` has the number of a report ``r``, however that is spelled. True when the report says none."""


def chosen(columns: str, oldest: str) -> str:
    """SQL: of each report in ``r`` (channel_id, carrier_id, tail, newest, n), ``columns`` of its part ``p``.

    A carrier may use an id again: the number decides, then the part of that number that waits for a report, then the
    newest. A report without a number is about the newest: to take another for it would be a guess. The lower bound of
    the id is ``oldest``; the upper one comes from a row, because the planner would take two constants for a narrow
    range and read the day by its primary key instead of part_carrier.
    """
    return by_name(f"""
    SELECT DISTINCT ON (r.n) r.n, {columns}
    FROM r JOIN part p ON p.channel_id = r.channel_id AND p.carrier_id = r.carrier_id
                      AND p.id >= {oldest} AND p.id <= r.newest
           JOIN message m ON m.id = p.id AND m.id >= {oldest} AND {FITS}
    ORDER BY r.n, (r.tail <> '' AND p.state = :SENT) DESC, p.id DESC, p.part
    """)  # noqa: S608 - constant text


def tails(reports: Sequence[Report]) -> list[str]:
    """The column ``tail`` of reports."""
    return [tail(report.number) for report in reports]
