"""A load test of the demo: its figures are made up, and it says so."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from smsgw import __version__
from smsgw.core.words import samples
from smsgw.demo.world import World

RATE, SECONDS = 200, 120
_WARM_UP = 1_000
_ADD = """
INSERT INTO load_test (job_id, scenario, rate, seconds, reason, node, begun_by, begun_at, state, ended_at, samples,
                       result)
VALUES (-1, 'steady', $1, $2, $3, 1, 'demo-ops', $4, 'done', $5, $6::jsonb, $7::jsonb)
"""


async def fill(world: World) -> None:
    """One that has ended yesterday."""
    begun = max(world.start, world.now - timedelta(hours=20))
    points = [[n, RATE * n, RATE * n - n % 7, max(0, RATE * (n - 1) - n % 11)] for n in range(0, SECONDS + 1, 2)]
    points.append([SECONDS + 1, *[RATE * SECONDS] * 3])
    await world.database.execute(
        _ADD, RATE, SECONDS, samples.LOADED_FOR, begun, begun + timedelta(seconds=SECONDS + 41), json.dumps(points),
        json.dumps(result()),
    )  # fmt: skip


def result() -> dict[str, Any]:
    """As a bench would tell it."""
    n, all_ = RATE * SECONDS, RATE * SECONDS + _WARM_UP
    counts = {
        "posted": all_, "accepted": all_, "billed": all_, "pulled": all_, "pulled_again": 0, "pulled_strange": 0,
        "lost_calls": 0, "received": all_, "received_distinct": all_, "received_again": 0, "refusals": {},
        "statuses": {"delivered": all_},
    }  # fmt: skip
    carried = [
        {"carrier": f"bench-{at}", "messages": n // 3, "per_s": RATE / 3, "peak_second": RATE // 3 + 34}
        for at in range(3)
    ]
    return {
        "machine": {"smsgw": __version__, "cores": "2", "time": samples.LOADED_FOR},
        "settings": {"pace": f"{RATE} messages/s", "posts": "batches of 100"}, "raised_limits": {}, "messages": n,
        "seconds": SECONDS + 0.3, "accepted_per_s": float(RATE), "end_to_end_per_s": RATE - 0.4,
        "cpu_ms_per_message": {}, "daemon_peak_mib": None,
        "accept": {"p50": 6.0, "p90": 9.0, "p99": 18.0, "worst": 40.0},
        "post_to_carrier": None, "post_to_report": None, "counts": counts, "carried": carried, "daemon_log": [],
        "problems": [],
    }  # fmt: skip
