"""Fixtures of the integration tests: parts of the gateway over the migrated database of one test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from ledger import Ledger


@pytest_asyncio.fixture
async def ledger(dsn: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    """A ledger with an account and two channels, whose books must balance in the end."""
    one = Ledger(dsn, tmp_path)
    await one.open()
    yield one
    problems = await one.problems()
    await one.close()
    assert problems == [] or not one.balanced
