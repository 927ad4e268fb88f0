"""Three channels, one a carrier, and the partitions of the days in which they have been sending."""

from __future__ import annotations

from datetime import timedelta

from smsgw.core.ids import CHINA
from smsgw.demo.world import World
from smsgw.platform.channels import service as channels
from smsgw.store.engine import partitions

CHANNELS = {
    # name: (protocol, carriers, access code)
    "mobile-cmpp30": ("cmpp30", ("CMCC", "CBN"), "10690001"),
    "unicom-cmpp20": ("cmpp20", ("CUCC",), "10690002"),
    "telecom-smpp": ("smpp34", ("CTCC", "INTL"), "10690003"),
}
"""As ``smsgwctl demo`` has them, which points them at its simulated carriers."""
_PROTOCOLS = {carrier: protocol for protocol, carriers, _ in CHANNELS.values() for carrier in carriers}
USER, SECRET = "900001", "demo-secret"
NOWHERE = 7890
"""Port of a channel that no carrier waits for."""
_STRIDE = 8
"""Days of partitions that are made in one go."""


def protocol_of(carrier: str) -> str:
    """Of the channel that a carrier's messages go by."""
    return _PROTOCOLS[carrier]


async def fill(world: World) -> None:
    """The channels; those that no carrier waits for are stopped."""
    with world.then(world.start + timedelta(minutes=30)):
        for name, (protocol, carriers, access_code) in CHANNELS.items():
            port = world.ports.get(name)
            fields = {
                "protocol": protocol, "host": "127.0.0.1", "port": port or NOWHERE, "username": USER,
                "password": SECRET, "access_code": access_code, "carriers": list(carriers), "rate": 400,
                "desired": "started" if port else "stopped",
            }  # fmt: skip
            id_ = await channels.add(world.change(), world.sealer, name, fields)
            world.channels |= dict.fromkeys(carriers, id_)
        await world.date("channel.created_at")
    world.pools = {row["name"]: row["id"] for row in await world.database.fetch("SELECT id, name FROM pool")}
    await _days(world)


async def _days(world: World) -> None:
    today = world.now.astimezone(CHINA).date()
    for back in range(world.days, -1, -_STRIDE):
        async with world.database.acquire(timeout=120) as connection:
            await partitions.ensure(connection, today - timedelta(days=back))
