"""Carriers' codes on a page: what they mean, how often they come, and saying otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import send
from portal_site import Site, by_test, running
from visits import lacking, signed_in

from smsgw.admin.pages.routing import codes
from smsgw.core.actor import ScopeKind
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.exclusions import service as exclusions
from smsgw.platform.exclusions.model import Draft
from smsgw.platform.org import service as org
from smsgw.platform.routing import codebook, queries


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        rights = [Permission.HOME_VIEW, Permission.CODE_VIEW, Permission.CODE_EDIT, Permission.MESSAGE_VIEW]
        await org.add_role(by_test(site.db), "coder", "码", rights, ScopeKind.ACCOUNTS)
        await site.add_staff("clinic-op", "coder", "clinic")
        yield site


async def failed(site: Site, code: str, account: str = "hall") -> None:
    """One more message that has failed with a code."""
    await send(site, account, to="13800138000")
    await site.db.execute(
        "UPDATE part SET state = 41, code = $1, class = 'UNKNOWN', final_at = now()"
        " WHERE id = (SELECT max(id) FROM part)", code,
    )  # fmt: skip


async def test_codes_are_shown_and_given_a_meaning_though_they_cannot_be_counted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await failed(site, "XX:77")
    monkeypatch.setattr(codebook, "_SEEN", codebook._SEEN.replace("WHERE ", "WHERE pg_sleep(30) IS NOT NULL AND ", 1))
    monkeypatch.setattr(codebook, "PATIENCE", 0.3)
    async with signed_in(site, "boss") as boss:
        page = await boss.get("/codes")
        assert (boss.status, "尚未统计完" in page, "MK:0001" in page) == (200, True, True)
        form = {"code": "xx:77", "source": "report", "channel": "", "class": "SUSPENDED", "fault": "permanent"}
        page = await boss.post("/codes/-/set", form)
        assert (boss.status, "暂时统计不出" in page) == (200, True)
        await boss.post("/codes/-/set", form | {"confirmed": "1"})
        assert len(await queries.code_classes(site.db)) == 1


async def test_each_look_counts_some_more_days_until_all_are_known(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await failed(site, "XX:77")
    slow = codebook._SEEN.replace("WHERE ", "WHERE (SELECT pg_sleep(0.2)) IS NOT NULL AND ", 1)
    monkeypatch.setattr(codebook, "_SEEN", slow)
    monkeypatch.setattr(codes, "PATIENCE", 0.5)
    async with signed_in(site, "boss") as boss:
        page = await boss.get("/codes?q=XX:77")
        assert "尚未统计完" in page, "seven days take longer than a look"
        for _ in range(60):
            page = await boss.get("/codes?q=XX:77")
            if "尚未统计完" not in page:
                break
        assert "尚未统计完" not in page
        assert "/records?time=7d&amp;code=XX%3A77" in page


async def test_a_code_is_found_with_its_figures_and_given_a_meaning(site: Site) -> None:
    for code in ("XX:77", "XX:77", "MK:0001"):
        await failed(site, code)
    await failed(site, "XX:77", "clinic")
    today = datetime.now(CHINA).date()
    await exclusions.add(by_test(site.db), Draft(today, "约定", {"EMPTY_NUMBER": "handset"}, {}))
    async with signed_in(site, "boss") as boss, signed_in(site, "clinic-op") as some:
        assert not lacking(await boss.get("/codes?show=seen"), 'href="/records?time=7d&amp;code=XX%3A77">3</a>',
                           'href="/records?time=7d&amp;code=MK%3A0001">1</a>', "剔除：手机用户自身问题",
                           "号码不存在：请从名单中删除。")  # fmt: skip
        page = await some.get("/codes?q=xx:77")
        assert "XX%3A77\">1</a>" in page, "of its own accounts"
        assert "/codes/-/set" not in page
        assert await some.status_of("/codes/-/set") == 403
        assert 'value="XX:77"' in await boss.get("/codes/-/set?code=XX:77&source=report&channel=")
        form = {"code": "xx:77", "source": "report", "channel": "", "class": "SUSPENDED", "fault": "permanent"}
        assert "只有携号转网的码" in await boss.refusal("/codes/-/set", form | {"carrier": "CMCC"})
        assert "最近 7 天有 3 条短信因此码失败" in await boss.post("/codes/-/set", form)
        await boss.post("/codes/-/set", form | {"confirmed": "1"})
        (row,) = await queries.code_classes(site.db)
        assert (row["code"], row["class"], row["channel"]) == ("XX:77", "SUSPENDED", None)
        await site.snapshots.follow()
        assert not lacking(await boss.get("/codes?show=own"), "人工说明", "XX:77")
        named = {"code": "XX:77", "source": "report", "channel": "", "confirmed": "1"}
        await boss.post("/codes/-/reset", named)
        assert await queries.code_classes(site.db) == []
        assert "没有符合条件的码" in await boss.get("/codes?q=nothing-like-it")
