"""发送数据报表: what has become of a task, by carrier, province, channel and reason, equal to its messages."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest_asyncio
from aiohttp import FormData
from browsing import Browser
from portal_site import Site, by_test, running

from smsgw.core.actor import ActorLabel, ScopeKind
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission as P
from smsgw.core.states import PartState
from smsgw.core.tasks import Task
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.org import service as org
from smsgw.store.messages import tasks

NUMBERS = ("13800138000", "13800138001", "13800138002", "13000130000", "13000130001", "13300133000")


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        rights = [P.HOME_VIEW, P.TASK_VIEW, P.MESSAGE_VIEW, P.STATISTICS_EXPORT]
        await org.add_role(by_test(site.db), "clerk", "业务员", rights, ScopeKind.ACCOUNTS)
        await site.add_staff("boss", "super")
        await site.add_staff("clinic-op", "clerk", "clinic")
        yield site


async def sent(site: Site) -> int:
    """A task of a message to each number: one failed as an empty number, one is on its way, one was answered."""
    owner = site.snapshots.current.account(site.accounts["hall"])
    assert owner is not None
    items = tuple(SendItem(to=number, content="请到窗口办理") for number in NUMBERS)
    result = await site.acceptor.send(
        SendRequest(owner, items, MessageType.NOTICE, Origin.PORTAL, ActorLabel("writer"))
    )
    ids = [int(item.message_id) for item in result.items if item.message_id is not None]
    assert ids == list(range(ids[0], ids[0] + len(NUMBERS)))
    taken = {id_: (id_, part) for id_, part in await site.carrier_takes()}
    await site.carrier_reports([taken[id_] for id_ in ids[:1]], PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    await site.carrier_reports([taken[id_] for id_ in ids[1:5]])
    await site.db.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, in_reply_to, received_at) "
        "VALUES ($1, $2, $3, '8613800138001', '1069', '好', $4, now())",
        site.ids.next(), owner.id, site.channel_id, ids[1],
    )  # fmt: skip
    id_ = site.ids.next()
    task = Task(
        id_, owner.id, "窗口通知", "sent", "portal", ActorLabel("writer"), "notice", "请到窗口办理", datetime.now(UTC)
    )  # fmt: skip
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
    rows = re.findall(r"<tr[ >].*?</tr>", page.partition('id="list-rows"')[2], re.DOTALL)
    plain = [[" ".join(re.sub(r"<[^>]+>", " ", cell).split())
              for cell in re.findall(r"<t[dh][ >].*?</t[dh]>", row, re.DOTALL)] for row in rows]  # fmt: skip
    return {row[0]: row[1:] for row in plain if row}


async def made(user: Browser) -> list[dict[str, str]]:
    """Rows of the export whose page the user is on, when it is done."""
    job, deadline = user.path, time.monotonic() + 120
    while "已完成" not in (page := await user.get(job)):
        assert time.monotonic() < deadline, page
        await asyncio.sleep(0.1)
    async with user.session.post(f"{job}/link", data={"csrf": user.csrf}) as response:
        return list(csv.DictReader(io.StringIO((await response.read()).decode("utf-8-sig"))))


async def test_what_has_become_of_a_task_is_told_by_carrier_and_reason(site: Site) -> None:
    id_ = await sent(site)
    async with Browser(site) as boss:
        await boss.login("boss")
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

        await boss.post("/tasks/report/-/export", {"q": f"task={id_}", "reason": "汇报", "format": "csv"})
        rows = await made(boss)
        assert [n for name, n, *_ in map(dict.values, rows) if name in ("移动", "合计")] == ["3", "6"]
        columns = [("csrf", boss.csrf), ("columns", "number"), ("columns", "subject")]
        async with boss.session.post("/records/-/layout", data=FormData(columns)) as response:
            listed = await response.text()
        assert listed.count("窗口通知") == len(NUMBERS), "each message says what its task is called"
        await boss.post("/records/-/export", {"q": "", "reason": "汇报", "format": "csv"})
        subjects = [row["发送主题"] for row in await made(boss) if row["发送主题"]]
        assert subjects == ["窗口通知"] * len(NUMBERS)
    async with Browser(site) as other:
        await other.login("clinic-op")
        assert "移动" not in table(await other.get(f"/tasks/report?task={id_}")), "of another's account"
