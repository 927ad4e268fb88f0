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
from smsgw.protocols.dialects import DIALECTS, SMPP34, Dialect
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.smpp import reports as receipts
from smsgw.protocols.smpp.pdus import DeliverSm
from smsgw.store.records import evidence

COLUMNS = ("id", "message_id", "part", "kind", "state", "channel_id", "carrier_id", "code", "at", "pdu", "digest")
ENDS = frozenset({PartState.DELIVERED, PartState.UNDELIVERABLE})


def row(
    key: tuple[int, int], state: PartState, channel: int, protocol: str, carrier_id: str, code: str, at: datetime,
    number: str,
) -> tuple[object, ...]:  # fmt: skip
    """The evidence of a part, as ``COLUMNS``."""
    said = f"{at.astimezone(CHINA):%y%m%d%H%M}"
    pdu = _receipt(key, state, carrier_id, code, said, number) if protocol == SMPP34.name else _report(
        key, DIALECTS[protocol], carrier_id, code, said, number
    )  # fmt: skip
    octets = DIALECTS[protocol].encode(pdu)
    return (first_id(at), *key, "report", int(state), channel, carrier_id, code, at, octets, sha256(octets).digest())


def _report(key: tuple[int, int], dialect: Dialect, carrier_id: str, code: str, said: str, number: str) -> Pdu:
    report = reports.Report(
        msg_id=int(carrier_id, 16), stat=code[:7], submit_time=said, done_time=said, dest_terminal_id=number
    )
    return Deliver(
        sequence=key[0] & 0xFFFFFF, msg_id=int(carrier_id, 16), dest_id="10690001", src_terminal_id=number,
        registered_delivery=1, msg_content=reports.encode(report, dialect.version),
    )  # fmt: skip


def _receipt(key: tuple[int, int], state: PartState, carrier_id: str, code: str, said: str, number: str) -> Pdu:
    done = "001" if state is PartState.DELIVERED else "000"
    text = receipts.build(receipts.Receipt(
        id=carrier_id, sub="001", dlvrd=done, submit_date=said, done_date=said, stat=code[:7], err="000", text="",
    ))  # fmt: skip
    return DeliverSm(
        sequence=key[0] & 0xFFFFFF, source_addr_ton=1, source_addr_npi=1, source_addr=number,
        destination_addr="10690003", esm_class=0x04, short_message=text.encode(),
    )  # fmt: skip


async def fill(world: World) -> None:
    """The roots, each in the night after its day."""
    night = (world.start + timedelta(days=1)).astimezone(CHINA).replace(hour=2, minute=0)
    while night < world.now:
        world.later.append((night, partial(_root, world, night)))
        night += timedelta(days=1)
    world.later.append((world.now - timedelta(minutes=15), partial(_unmatched, world)))


_SOME = """
SELECT p.id, p.part, p.state, p.channel_id, c.protocol, p.carrier_id, m.number
FROM part p JOIN message m ON m.id = p.id JOIN channel c ON c.id = p.channel_id
WHERE p.carrier_id IS NOT NULL AND p.state IN ($1, $2) AND p.id < $3 ORDER BY p.state, p.id DESC LIMIT 8
"""
_PARK = """
INSERT INTO receipt_orphan (channel_id, carrier_id, state, code, class, number, received_at, pdu)
VALUES ($1, $2, 40, 'DELIVRD', '', $3, $4, $5) ON CONFLICT DO NOTHING
"""


async def _unmatched(world: World) -> None:
    """Reports that have found no message: cut off ids of some that wait, a copy, strangers."""
    some = await world.database.fetch(_SOME, PartState.SENT, PartState.DELIVERED, world.id_at(world.at))
    for n, part in enumerate(some):
        waits = part["state"] == PartState.SENT
        carrier_id, number = part["carrier_id"], part["number"]
        if waits:
            carrier_id = carrier_id[:-2]
        elif n % 3:
            carrier_id = f"{int(carrier_id, 16) ^ 0xF0F0F0:x}"
        if not waits and n % 3 == 2:
            number = world.number()
        at = world.at - timedelta(minutes=7 * n)
        made = row((part["id"], part["part"]), PartState.DELIVERED, part["channel_id"], part["protocol"], carrier_id,
                   "DELIVRD", at, number)  # fmt: skip
        await world.database.execute(_PARK, part["channel_id"], carrier_id, number, at, made[COLUMNS.index("pdu")])


async def _root(world: World, at: datetime) -> None:
    await evidence.make_root(world.database, world.sealer, at)
