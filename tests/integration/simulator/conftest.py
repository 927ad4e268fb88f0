from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay

Start = Callable[..., Awaitable[Carrier]]


@pytest.fixture
async def carrier() -> AsyncIterator[Start]:
    """Start carriers; keys of a behaviour go to the behaviour, the others to the configuration."""
    async with AsyncExitStack() as stack:

        async def start(protocol: str, **keys: Any) -> Carrier:
            of_behaviour = {k: keys.pop(k) for k in list(keys) if k in Behaviour.__slots__}
            of_behaviour.setdefault("report_delay", Delay.fixed(0.0))
            config = CarrierConfig(protocol=protocol, seed=1, behaviour=Behaviour(**of_behaviour), **keys)
            return await stack.enter_async_context(Carrier(config))

        yield start
