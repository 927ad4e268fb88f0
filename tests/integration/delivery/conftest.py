from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from receiver import Receiver, Stage, receiving


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest_asyncio.fixture
async def stage(dsn: str) -> AsyncIterator[Stage]:
    made = Stage(dsn)
    await made.open()
    yield made
    await made.database.close()
