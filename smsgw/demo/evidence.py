"""Evidence of the demo's reports: the PDUs that would have said them, and a root a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256

from smsgw.core.ids import CHINA, first_id
from smsgw.core.states import PartState
from smsgw.demo.world import World
from smsgw.protocols.cmpp import reports
from smsgw.protocols.cmpp.pdus import Deliver
from smsgw.protocols.dialects import CMPP20
from smsgw.store.records import evidence

COLUMNS = (
    "id", "message_id", "part", "kind", "state", "channel_id", "carrier_id", "code", "at", "pdu", "digest"
)  # fmt: skip
ENDS = frozenset({PartState.DELIVERED, PartState.UNDELIVERABLE})


def row(
    key: tuple[int, int], state: PartState, channel: int, carrier_id: str, code: str, at: datetime, number: str
) -> tuple[object, ...]:
    """The evidence of a part, as ``COLUMNS``."""
    said = f"{at.astimezone(CHINA):%y%m%d%H%M}"
    report = reports.Report(
        msg_id=int(carrier_id, 16), stat=code[:7], submit_time=said, done_time=said, dest_terminal_id=number
    )
    octets = CMPP20.encode(Deliver(
        sequence=key[0] & 0xFFFFFF, msg_id=int(carrier_id, 16), dest_id="10690001", src_terminal_id=number,
        registered_delivery=1, msg_content=reports.encode(report, 20),
    ))  # fmt: skip
    return (first_id(at), *key, "report", int(state), channel, carrier_id, code, at, octets, sha256(octets).digest())


async def fill(world: World) -> None:
    """The roots, each in the night after its day."""
    night = (world.start + timedelta(days=1)).astimezone(CHINA).replace(hour=2, minute=0)
    while night < world.now:
        world.later.append((night, partial(_root, world, night)))
        night += timedelta(days=1)


async def _root(world: World, at: datetime) -> None:
    await evidence.make_root(world.database, world.sealer, at)
