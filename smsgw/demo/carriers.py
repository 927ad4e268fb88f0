"""Three channels, one a carrier, and the partitions of the days in which they have been sending."""

from __future__ import annotations

from datetime import timedelta

from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.core.model import ChannelSpec
from smsgw.core.throttling import Spell
from smsgw.core.words import samples
from smsgw.demo.world import World
from smsgw.platform.channels import checks, service as channels
from smsgw.platform.channels.checks import Finding, Stage, Tell, Verdict
from smsgw.platform.settings import service as settings
from smsgw.store.config import throttles
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
        await world.date("channel.created_at channel_version.made_at")
    await _versions(world)
    await _throttled(world)
    world.pools = {row["name"]: row["id"] for row in await world.database.fetch("SELECT id, name FROM pool")}
    await _days(world)


async def _versions(world: World) -> None:
    """What the first channel was set to before, what it is to be set to, and a test of it."""
    name, sealer = next(iter(CHANNELS)), world.sealer
    for (days, rate, approval), reason in zip(_CHANGES, samples.CHANNEL_CHANGES, strict=True):
        with world.then(max(world.start + timedelta(hours=1), world.now - timedelta(days=days))):
            await settings.put(world.change(), "channel_approval", approval)
            await channels.edit(world.change(), sealer, name, {"rate": rate}, reason=reason)
            await world.date("channel_version.made_at")
    with world.then(world.now - timedelta(hours=3)):
        for who in ("demo", "demo-2"):  # it takes two
            await settings.put(world.change(Actor.system(who)), "channel_approval", 0)
        id_, spec = await checks.enter(world.change(), sealer, world.channels["CMCC"])
        await checks.run(world.database, _Refused(), spec, id_, login=True)
        await world.date("channel_check.begun_at channel_check.ended_at")


async def _throttled(world: World) -> None:
    """The first channel's carrier takes less than was agreed when everybody sends."""
    spells = []
    for hours, minutes, lowest, carried, refused in _SPELLS:
        began = world.now - timedelta(hours=hours)
        if began < world.start:
            continue
        taken = int(carried * minutes * 60)
        spells.append(Spell(began, began + timedelta(minutes=minutes), 400, lowest, taken, refused, over=True))
    await throttles.keep(world.database, 1, [(world.channels["CMCC"], spell) for spell in spells])


_SPELLS = (
    # hours ago, minutes, down to, carried a second, refused
    (100, 42, 212.0, 231.4, 318),
    (77, 35, 240.0, 268.9, 203),
    (52, 3, None, 388.0, 4),
    (28, 51, 188.0, 214.2, 467),
    (5, 24, 266.0, 285.5, 121),
)


_CHANGES = (
    # days ago, rate, whether it waits for somebody else
    (9, 300, 0),
    (6, 400, 0),
    (0, 600, 1),
)


class _Refused:
    """A carrier that does not admit where we come from."""

    async def check(self, spec: ChannelSpec, *, login: bool, tell: Tell) -> None:
        """As ``checks.Checker``."""
        about: dict[str, str | int] = {"host": spec.host, "address": spec.host, "port": spec.port}
        about["user"] = spec.username
        await tell(Finding(Stage.RESOLVE, Verdict.GOOD, "resolved", about, seconds=0.01))
        await tell(Finding(Stage.CONNECT, Verdict.GOOD, "reached", about, seconds=0.04))
        await tell(Finding(Stage.LOGIN, Verdict.BAD, "login.source_address", about, "Status 2", 0.06))


async def _days(world: World) -> None:
    today = world.now.astimezone(CHINA).date()
    for back in range(world.days, -1, -_STRIDE):
        async with world.database.acquire(timeout=120) as connection:
            await partitions.ensure(connection, today - timedelta(days=back))
