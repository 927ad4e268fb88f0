"""A large table from the page, at a length that a suite has time for; with a million rows: ``scripts/trials``."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import site
from million import CHROMIUM, through_the_page
from tasking import arrived, quick

from smsgw.admin.staticfiles import ROOT, VENDOR

pytestmark = [
    pytest.mark.shard("volume"),
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: the portal was not tried in a browser"),
    pytest.mark.skipif(
        not all((ROOT / name).exists() for name in VENDOR),
        reason="no front-end files here: the portal was not tried in a browser",
    ),
]
ROWS = 20_000


async def test_a_large_table_from_the_page_is_stopped_and_cancelled_exactly(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, behaviour=quick, channel_options=("--rate", "100")) as built:
        figures = await through_the_page(built, data_dir.parent, ROWS, legs=(1000, 500))
        assert figures["balance"] == 100_000 - arrived(built), figures
