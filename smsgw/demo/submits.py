"""A recording of the first channel's submits in the demo: since the day before yesterday, and for some hours more."""

from __future__ import annotations

from datetime import timedelta

from smsgw.core.ids import first_id
from smsgw.core.words import samples
from smsgw.demo.carriers import CHANNELS
from smsgw.demo.world import World
from smsgw.pipeline.outcomes.submit_log import ROW
from smsgw.protocols.cmpp.pdus import Submit, SubmitResp
from smsgw.protocols.dialects import CMPP30
from smsgw.store.engine.database import Row

MOST = 400
_BACK, _AHEAD = timedelta(hours=50), timedelta(hours=4)
_LEFT_OUT = 318
_PARTS = """
SELECT p.id, p.part, p.total, p.attempt, p.claimed_at, p.answered_at, p.carrier_id, m.number, m.content
FROM part p JOIN message m ON m.id = p.id
WHERE p.channel_id = $1 AND p.id >= $2 AND p.carrier_id <> '' AND p.answered_at IS NOT NULL AND p.claimed_at >= $3
ORDER BY p.id DESC LIMIT $4
"""
_BEGUN = """
INSERT INTO submit_recording (channel_id, begun_at, begun_by, reason, until, kept, left_out, octets)
VALUES ($1, $2, 'demo-operator', $3, $4, $5, $6, $7)
"""
_COLUMNS = ("id", "message_id", "part", "attempt", "ours", "channel_id", "at", "protocol", "pdu")


async def fill(world: World) -> None:
    """What the parts of the last two days would have said."""
    begun, channel = max(world.start, world.now - _BACK), world.channels["CMCC"]
    _, _, code = next(iter(CHANNELS.values()))
    parts = await world.database.fetch(_PARTS, channel, first_id(begun), begun, MOST)
    rows = [row for part in parts for row in _pair(part, channel, code)]
    octets = sum(len(row[-1]) + ROW for row in rows)
    async with world.database.transaction() as connection:
        await connection.execute(
            _BEGUN, channel, begun, samples.RECORDED_FOR, world.now + _AHEAD, len(rows), _LEFT_OUT, octets
        )
        await connection.copy_records_to_table("submit_pdu", records=rows, columns=_COLUMNS, timeout=60)


def _pair(part: Row, channel: int, code: str) -> list[tuple[int, int, int, int, bool, int, object, str, bytes]]:
    sequence = part["id"] & 0xFFFFFF
    size = 67 if part["total"] > 1 else 70
    piece = part["content"][(part["part"] - 1) * size : part["part"] * size].encode("utf-16-be")
    head = bytes((5, 0, 3, part["id"] & 0xFF, part["total"], part["part"])) if part["total"] > 1 else b""
    submit = Submit(
        sequence=sequence, pk_total=part["total"], pk_number=part["part"], registered_delivery=1, tp_udhi=bool(head),
        msg_fmt=8, msg_src="900001", src_id=code, dest_terminal_id=(part["number"],), msg_content=head + piece,
    )  # fmt: skip
    answer = SubmitResp(sequence=sequence, msg_id=int(part["carrier_id"], 16))
    return [
        (first_id(at), part["id"], part["part"], part["attempt"], ours, channel, at, CMPP30.name, CMPP30.encode(pdu))
        for ours, at, pdu in ((True, part["claimed_at"], submit), (False, part["answered_at"], answer))
    ]
