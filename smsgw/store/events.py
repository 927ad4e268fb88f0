"""Events to customers by pull: leased in batches, gone when acknowledged, back when not."""

from __future__ import annotations

from collections.abc import Callable

from smsgw.core.model import REPORT_CLASSES
from smsgw.core.states import STATUS_ZH
from smsgw.store.db import Database, Row

MAX_PULL = 500

_LEASE = """
WITH pick AS MATERIALIZED (
    SELECT id FROM customer_event
    WHERE account_id = $1 AND kind = $2 AND acknowledged_at IS NULL
      AND (leased_until IS NULL OR leased_until < clock_timestamp())
    ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE customer_event e SET batch_id = $4, leased_until = clock_timestamp() + $5 * interval '1 second'
FROM pick WHERE e.id = pick.id
RETURNING e.*
"""

_MESSAGES = "SELECT id, client_ref, ext, number, parts FROM message WHERE id = ANY($1::bigint[])"

_INBOUND = """
SELECT o.*, m.client_ref FROM mo o LEFT JOIN message m ON m.id = o.in_reply_to WHERE o.id = ANY($1::bigint[])
"""

_ACK = """
UPDATE customer_event SET acknowledged_at = clock_timestamp()
WHERE batch_id = $1 AND account_id = $2 AND kind = $3 AND acknowledged_at IS NULL
"""


async def pull_events(
    database: Database, account_id: int, kind: str, limit: int, *, lease_s: int = 60, ids: Callable[[], int]
) -> tuple[int | None, list[dict[str, object]], bool]:
    """Lease up to ``limit`` waiting events of the account, oldest first: (batch id, API items, more waiting?).

    What is not acknowledged within ``lease_s`` seconds is offered again. Parallel callers never overlap.
    """
    limit = max(1, min(limit, MAX_PULL))
    batch = ids()
    async with database.transaction() as connection:
        rows = sorted(
            await connection.fetch(_LEASE, account_id, kind, limit, batch, lease_s), key=lambda r: r["id"]
        )
        if not rows:
            return None, [], False
        about = {
            row["id"]: row
            for row in await connection.fetch(
                _MESSAGES if kind == "report" else _INBOUND, [row["message_id"] for row in rows]
            )
        }
    render = _report if kind == "report" else _inbound
    items = [render(row, about[row["message_id"]]) for row in rows if row["message_id"] in about]
    return batch, items, len(rows) == limit


async def ack_events(database: Database, account_id: int, kind: str, batch_id: int) -> int:
    """Acknowledge a pulled batch; how many events it held (0: unknown, or acknowledged before)."""
    if not 0 < batch_id < 2**63:
        return 0
    tag = await database.execute(_ACK, batch_id, account_id, kind)
    return int(tag.rpartition(" ")[2])


def _report(event: Row, message: Row) -> dict[str, object]:
    cls = event["class"]
    return {
        "event_id": str(event["id"]),
        "message_id": str(event["message_id"]),
        "client_ref": message["client_ref"],
        "ext": message["ext"],
        "to": message["number"],
        "status": event["status"],
        "class": cls,
        "carrier_code": event["code"],
        "description": REPORT_CLASSES.get(cls, cls) or STATUS_ZH[event["status"]],
        "parts": {"total": message["parts"], "ok": event["parts_ok"]},
        "kind": "sms",
        "submitted_at": event["submitted_at"],
        "done_at": event["done_at"],
    }


def _inbound(event: Row, mo: Row) -> dict[str, object]:
    reply = mo["in_reply_to"]
    return {
        "event_id": str(event["id"]),
        "mo_id": str(mo["id"]),
        "from": mo["number"],
        "to_code": mo["to_code"],
        "extend_code": mo["extend_code"],
        "content": mo["content"],
        "received_at": mo["received_at"],
        "in_reply_to": {"message_id": str(reply), "client_ref": mo["client_ref"]} if reply else None,
        "complete": mo["complete"],
    }
