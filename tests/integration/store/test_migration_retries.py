"""Schema 149 on what was there before: rules of retries without an end get a pause, the others stay as they are."""

from __future__ import annotations

import asyncpg
from databases import change

from smsgw.store.engine.migrate import migrations

_RULE = """
INSERT INTO retry_rule (fault, type, how, tries, deadline_s, first_s, most_s) VALUES ($1, $2, $3, $4, 0, $5, $6)
"""


async def test_rules_of_retries_without_an_end_get_a_pause(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    rows = [("throttle", "otp", "same", 0, 0.0, 0.0), ("busy", "otp", "other", 0, 30.0, 30.0),
            ("network", "otp", "other", 2, 0.0, 0.0), ("absent", "otp", "never", 0, 0.0, 0.0)]  # fmt: skip
    await connection.executemany(_RULE, rows)
    (migration,) = (m for m in migrations() if m.number == 149)
    await change(dsn, migration.sql)
    found = await connection.fetch("SELECT fault, first_s, most_s FROM retry_rule")
    await connection.close()
    assert {row["fault"]: (row["first_s"], row["most_s"]) for row in found} == {
        "throttle": (1, 5), "busy": (30, 30), "network": (0, 0), "absent": (0, 0),
    }  # fmt: skip
