"""发送数据报表: what has become of a task, by carrier, province, channel and reason, equal to its messages."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html import unescape

import pytest
from portal_site import Site
from visits import signed_in, submitted, table_rows, taken_away

from smsgw.core.actor import ActorLabel
from smsgw.core.model import Origin
from smsgw.core.states import PartState
from smsgw.core.tasks import Task
from smsgw.store.messages import tasks

NUMBERS = ("13800138000", "13800138001", "13800138002", "13000130000", "13000130001", "13300133000")
pytestmark = pytest.mark.staff(boss="super")


async def sent(site: Site) -> int:
    """A task of a message to each number: one failed as an empty number, one is on its way, one was answered."""
    hall = site.accounts["hall"]
    ids = await submitted(site, "hall", *NUMBERS, content="请到窗口办理", origin=Origin.PORTAL, by="writer")
    assert ids == list(range(ids[0], ids[0] + len(NUMBERS)))
    taken = {id_: (id_, part) for id_, part in await site.carrier_takes()}
    await site.carrier_reports([taken[id_] for id_ in ids[:1]], PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    await site.carrier_reports([taken[id_] for id_ in ids[1:5]])
    await site.db.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, in_reply_to, received_at) "
        "VALUES ($1, $2, $3, '8613800138001', '1069', '好', $4, now())",
        site.ids.next(), hall, site.channel_id, ids[1],
    )  # fmt: skip
    id_ = site.ids.next()
    task = Task(id_, hall, "窗口通知", "sent", "portal", ActorLabel("writer"), "notice", "请到窗口办理",
                datetime.now(UTC))  # fmt: skip
    async with site.db.transaction() as connection:
        assert await tasks.insert(connection, task)
        await connection.execute(
            "INSERT INTO task_chunk (task_id, run, first, size, base_id) VALUES ($1, 1, 1, $2, $3)",
            id_, len(ids), ids[0],
        )  # fmt: skip
        await connection.execute("UPDATE task SET run = 1, valid = $2, fed = $2 WHERE id = $1", id_, len(ids))
    return id_


def table(page: str) -> dict[str, list[str]]:
    """Rows of the list by their first cell, and those at its foot."""
    return {row[0]: row[1:] for row in table_rows(page)}


async def test_what_has_become_of_a_task_is_told_by_carrier_and_reason(site: Site) -> None:
    id_ = await sent(site)
    async with signed_in(site, "boss") as boss:
        assert f"/tasks/report?task={id_}" in await boss.get(f"/tasks/{id_}")
        page = await boss.get(f"/tasks/report?task={id_}")
        found = table(page)
        assert found["移动"] == ["3", "2", "1", "0", "0", "0", "66.67%", "1"]
        assert found["联通"] == ["2", "2", "0", "0", "0", "0", "100.00%", "0"]
        assert found["电信"] == ["1", "0", "0", "0", "0", "1", "—", "0"]
        assert found["合计"] == ["6", "4", "1", "0", "0", "1", "80.00%", "1"]
        links = map(unescape, re.findall(r'href="(/records\?[^"]*)"', page))
        (to,) = {link for link in links if "CMCC" in link and "failed" in link}
        assert "13800138000"[-4:] in await boss.get(to), "exactly those"
        options = json.loads(unescape(re.findall(r'data-options="([^"]*)"', page)[0]))
        drawn = {one["name"]: sum(one["data"]) for one in options["series"]}
        assert (drawn["成功"], drawn["失败"], drawn["待结果"]) == (4, 1, 1)

        found = table(await boss.get(f"/tasks/report?task={id_}&group=reason"))
        assert found["空号"] == ["1", "0", "0"], "none that has arrived is among them: submitted says nothing"
        assert found["合计"][0] == "1"
        found = table(await boss.get(f"/tasks/report?task={id_}&group=channel"))
        assert [row[0] for name, row in found.items() if name not in ("通道", "合计")] == ["6"]
        places = table(await boss.get(f"/tasks/report?task={id_}&group=province"))
        assert sum(int(row[0]) for name, row in places.items() if name not in ("归属地", "合计")) == 6

        rows = await taken_away(boss, "/tasks/report", f"task={id_}")
        assert [row[1] for row in rows if row[0] in ("移动", "合计")] == ["3", "6"]
        listed = await boss.post("/records/-/layout", [("columns", "number"), ("columns", "subject")])
        assert listed.count("窗口通知") == len(NUMBERS), "each message says what its task is called"
        rows = await taken_away(boss, "/records", "")
        assert [row[-1] for row in rows].count("窗口通知") == len(NUMBERS)
