"""The desk of tasks that the tests of campaigns work at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from taskdesk import Desk, desk


@pytest_asyncio.fixture
async def d(dsn: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """All that feeds, and a clock that is set by hand."""
    async with desk(dsn, tmp_path) as made:
        yield made
