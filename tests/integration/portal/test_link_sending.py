"""Short links in the steps of a new sending: chosen or made, counted, refused, and sent a code for each number."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest_asyncio
from browsing import Browser
from changes import by_test
from portal_site import SEALER, Site, running
from visits import addressed, boss, clerk, lacking
from wizard_steps import begun, draft_in, fields, imported, looked_at, submitted

from smsgw.core.sent_links import SAMPLE
from smsgw.platform.links import service
from smsgw.platform.links.model import LinkKind, NewLink, ShortLink

__all__ = ["boss", "clerk"]

HOST = "s.example.cn"
TARGET = "https://www.example.cn/spring"
TEXT = "本周活动请点 {link} 查看"


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        await site.add_staff("clerk", "operator", "hall")
        site.surveyor.tasks.links.hosts = (HOST,)
        yield site


async def make(site: Site, account: str = "hall") -> ShortLink:
    wanted = NewLink(site.accounts[account], "春季", TARGET, LinkKind.PERSONAL, codes=1000)
    return await service.make(by_test(site.db), SEALER, wanted, (HOST,), now=datetime.now(UTC))


async def test_a_link_is_chosen_counted_and_each_number_has_its_code(site: Site, clerk: Browser) -> None:
    link = await make(site)
    of_another = await make(site, "clinic")
    page = await clerk.get("/send")
    assert f'<option value="{link.id}"' in page
    assert f'<option value="{of_another.id}"' not in page
    given = fields(site, page, content="请点这里", link=str(link.id))
    assert "内容中还没有 {link}" in html.unescape(await clerk.post("/send", given))
    assert clerk.status == 422
    live = html.unescape(await clerk.post("/send/-/live", given | {"content": TEXT}))
    assert not lacking(live, f"{HOST}/{SAMPLE}", "只是占位")
    draft = await addressed(site, clerk, "13800138000\n13800138001", content=TEXT, link=str(link.id))
    assert "有效 2 行" in await looked_at(clerk, draft)
    await clerk.post(f"/send/{draft}/options", {"one_each": "number"})
    await clerk.post(f"/send/{draft}/time", {"when": "at", "at": "2027-01-02T09:30"})
    assert "发送任务已建立" in await submitted(clerk, draft)
    task = await site.db.fetchrow("SELECT * FROM task WHERE id = $1", await imported(site))
    assert (task["link_id"], task["content"]) == (link.id, TEXT)
    # Copied, it has the link again; edited, it keeps a place for it.
    await clerk.post(f"/tasks/{task['id']}/copy", {})
    copy = await site.db.fetchval("SELECT state FROM send_draft WHERE id = $1", draft_in(clerk.path))
    assert f'"link":"{link.id}"' in copy.replace(" ", "")
    assert HOST not in copy


async def test_the_links_are_those_of_the_account_that_is_chosen(site: Site, boss: Browser) -> None:
    link, other = await make(site), await make(site, "clinic")
    given = fields(site, await boss.get("/send"), link=str(link.id), link_target="https://a.example.cn/")
    assert f'<option value="{link.id}" selected' in await boss.post("/send/-/links", given)
    page = await boss.post("/send/-/links", given | {"account": str(site.accounts["clinic"])})
    assert f'<option value="{other.id}">' in page
    assert f'<option value="{link.id}"' not in page
    assert "https://a.example.cn/" in page, "what was typed of a new one stays"


async def test_one_is_made_on_the_way_and_waits_for_who_decides(site: Site, clerk: Browser) -> None:
    page = await clerk.get("/send")
    new = {"make_link": "1", "link_target": "ftp://nowhere", "link_kind": "personal", "link_name": "春季"}
    assert await clerk.status_of("/send", fields(site, page, content="请点", **new)) == 422
    assert await site.db.fetchval("SELECT count(*) FROM short_link") == 0
    given = fields(site, page, content="请点", **new | {"link_target": TARGET})
    made = html.unescape(await clerk.post("/send", given))
    id_ = await site.db.fetchval("SELECT id FROM short_link")
    assert re.search(rf'<option value="{id_}" selected>', made)
    assert "请点 {link} " in made
    assert "还在审核" in made
    draft = await addressed(site, clerk, content="请点 {link} ", link=str(id_))
    assert not lacking(await looked_at(clerk, draft), "审核中", "不能发送")
    assert 'name="of"' not in await looked_at(clerk, draft, "confirm"), "what is not passed cannot be sent"
    assert await site.db.fetchval("SELECT count(*) FROM task") == 0
    await service.pass_(by_test(site.db), id_, 1)
    await site.db.execute("UPDATE send_draft SET survey = NULL")
    assert "发送任务已建立" in await submitted(clerk, draft)
    await imported(site)
    assert await site.db.fetchval("SELECT link_id FROM task") == id_


async def test_a_saved_draft_makes_one_too_and_another_s_link_is_none(site: Site, boss: Browser) -> None:
    other = await make(site, "clinic")
    draft = await begun(site, boss, content="请点")
    new = {"make_link": "1", "link_target": TARGET, "link_kind": "shared", "link_name": ""}
    await boss.post(f"/send/{draft}/content", fields(site, await boss.get("/send"), content="请点", **new))
    assert boss.path == f"/send/{draft}/content"
    row = await site.db.fetchrow("SELECT * FROM short_link WHERE account_id = $1", site.accounts["hall"])
    assert (row["kind"], row["state"], row["name"], row["origin"]) == ("shared", "active", "预约提醒", "task")
    state = await site.db.fetchval("SELECT state FROM send_draft WHERE id = $1", draft)
    assert f'"link":"{row["id"]}"' in state.replace(" ", "")
    # One that no form offers.
    given = fields(site, await boss.get("/send"), content=TEXT, link=str(other.id))
    assert "不属于所选账号" in html.unescape(await boss.post("/send", given))
    assert boss.status == 422

