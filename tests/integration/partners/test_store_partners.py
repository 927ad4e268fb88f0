"""Addresses that partners log in from: what one node notes, the others read."""

from __future__ import annotations

import secrets

import pytest
from changes import by_test

from smsgw.platform.accounts import service as accounts
from smsgw.platform.partners import service as partners
from smsgw.store.config import partners as partners_store
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer


async def test_addresses_are_noted_read_and_limited(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partners_store, "ADDRESSES_OF_ONE", 3)
    database = Database(dsn)
    await database.open()
    try:
        account_id = await accounts.add(by_test(database), "acme")
        sealer = Sealer(secrets.token_bytes(32))
        one, other = [
            await partners.add(by_test(database), sealer, account_id, "smpp", name, "secret12", {})
            for name in ("shop", "till")
        ]
        assert await partners_store.noted_addresses(database, None) == []
        await partners_store.note_addresses(
            database, [(one, "10.0.0.1"), (other, "10.0.0.1"), (999, "10.0.0.9")]
        )
        first = await partners_store.noted_addresses(database, None)
        assert sorted((r["partner_id"], r["network"]) for r in first) == [
            (one, "10.0.0.1"),
            (other, "10.0.0.1"),
        ]
        last = first[-1]["noted_at"]
        for n in range(2, 5):
            await partners_store.note_addresses(database, [(one, f"10.0.0.{n}")])
        await partners_store.note_addresses(database, [(one, "10.0.0.2")])
        newer = [r["network"] for r in await partners_store.noted_addresses(database, last)]
        assert newer == ["10.0.0.3", "10.0.0.4", "10.0.0.2"], (
            "in the order of the last login; the oldest has gone"
        )
        await database.execute("UPDATE partner_address SET noted_at = noted_at - interval '31 days'")
        assert await partners_store.noted_addresses(database, None) == []
        await partners_store.note_addresses(database, [(one, "10.0.0.8")])
        assert await database.fetchval("SELECT count(*) FROM partner_address") == 1, "and what is old goes"
        await partners.remove(by_test(database), "shop", None)
        assert await database.fetchval("SELECT count(*) FROM partner_address") == 0
    finally:
        await database.close()


async def test_connects_are_noted_once_read_by_other_nodes_and_forgotten(dsn: str) -> None:
    database = Database(dsn)
    await database.open()
    try:
        account_id = await accounts.add(by_test(database), "acme")
        sealer = Sealer(secrets.token_bytes(32))
        one = await partners.add(
            by_test(database), sealer, account_id, "cmpp", "900100", "secret12", {"any_clock": True}
        )
        (stored,) = await partners_store.load_partners(database, sealer)
        assert stored.any_clock
        await partners_store.note_connects(database, [(one, 1125120000), (999, 1125120000)])
        (first,) = await partners_store.noted_connects(database, None)
        assert (first["partner_id"], first["stamp"]) == (one, 1125120000)
        await partners_store.note_connects(database, [(one, 1125120000), (one, 4294967295)])
        (newer,) = await partners_store.noted_connects(database, first["noted_at"])
        assert newer["stamp"] == 4294967295, "what was noted keeps its time"
        await database.execute("UPDATE partner_connect SET noted_at = noted_at - interval '49 hours'")
        assert await partners_store.noted_connects(database, None) == []
        await partners_store.note_connects(database, [(one, 1)])
        assert await database.fetchval("SELECT count(*) FROM partner_connect") == 1
    finally:
        await database.close()
