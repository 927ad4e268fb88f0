"""The audit log of a running node: the key is changed, the log is cut, and both show as what they are."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import databases
from harness import alarmed, site, until


async def test_a_key_is_rotated_while_running_and_a_cut_log_is_found(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built:
        node = built.node
        await node.ctl("key-file", "rotate")
        shown = (await node.ctl("key-file", "show", "--json")).data
        assert (len(shown["keys"]), shown["under_old_keys"], shown["stuck"]) == (2, 0, [])
        await node.ctl("account", "set", "acme", "rate=500")  # the node reads all secrets again
        sent = await built.customer.send("cmpp30")
        await built.customer.reaches(sent.message_id, "delivered")

        async def sound() -> bool:
            report = (await node.ctl("audit", "verify", "--json")).data
            return report["open"] == 0 and report["rows"] > 5 and report["anchors"] > 0

        await until(sound, what="all rows are in the chain")
        connection = await asyncpg.connect(databases.admin(dsn))
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL session_replication_role = replica")
                await connection.execute(
                    "DELETE FROM audit WHERE id IN (SELECT id FROM audit_link ORDER BY seq DESC LIMIT 2)"
                )
                await connection.execute(
                    "DELETE FROM audit_link WHERE seq IN (SELECT seq FROM audit_link ORDER BY seq DESC LIMIT 2)"
                )
        finally:
            await connection.close()
        found = await node.ctl("audit", "verify", check=False)
        assert found.code == 1
        assert "were anchored and are not in the chain" in found.out
        await until(lambda: alarmed(node, "audit_changed"), what="the alarm")
