from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from simulator_client import Start, config

from smsgw.simulator import Carrier


@pytest.fixture
async def carrier() -> AsyncIterator[Start]:
    """Starts carriers (``simulator_client.config``)."""
    async with AsyncExitStack() as stack:
        yield lambda protocol, **keys: stack.enter_async_context(Carrier(config(protocol, **keys)))
