"""Number prefixes on pages: the list, one more or less with its effect, and whose a number is by which rule."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from browsing import Browser, send
from portal_site import Site, by_test, running

from smsgw.core.actor import ScopeKind
from smsgw.core.permissions import Permission
from smsgw.platform.org import service as org
from smsgw.platform.routing import prefixes
from smsgw.store.config import numbers


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        rights = [Permission.HOME_VIEW, Permission.NUMBER_VIEW, Permission.NUMBER_EDIT]
        await org.add_role(by_test(site.db), "numbers", "号码", rights, ScopeKind.ACCOUNTS)
        await site.add_staff("clinic-op", "numbers", "clinic")
        yield site


async def test_one_is_set_with_its_effect_found_and_removed(site: Site) -> None:
    await send(site, to="13800138000")
    await send(site, to="13900139000")
    async with Browser(site) as boss, Browser(site) as narrow:
        await boss.login("boss")
        await narrow.login("clinic-op")
        assert "还没有更准的依据" in await boss.get("/prefixes")
        for path in ("/prefixes", "/prefixes/imports"):
            page = await narrow.get(path)
            assert ("/-/set" in page, "/-/import" in page) == (False, False), "nothing leads where they may not go"
        assert "/-/look-up" in await narrow.get("/prefixes")
        await boss.get("/prefixes/-/set")
        form = {"prefix_digits": "1380013", "carrier": "CUCC", "province": "广东"}
        page = await boss.post("/prefixes/-/set", form)
        assert "有 1 条发往这些号码" in page
        assert "其中 1 条当时按其他运营商发送" in page
        await boss.post("/prefixes/-/set", form | {"confirmed": "1"})
        assert "1380013" in await boss.get("/prefixes")
        page = await boss.post("/prefixes/-/set", form | {"carrier": "CTCC"})
        assert "现在按联通处理，此后改按电信" in page
        for wrong in ("12", "23800138", "138001380001"):
            await boss.post("/prefixes/-/set", form | {"prefix_digits": wrong})
            assert boss.status == 422, wrong
        await narrow.get("/prefixes/-/set")
        assert narrow.status == 403, "they are everybody's"
        await boss.post("/prefixes/-/set", form | {"province": "Guangdong", "confirmed": "1"})
        assert await site.db.fetchval("SELECT province FROM number_override") == "广东", "as routes ask for it"
        await boss.post("/language", {"language": "en", "next": "/"})
        page = await boss.get("/prefixes")
        assert ("Guangdong" in page, "广东" in page) == (True, False)
        await boss.post("/language", {"language": "zh", "next": "/"})
        id_ = await site.db.fetchval("SELECT id FROM number_override")
        await boss.post("/prefixes/-/do/remove", {"id": str(id_)})
        assert await site.db.fetchval("SELECT count(*) FROM number_override") == 0
    said = [row["action"] for row in await site.db.fetch("SELECT action FROM audit WHERE action LIKE 'number.%'")]
    assert said == ["number.set", "number.set", "number.remove"]


async def test_a_number_says_by_which_rule_it_is_whose(site: Site) -> None:
    await prefixes.put(by_test(site.db), "1391", "CTCC", "北京")
    async with site.db.transaction() as connection:
        await numbers.learn(connection, "13800138000", "CUCC", "NP:1243")
    async with Browser(site) as boss:
        await boss.login("boss")
        page = await boss.get("/prefixes")
        assert "13800138000" not in page, "masked in the list"
        for beginning, found in (("138", True), ("1380013", False), ("13800138000", False)):
            page = await boss.get(f"/prefixes?beginning={beginning}")
            assert ("138****8000" in page) == found, "nobody tries out what is hidden"
        assert "1391" in await boss.get("/prefixes?beginning=1391")
        await boss.get("/prefixes/-/look-up")
        for number, *texts in (
            ("13800138000", "携号转网", "联通", "NP:1243", "号段表原为移动", 'href="/prefixes/'),
            ("13911139000", "依据号段 1391 的记录", "电信", "北京"),
            ("13800138001", "依据七位号段表", "移动"),
            ("+447700900123", "境外号码"),
        ):
            page = await boss.post("/prefixes/-/look-up", {"number": number})
            assert boss.path == "/prefixes/-/look-up"
            for text in texts:
                assert text in page, (number, text)
        await boss.post("/prefixes/-/look-up", {"number": "abc"})
        assert boss.status == 422
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'prefixes.look_up'") >= 3


TABLE = "手机号段,携入运营商,省份\n1380013,联通,北京\n13900139000,CTCC,\n1380013,移动,天津\n"


async def brought(browser: Browser, octets: bytes) -> str:
    """The page of the columns of an uploaded table, as they are guessed: what would change, or what is wrong."""
    await browser.get("/prefixes/-/import")
    form = aiohttp.FormData()
    form.add_field("csrf", browser.csrf)
    form.add_field("file", io.BytesIO(octets), filename="ported.csv")
    async with browser.session.post("/prefixes/-/import", data=form) as response:
        page = await browser._read(response)
    if browser.status != 200:
        return page
    return await browser.post(browser.path, GUESSED)


GUESSED = {"column_prefix": "0", "column_carrier": "1", "column_province": "2"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk"])
async def test_a_file_is_brought_in_with_its_difference_and_taken_back(site: Site, encoding: str) -> None:
    await send(site, to="13800138000")
    await prefixes.put(by_test(site.db), "1380013", "CTCC", "上海")
    async with Browser(site) as boss, Browser(site) as narrow:
        await narrow.login("clinic-op")
        await narrow.get("/prefixes/-/import")
        assert narrow.status == 403, "they are everybody's"
        await boss.login("boss")
        assert "还没有导入过文件" in await boss.get("/prefixes/imports")
        assert "文件中没有数据" in await brought(boss, TABLE.partition("\n")[0].encode(encoding)), "its head alone"
        assert boss.status == 422
        page = await brought(boss, TABLE.encode(encoding))
        for text in ("有 2 个号段与号码", "新增 1 个", "改变 1 个", "有 1 条发往这些号码"):
            assert text in page, text
        assert await site.db.fetchval("SELECT count(*) FROM number_override") == 1, "only told"
        await boss.post(boss.path, GUESSED | {"confirmed": "1"})
        page = await boss.job_done(boss.path)
        assert "新增 1 个，改变 1 个，0 个不变" in page
        assert 'href="/prefixes/imports"' in page
        entry = await prefixes.of(site.db, "1380013")
        assert entry is not None
        assert (entry.carrier, entry.province) == ("CMCC", "天津"), "the last of two counts"
        page = await boss.get("/prefixes/imports")
        assert "ported.csv" in page
        assert "生效中" in page
        id_ = await site.db.fetchval("SELECT max(id) FROM number_import")
        await prefixes.put(by_test(site.db), "13900139000", "CUCC")
        page = await boss.post("/prefixes/imports/-/effect/back", {"id": str(id_)})
        assert "将恢复 1 个" in page
        assert "1 个此后又被改过" in page
        await boss.post("/prefixes/imports/-/do/back", {"id": str(id_)})
        assert "已撤销" in await boss.get("/prefixes/imports")
        page = await boss.post("/prefixes/imports/-/effect/back", {"id": str(id_)})
        assert "已经撤销" in page
    entry = await prefixes.of(site.db, "1380013")
    assert entry is not None
    assert (entry.carrier, entry.province) == ("CTCC", "上海")
    said = [row["action"] for row in await site.db.fetch("SELECT action FROM audit ORDER BY id")]
    assert [one for one in said if one.startswith(("number.import", "prefix.import"))] == [
        "prefix.import", "number.import", "number.import_undo",
    ]  # fmt: skip


async def test_a_file_with_other_lines_changes_nothing_and_names_them(site: Site) -> None:
    async with Browser(site) as boss:
        await boss.login("boss")
        lines = ("号段,运营商,省", "1380013,联通,北京", "联通,1380014,", "12,移动,", "13800138000,某某,")
        page = await brought(boss, "\n".join(lines).encode())
        assert boss.status == 422
        assert "3 (联通 1380014)" in page
        assert "4 (12 移动)" in page
        assert "5 (138****8000 某某)" in page
        await boss.post(boss.path, {"column_prefix": "0"})
        assert boss.status == 422, "without a carrier"
        await boss.post(boss.path, GUESSED | {"confirmed": "1"})
        assert "号段" in await boss.job_done(boss.path)
        await brought(boss, b"\x00\x01\x02\xff" * 100)
        assert boss.status == 422
        page = await brought(boss, "号段,运营商\n1380013,移动\n".encode())
        assert boss.status == 422, "there is no third column"
    assert await site.db.fetchval("SELECT count(*) FROM number_override") == 0
    assert await site.db.fetchval("SELECT count(*) FROM number_import") == 0
