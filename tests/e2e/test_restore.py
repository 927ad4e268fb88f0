"""A database that is lost, and comes back as it was some time ago, under a node that has gone on meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from databases import change, owner
from harness import Node, Site, site, until
from tasking import reaches, upload

from smsgw.simulator import Behaviour, Delay
from smsgw.store.engine.database_roles import ADMIN

if TYPE_CHECKING:
    from conftest import PostgresServer

_names = (f"restored_{n}" for n in itertools.count())


async def some(built: Site, channel: str, n: int) -> list[str]:
    return [one.message_id for one in await built.customer.send_many(n, channel)]


async def delivered(built: Site, ids: list[str]) -> None:
    for one in ids:
        await built.customer.reaches(one, "delivered", within=60)


async def statuses(built: Site, ids: list[str]) -> Counter[str]:
    return Counter([await built.customer.status(one) for one in ids])


def told(node: Node, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in node.log_lines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


@pytest.mark.slow
async def test_nothing_is_sent_twice_by_itself(postgres: PostgresServer, data_dir: Path, tmp_path: Path) -> None:
    before, after = next(_names), next(_names)
    dsn = await postgres.make(before, postgres.template)
    again = await postgres.make(after)
    (folder := tmp_path / "backups").mkdir()
    behaviour = Behaviour(answer_delay=Delay(0.0, 0.01), report_delay=Delay(0.02, 0.1))
    try:
        async with site(data_dir, dsn=dsn, channels=["cmpp30", "smpp34"], behaviour=lambda: behaviour) as built:
            node, customer = built.node, built.customer
            known = await some(built, "cmpp30", 20)
            await delivered(built, known)
            built.carriers["smpp34"].change(answers="88")  # too fast, whatever comes
            queued = await some(built, "smpp34", 15)
            built.carriers["cmpp30"].change(lose_answers=1.0)
            claimed = await some(built, "cmpp30", 5)
            await until(lambda: built.carriers["cmpp30"].counts.accepted >= 25, what="they are out")
            table = (await upload(built, f"手机号\n{customer.number('smpp34')}\n".encode())).data["file_id"]
            made = await node.ctl("backup", "make", str(folder), "--dsn", owner(dsn), "--json")
            # The life that the backup knows nothing of.
            built.carriers["cmpp30"].change(lose_answers=0.0)
            built.carriers["smpp34"].change(answers="0")
            await delivered(built, queued)
            lost = await some(built, "smpp34", 10)
            await delivered(built, lost)
            await postgres.drop(before)
            spooled = await some(built, "smpp34", 7)
            node.kill()
            had = built.received()

            node._settings["DATABASE_DSN"] = again
            refused = await node.ctl("restore", made.data["file"], "--dsn", owner(again), check=False)
            assert refused.code == 1, "it asks, and nobody answers"
            assert "will stand as uncertain: 20 (" in refused.out
            began = time.monotonic()
            done = (await node.ctl("restore", made.data["file"], "--dsn", owner(again), "--yes", "--json")).data
            print(f"restored {done['rows']} rows in {time.monotonic() - began:.1f} s")
            assert (done["rows"], done["stuck"]) == (made.data["rows"], 0)
            assert sum(done["done"].values()) == 20
            assert done["done"]["RESTORED_CLAIMED"] >= 5

            await node.start()
            await built.bound()
            (said,) = told(node, "node.database_restored")
            assert said["spool_segments"] == 1
            assert said["lost"] <= said["messages"]
            assert (await statuses(built, known)) == {"delivered": 20}
            assert await statuses(built, queued + claimed + spooled) == {"uncertain": 27}
            assert [(await built.client.get(f"/messages/{one}")).status for one in lost] == [404] * 10
            await asyncio.sleep(2)  # whoever would send something had the time
            assert built.received() == had
            alarms = [one["kind"] for one in (await node.status())["alarms"]]
            assert alarms.count("restored_undecided") <= 1

            lines = (await node.ctl("unknown", "restored", "--json")).data
            parts = Counter({one["was"]: one["parts"] for one in lines})
            assert (parts["spooled"], parts.total()) == (7, 27)
            await node.ctl("unknown", "restored", "--was", "spooled", "--as", "resend", "--yes")
            await delivered(built, spooled)
            ended = await node.ctl("unknown", "restored", "--as", "unconfirmed", "--yes")
            assert "20 part(s): unconfirmed" in ended.out
            assert await statuses(built, queued + claimed) == {"unconfirmed": 20}
            assert (await node.ctl("unknown", "restored", "--json")).data == []
            assert set(built.received().values()) == {1}
            assert len(built.received()) == 57
            assert (await node.ctl("ledger", "check", check=False)).code == 0
            # The table that was uploaded before the backup is there, though this machine has lost it.
            shutil.rmtree(node.data_dir / "files")
            task = {"name": "有文件", "file_id": table, "content": customer.text("您好")}
            task_id = (await customer.client.surely("POST", "/tasks", task)).data["task_id"]
            assert (await reaches(built, task_id, "finished"))["counts"] == {"delivered": 1}
            assert len(built.received()) == 58
            fresh = await some(built, "cmpp30", 5)
            await delivered(built, fresh)
            await node.stop()
            await node.start()
            assert len(told(node, "node.database_restored")) == 1
            assert set(built.received().values()) == {1}
    finally:
        await postgres.drop(after)


@pytest.mark.slow
async def test_a_node_that_goes_on_running_sends_nothing(
    postgres: PostgresServer, data_dir: Path, tmp_path: Path
) -> None:
    name, draft = next(_names), next(_names)
    dsn = await postgres.make(name, postgres.template)
    (folder := tmp_path / "backups").mkdir()
    try:
        async with site(data_dir, dsn=dsn, channels=["smpp34"]) as built:
            node = built.node
            built.carriers["smpp34"].change(answers="88")  # too fast, whatever comes
            queued = await some(built, "smpp34", 15)
            made = await node.ctl("backup", "make", str(folder), "--dsn", owner(dsn), "--json")
            built.carriers["smpp34"].change(answers="0")
            await delivered(built, queued)
            refused = await node.ctl("restore", "--in-place", "--dsn", owner(dsn), "--yes", check=False)
            assert refused.code == 1
            assert "other connection(s)" in refused.err
            # Dropped, and made again under the same name; what is made so is marked before anybody finds it.
            await postgres.drop(name)
            spooled = await some(built, "smpp34", 3)
            had = built.received()
            await postgres.make(draft)
            await change(postgres.dsn(draft), "CREATE TABLE public.restoring AS SELECT '' AS token, true AS loads")
            server = await asyncpg.connect(postgres.embedded.address(ADMIN), timeout=10)
            await server.execute(f"ALTER DATABASE {draft} RENAME TO {name}")
            await server.close()
            await node.ctl("restore", made.data["file"], "--dsn", owner(dsn), "--yes")
            assert await node.ends(within=60) == 1, "it has heard that its number is not its own"
            node.log_path.unlink()  # its last line is the command's, for people
            await node.start()
            await built.bound()
            assert await statuses(built, queued + spooled) == {"uncertain": 18}
            await asyncio.sleep(2)  # whoever would send something had the time
            assert built.received() == had
            assert set(had.values()) == {1}
    finally:
        await postgres.drop(name)
