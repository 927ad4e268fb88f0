"""Links of a task, opened once each; redirects and a file of codes beside sending. Speed is not looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from linking import clicked_task, code_file, linking_site, redirects

pytestmark = pytest.mark.shard("volume")


@pytest.mark.slow
async def test_each_click_is_of_one_recipient(data_dir: Path, embedded_data: None) -> None:
    async with linking_site(data_dir, balance=10_000) as (built, visitors):
        figures = await clicked_task(built, visitors, 3000, within=90)
    assert figures["different codes"] == figures["clicks of exactly one number"] == 3000


@pytest.mark.slow
async def test_links_are_opened_and_codes_written_beside_sending(data_dir: Path, embedded_data: None) -> None:
    async with linking_site(data_dir, balance=100_000, workers=2) as (built, visitors):
        told = await redirects(built, visitors, rate=50, sent=20, seconds=2, before=1, codes=500)
        assert told["workers"] == 2
        assert float(str(told["reached a second"])) > 0
        figures = await code_file(built, 12_000, sent=20, seconds=1, within=90)
    assert figures["different codes in the file"] == 12_000
