"""Schemas 271 and 272 on what was there before: times beyond all bounds are brought in, and none gets in any more."""

from __future__ import annotations

import asyncpg
import pytest
from changes import by_test
from databases import change, owner

from smsgw.platform.accounts import service as accounts
from smsgw.store.engine.database import Database
from smsgw.store.engine.migrate import migrations

_LINK = """
INSERT INTO short_link (account_id, name, kind, origin, domain, chosen, target, state, passed, valid_from, valid_until,
                        made_by)
VALUES ($1, 'n', 'shared', 'api', 's.example.cn', $2, 'https://example.org/', 'active', 1, $3::text::timestamptz,
        $4::text::timestamptz, 'test')
"""
_BOUNDS = "SELECT conrelid::regclass::text AS t, conname FROM pg_constraint WHERE conname LIKE '%bounds'"
_TIMES = """
SELECT chosen, valid_from AT TIME ZONE 'Asia/Shanghai' AS f, valid_until AT TIME ZONE 'Asia/Shanghai' AS u
FROM short_link ORDER BY chosen
"""


async def test_times_of_before_are_brought_in(dsn: str) -> None:
    db = Database(dsn)
    await db.open()
    account = await accounts.add(by_test(db), "shop")
    await db.close()
    bounds, rows = (m for m in migrations() if m.number in (271, 272))
    connection = await asyncpg.connect(owner(dsn))
    names = await connection.fetch(_BOUNDS)
    assert len(names) == bounds.sql.count("ADD CONSTRAINT")
    for row in names:
        await connection.execute(f"ALTER TABLE {row['t']} DROP CONSTRAINT {row['conname']}")
    for chosen, begin, end in (
        ("a", "-infinity", "9999-12-31 23:59:59.999999+00"), ("b", None, "infinity"), ("c", "9999-12-30", "9999-12-31"),
        ("d", "0001-01-01 12:00+00", None), ("e", "2026-05-01 09:00+08", "2027-05-01 09:00+08"),
    ):  # fmt: skip
        await connection.execute(_LINK, account, chosen, begin, end)
    before = await connection.fetchval("SELECT last_value FROM short_link_change")
    await change(dsn, bounds.sql, *rows.apart, *rows.apart)
    found = {row["chosen"]: (f"{row['f']:%F %H}" if row["f"] else "", f"{row['u']:%F %H}" if row["u"] else "")
             for row in await connection.fetch(_TIMES)}  # fmt: skip
    assert found == {
        "a": ("2000-01-01 00", "2100-01-01 00"), "b": ("", "2100-01-01 00"), "c": ("2099-12-31 00", "2100-01-01 00"),
        "d": ("2000-01-01 00", ""), "e": ("2026-05-01 09", "2027-05-01 09"),
    }  # fmt: skip
    moved = await connection.fetch("SELECT chosen FROM short_link WHERE change > $1 ORDER BY chosen", before)
    assert [row["chosen"] for row in moved] == ["a", "b", "c", "d"]  # the nodes look at them again
    for begin, end in (("infinity", None), (None, "9999-12-31"), ("0001-01-01", None)):
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(_LINK, account, "f", begin, end)
    await connection.close()
