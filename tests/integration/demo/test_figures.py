"""Figures of pages are what the records come to: days, months, who has sent, the first page, tasks, accounts."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from demo_site import demo_site
from figures import sampled

from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.platform.statistics import reports
from smsgw.platform.statistics.reports import Wanted

pytestmark = pytest.mark.shard("pages")


@pytest.mark.slow
async def test_figures_are_counts_of_records(dsn: str, tmp_path: Path) -> None:
    seed = secrets.randbelow(1 << 31)
    async with demo_site(dsn, tmp_path / "node", days=10, daily=60) as site:
        last = datetime.now(CHINA).date()
        first = last.replace(day=1) - timedelta(days=31)
        for _ in range(5):
            figures = await sampled(site.database, first, last, 10**6, seed)
            wrong = [one for one in figures if one.shown != one.counted]
            if not wrong:
                break
            await asyncio.sleep(5)  # messages that end between the two looks
        assert not wrong, wrong[:10]
        kinds = Counter(one.what.split()[0] for one in figures if one.counted)
        assert kinds.keys() == {"day", "month", "people", "home", "task", "account", "failures", "delays"}, (
            "all of them say something"
        )
        assert len(await sampled(site.database, first, last, 400, seed)) == 400
        who = Actor.system("test")
        months = await reports.periods(site.database, who, Wanted(first, last, monthly=True))
        days = await reports.periods(site.database, who, Wanted(first, last))
        for month in months:
            of_it = [day for day in days if day.day and month.day and (day.day.replace(day=1) == month.day)]
            for name in ("submitted", "ended", "delivered", "failed", "unknown", "unsent", "billed"):
                assert getattr(month, name) == sum(getattr(day, name) for day in of_it), (month.day, name)
        await site.database.execute("UPDATE stat_day SET messages = messages + 1 WHERE status = 'delivered'")
        figures = await sampled(site.database, first, last, 10**6, seed)
        assert any(one.shown != one.counted for one in figures), "what is falsified is seen"
