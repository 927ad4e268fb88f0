"""Schema 33 on what was there before: who pushes goes on pushing, and keys lose no right that they have used."""

from __future__ import annotations

from changes import by_test
from databases import change

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
    granted = {
        account.id: list(account.webhook_networks) for account in await accounts_store.load_accounts(database)
    }
    assert granted == {shop: networks("0.0.0.0/0,::/0"), bank: []}
