"""The day on which a test runs, in China. It is asked for within the test: a run may pass midnight."""

from __future__ import annotations

from datetime import date, datetime

from smsgw.core.ids import CHINA


def noon() -> datetime:
    """Twelve o'clock of today, whatever time it is."""
    return datetime.now(CHINA).replace(hour=12, minute=0, second=0, microsecond=0)


def today() -> date:
    """Today."""
    return noon().date()


def this_month() -> date:
    """Its first day."""
    return today().replace(day=1)
