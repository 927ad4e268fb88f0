"""Number prefixes on pages: the list, one more or less with its effect, and whose a number is by which rule."""

from __future__ import annotations

import pytest
import pytest_asyncio
from browsing import Browser, send, shows
from portal_site import Site, by_test
from visits import actions, add_role, all_signed_in, signed_in

from smsgw.core.permissions import Permission
from smsgw.platform.routing import prefixes
from smsgw.store.config import numbers

pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "numbers", [Permission.NUMBER_VIEW, Permission.NUMBER_EDIT], people={"clinic-op": "clinic"})
    return site


async def test_one_is_set_with_its_effect_found_and_removed(site: Site) -> None:
    await send(site, to="13800138000")
    await send(site, to="13900139000")
    async with all_signed_in(site, "boss", "clinic-op") as (boss, narrow):
        assert "还没有更准的依据" in await boss.get("/prefixes")
        for path in ("/prefixes", "/prefixes/imports"):
            page = await narrow.get(path)
            assert ("/-/set" in page, "/-/import" in page) == (False, False), "nothing leads where they may not go"
        assert "/-/look-up" in await narrow.get("/prefixes")
        form = {"prefix_digits": "1380013", "carrier": "CUCC", "province": "广东"}
        await boss.confirms("/prefixes/-/set", form, "有 1 条发往这些号码", "其中 1 条当时按其他运营商发送")
        assert "1380013" in await boss.get("/prefixes")
        assert "现在按联通处理，此后改按电信" in await boss.post("/prefixes/-/set", form | {"carrier": "CTCC"})
        for wrong in ("12", "23800138", "138001380001"):
            assert await boss.status_of("/prefixes/-/set", form | {"prefix_digits": wrong}) == 422, wrong
        assert await narrow.status_of("/prefixes/-/set") == 403, "they are everybody's"
        await boss.post("/prefixes/-/set", form | {"province": "Guangdong", "confirmed": "1"})
        assert await site.db.fetchval("SELECT province FROM number_override") == "广东", "as routes ask for it"
        await boss.post("/language", {"language": "en", "next": "/"})
        page = await boss.get("/prefixes")
        assert ("Guangdong" in page, "广东" in page) == (True, False)
        await boss.post("/language", {"language": "zh", "next": "/"})
        id_ = await site.db.fetchval("SELECT id FROM number_override")
        await boss.post("/prefixes/-/do/remove", {"id": str(id_)})
        assert await site.db.fetchval("SELECT count(*) FROM number_override") == 0
    assert await actions(site, "number.") == ["number.set", "number.set", "number.remove"]


async def test_a_number_says_by_which_rule_it_is_whose(site: Site) -> None:
    await prefixes.put(by_test(site.db), "1391", "CTCC", "北京")
    async with site.db.transaction() as connection:
        await numbers.learn(connection, "13800138000", "CUCC", "NP:1243")
    async with signed_in(site, "boss") as boss:
        assert "13800138000" not in await boss.get("/prefixes"), "masked in the list"
        for beginning, found in (("138", True), ("1380013", False), ("13800138000", False)):
            page = await boss.get(f"/prefixes?beginning={beginning}")
            assert ("138****8000" in page) == found, "nobody tries out what is hidden"
        assert "1391" in await boss.get("/prefixes?beginning=1391")
        for number, *texts in (("13800138000", "携号转网", "联通", "NP:1243", "号段表原为移动", 'href="/prefixes/'),
                               ("13911139000", "依据号段 1391 的记录", "电信", "北京"),
                               ("13800138001", "依据七位号段表", "移动"), ("+447700900123", "境外号码")):  # fmt: skip
            page = await boss.post("/prefixes/-/look-up", {"number": number})
            assert boss.path == "/prefixes/-/look-up"
            for text in texts:
                assert text in page, (number, text)
        await boss.refused("/prefixes/-/look-up", {"number": "abc"})
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'prefixes.look_up'") >= 3


TABLE = "手机号段,携入运营商,省份\n1380013,联通,北京\n13900139000,CTCC,\n1380013,移动,天津\n"


async def brought(browser: Browser, octets: bytes) -> str:
    """The page of the columns of an uploaded table, as they are guessed: what would change, or what is wrong."""
    page = await browser.send_file("/prefixes/-/import", octets, "ported.csv")
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
        assert await narrow.status_of("/prefixes/-/import") == 403, "they are everybody's"
        await boss.login("boss")
        assert "还没有导入过文件" in await boss.get("/prefixes/imports")
        assert "文件中没有数据" in await brought(boss, TABLE.partition("\n")[0].encode(encoding)), "its head alone"
        assert boss.status == 422
        page = await brought(boss, TABLE.encode(encoding))
        shows(page, "有 2 个号段与号码", "新增 1 个", "改变 1 个", "有 1 条发往这些号码")
        assert await site.db.fetchval("SELECT count(*) FROM number_override") == 1, "only told"
        await boss.post(boss.path, GUESSED | {"confirmed": "1"})
        shows(await boss.job_done(boss.path), "新增 1 个，改变 1 个，0 个不变", 'href="/prefixes/imports"')
        entry = await prefixes.of(site.db, "1380013")
        assert (entry.carrier, entry.province) == ("CMCC", "天津"), "the last of two counts"
        shows(await boss.get("/prefixes/imports"), "ported.csv", "生效中")
        id_ = await site.db.fetchval("SELECT max(id) FROM number_import")
        await prefixes.put(by_test(site.db), "13900139000", "CUCC")
        shows(await boss.post("/prefixes/imports/-/effect/back", {"id": str(id_)}), "将恢复 1 个", "1 个此后又被改过")
        await boss.post("/prefixes/imports/-/do/back", {"id": str(id_)})
        assert "已撤销" in await boss.get("/prefixes/imports")
        assert "已经撤销" in await boss.post("/prefixes/imports/-/effect/back", {"id": str(id_)})
    entry = await prefixes.of(site.db, "1380013")
    assert (entry.carrier, entry.province) == ("CTCC", "上海")
    said = [row["action"] for row in await site.db.fetch("SELECT action FROM audit ORDER BY id")]
    assert [one for one in said if one.startswith(("number.import", "prefix.import"))] == [
        "prefix.import", "number.import", "number.import_undo",
    ]  # fmt: skip


async def test_a_file_with_other_lines_changes_nothing_and_names_them(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        lines = ("号段,运营商,省", "1380013,联通,北京", "联通,1380014,", "12,移动,", "13800138000,某某,")
        page = await brought(boss, "\n".join(lines).encode())
        assert boss.status == 422
        shows(page, "3 (联通 1380014)", "4 (12 移动)", "5 (138****8000 某某)")
        assert await boss.status_of(boss.path, {"column_prefix": "0"}) == 422, "without a carrier"
        await boss.post(boss.path, GUESSED | {"confirmed": "1"})
        assert "号段" in await boss.job_done(boss.path)
        await brought(boss, b"\x00\x01\x02\xff" * 100)
        assert boss.status == 422
        page = await brought(boss, "号段,运营商\n1380013,移动\n".encode())
        assert boss.status == 422, "there is no third column"
    assert await site.db.fetchval("SELECT count(*) FROM number_override") == 0
    assert await site.db.fetchval("SELECT count(*) FROM number_import") == 0
