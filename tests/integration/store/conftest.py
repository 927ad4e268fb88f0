"""An embedded PostgreSQL of a test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from smsgw.store.engine.embedded import EmbeddedPostgres


@pytest_asyncio.fixture
async def pg(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    """Not started yet; nothing is left of it, whoever has started it."""
    from smsgw.store.engine.embedded import EmbeddedPostgres

    folder = tmp_path / "data"
    folder.mkdir()
    made = EmbeddedPostgres(folder)
    yield made
    await made.stop()
    await EmbeddedPostgres(folder).discard()
