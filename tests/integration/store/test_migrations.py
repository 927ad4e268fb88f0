"""Migrations on what was there before: what they convert, and what they leave alone."""

from __future__ import annotations

import asyncpg
import pytest
from changes import by_test
from databases import change, owner

from smsgw.core.accounts import networks
from smsgw.core.webhooks import Reach
from smsgw.platform.accounts import service as accounts
from smsgw.platform.keys import service as keys
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.store.config import accounts as accounts_store
from smsgw.store.engine.database import Database
from smsgw.store.engine.migrate import migrations
from smsgw.store.engine.secrets import Sealer


async def test_rights_that_were_used_are_kept(database: Database) -> None:
    """Schema 33: who pushes goes on pushing, and keys lose no right that they have used."""
    sealer = Sealer(bytes(32))
    shop = await accounts.add(by_test(database), "shop")
    bank = await accounts.add(by_test(database), "bank")
    made = {
        name: (await keys.add(by_test(database), sealer, shop, scopes=("send", scope))).key_id
        for name, scope in (("pushed", "report"), ("way", "report"), ("read", "report"), ("sends", "balance"))
    }
    await webhooks.put(
        by_test(database, actor=made["pushed"]), sealer, shop, Wanted("main", "https://example.org/"), Reach()
    )
    await webhooks.edit_setting(by_test(database, actor=made["way"]), shop, way="pull")
    (migration,) = (m for m in migrations() if m.number == 33)
    undo = ("DROP TRIGGER config_moved ON account", "ALTER TABLE account DROP COLUMN webhook_networks")
    await change(database.dsn, *undo, migration.sql)
    found = {row["key_id"]: set(row["scopes"]) for row in await database.fetch("SELECT * FROM api_key")}
    assert {name: "webhook" in found[id_] for name, id_ in made.items()} == {
        "pushed": True, "way": True, "read": False, "sends": False,
    }  # fmt: skip
    granted = {account.id: list(account.webhook_networks) for account in await accounts_store.load_accounts(database)}
    assert granted == {shop: networks("0.0.0.0/0,::/0"), bank: []}


_RULE = """
INSERT INTO retry_rule (fault, type, how, tries, deadline_s, first_s, most_s) VALUES ($1, $2, $3, $4, 0, $5, $6)
"""


async def test_rules_of_retries_without_an_end_get_a_pause(dsn: str) -> None:
    """Schema 149."""
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


async def test_times_of_before_are_brought_in(dsn: str, database: Database) -> None:
    """Schemas 271 and 272: times beyond all bounds are brought in, and none gets in any more."""
    account = await accounts.add(by_test(database), "shop")
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
