"""What connects systems of customers: addresses that events are pushed to, how the calls have gone, and logins."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import partial

from smsgw.core.ids import first_id
from smsgw.core.webhooks import Reach
from smsgw.demo.world import World
from smsgw.platform.partners import service as partners
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted

RECEIVERS = (
    ("demo-hall", Wanted("main", "https://sms.hall.example/events")),
    ("demo-hall", Wanted("replies", "https://oa.hall.example/mo", ("message.mo",), options={"format": "json_item"})),
    ("demo-hall", Wanted("callback", hosts=(".hall.example",))),
    ("demo-traffic", Wanted("legacy", "https://police.traffic.example/cb", ("message.report",), options={
        "format": "form_json", "items_field": "sms_status", "times": "yyyyMMddHHmmss", "expect": "SUCCESS",
        "fields": {"mobile": "to", "msgid": "message_id", "status": "carrier_code"},
    })),
)  # fmt: skip
"""Names that lead nowhere: nobody is called from a demonstration."""
_FAILS = "legacy"
"""The one whose receiver is down."""
DOWN = timedelta(minutes=50)

_ID = "SELECT w.id FROM webhook w WHERE w.account_id = $1 AND w.name = $2"
_CALLS = """
INSERT INTO webhook_attempt (id, webhook_id, at, calls, events, first_event, status, ms, error)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::int[], $5::int[], $1::bigint[], $6::smallint[],
                     $7::int[], $8::text[])
"""
_STATE = "UPDATE webhook SET last_ok_at = $2, failing_since = $3, last_error = $4 WHERE id = $1"


LOGINS = (
    ("demo-hall", "cmpp", "700001", {"max_binds": 4, "rate": 200, "code": "1069000100"}),
    ("demo-traffic", "smpp", "traffic", {"max_binds": 2, "rate": 50, "type": "notice"}),
    ("demo-school", "smpp", "school-old", {"status": "stopped"}),
)


async def fill(world: World) -> None:
    """What stands at the end of the history."""
    world.later.append((world.now, partial(_receivers, world)))
    world.later.append((world.start + timedelta(days=1), partial(_logins, world)))


async def _logins(world: World) -> None:
    for account, protocol, username, fields in LOGINS:
        password = f"{world.dice.getrandbits(32):08x}"
        await partners.add(
            world.change(), world.sealer, world.senders[account].id, protocol, username, password, fields
        )


async def _receivers(world: World) -> None:
    for account, wanted in RECEIVERS:
        account_id = world.senders[account].id
        await webhooks.put(world.change(), world.sealer, account_id, wanted, Reach())
        if wanted.url:
            await _called(world, await world.database.fetchval(_ID, account_id, wanted.name), wanted.name == _FAILS)


async def _called(world: World, id_: int, down: bool) -> None:
    """Every five minutes of two days, as much as there is at that hour; with a failure now and then."""
    rows, since = list[tuple[int, int, datetime, int, int, int, int, str]](), world.now - DOWN
    for back in range(2 * 24 * 12, 0, -1):
        at = world.now - timedelta(minutes=5 * back)
        busy = max(0.05, math.sin(math.pi * ((at.hour + 8) % 24) / 24))
        events = 1 + int(40 * busy * world.dice.random())
        gone = down and at > since
        error = "HTTP 503" if gone or world.dice.random() < 0.01 else ""
        ms = world.dice.randint(40, 90) + int(160 * busy * world.dice.random())
        key = first_id(at) + id_
        rows.append((key, id_, at, 1 if error else 1 + events // 8, events, 503 if error else 200, ms, error))
    await world.database.execute(_CALLS, *map(list, zip(*rows, strict=True)))
    last = next(row[2] for row in reversed(rows) if not row[7])
    await world.database.execute(_STATE, id_, last, since if down else None, "HTTP 503" if down else "")
