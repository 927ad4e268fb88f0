"""Figures of the reports are what the records come to: days, months, and what they are grouped by."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from demo_site import demo_site
from figures import sampled

from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.platform.statistics import reports
from smsgw.platform.statistics.reports import Wanted


@pytest.mark.slow
async def test_figures_are_counts_of_records(dsn: str, tmp_path: Path) -> None:
    seed = secrets.randbelow(1 << 31)
    async with demo_site(dsn, tmp_path / "node", days=10, daily=60) as site:
        last = datetime.now(CHINA).date()
        first = last - timedelta(days=12)
        figures = await sampled(site.database, first, last, 400, seed)
        assert len(figures) == 400
        assert sum(one.counted > 0 for one in figures) > 100, "most figures say something"
        wrong = [one for one in figures if one.shown != one.counted]
        assert not wrong, (seed, wrong[:10])
        who = Actor.system("test")
        months = await reports.periods(site.database, who, Wanted(first.replace(day=1), last, monthly=True))
        days = await reports.periods(site.database, who, Wanted(first.replace(day=1), last))
        for month in months:
            of_it = [day for day in days if day.day and month.day and (day.day.replace(day=1) == month.day)]
            for name in ("submitted", "ended", "delivered", "failed", "unknown", "unsent", "billed"):
                assert getattr(month, name) == sum(getattr(day, name) for day in of_it), (month.day, name)
