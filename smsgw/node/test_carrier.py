"""The carrier of test keys and of simulated channels: inside the daemon, reached over a real link like any other.

The last four digits of a number choose what becomes of a message; any other number is delivered. Started when the first
test key or simulated channel is there; every node has its own, and the node that owns the channel uses it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from smsgw.core.model import TEST_CHANNEL, TEST_POOL_NAME, ChannelSpec
from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay, Rule
from smsgw.simulator.inbox import Received

HOST = "127.0.0.1"
USER = "999999"
CONNECTIONS = 2

RULES = (
    Rule(suffix="0001", report="UNDELIV"),
    Rule(suffix="0002", report="MK:0001"),
    Rule(suffix="0003", report="none"),
    Rule(suffix="0004", answer=13),
    Rule(suffix="0005", lose_answer=True, report="none"),
    Rule(suffix="0006", answer=8),
    Rule(suffix="0007", report_delay=Delay.fixed(60.0)),
    Rule(suffix="0008", report="MK:0005"),
    Rule(suffix="0009", report="MK:0004"),
    Rule(suffix="0010", report="MB:1077"),
    Rule(suffix="0011", report="MB:1041"),
    Rule(suffix="0012", report="MK:0014"),
)
"""docs/accounts.md says what they stand for."""


class TestCarrier:
    """Runs the carrier once it is asked for."""

    __test__ = False  # not a test, whatever its name
    MESSAGES_KEPT = 1000

    def __init__(self) -> None:
        self._password = secrets.token_hex(4)
        self._carrier: Carrier | None = None

    async def channel(self) -> ChannelSpec:
        """The channel of test keys, its carrier running."""
        port = await self._port()
        return ChannelSpec(
            id=TEST_CHANNEL,
            name=TEST_POOL_NAME,
            protocol="cmpp30",
            host=HOST,
            port=port,
            username=USER,
            password=self._password,
            connections=CONNECTIONS,
            profile={"response_timeout": 5},
        )

    async def lead(self, spec: ChannelSpec) -> ChannelSpec:
        """The same channel leading here, its carrier running. Host and login that it has are not used."""
        port = await self._port()
        return replace(spec, host=HOST, port=port, username=USER, password=self._password)

    @property
    def received(self) -> Sequence[Received]:
        """The last ``MESSAGES_KEPT`` messages that phones would have got, the newest last."""
        return () if self._carrier is None else tuple(self._carrier.inbox.messages)

    async def _port(self) -> int:
        if self._carrier is None:
            carrier = Carrier(
                CarrierConfig(
                    name=TEST_POOL_NAME, protocol="cmpp", host=HOST, users={USER: self._password},
                    keep_messages=self.MESSAGES_KEPT, max_counted=self.MESSAGES_KEPT, max_pending=100_000,
                    behaviour=Behaviour(answer_delay=Delay(0.005, 0.03), report_delay=Delay(0.2, 0.6), rules=RULES),
                )
            )  # fmt: skip
            await carrier.start()
            self._carrier = carrier
        return self._carrier.port

    async def stop(self) -> None:
        """Stop the carrier."""
        if self._carrier is not None:
            await self._carrier.stop()
            self._carrier = None
