"""The command palette and favourites: what is found is what somebody may go to."""

from __future__ import annotations

import html
import re

from browsing import Browser, send
from portal_site import Site

from smsgw.admin.pages.person.favourites import MOST


async def found(browser: Browser, query: str) -> list[str]:
    page = await browser.get(f"/palette?q={query}")
    assert browser.status == 200
    return [html.unescape(path) for path in re.findall(r'role="option"[^>]* href="([^"]+)"', page)]


async def test_a_page_is_found_by_chinese_pinyin_and_english(site: Site) -> None:
    await site.add_staff("boss", "super")
    async with Browser(site) as browser:
        await browser.login("boss")
        for query in ("发送记录", "fsjl", "fasongjilu", "fa song ji", "sent mes", "FSJL"):
            assert (await found(browser, query))[0] == "/records", query
        assert "/me/security" in await found(browser, "zhaq")
        assert await found(browser, "no such page") == []
        assert await found(browser, "x" * 200) == []
        assert await found(browser, "") != []


async def test_things_are_found_by_number_within_scope(site: Site) -> None:
    await site.add_staff("clerk", "operator", "hall")
    await site.add_staff("other", "operator", "clinic")
    await site.add_staff("reviewer", "reviewer")
    id_ = await send(site)
    async with Browser(site) as browser:
        await browser.login("clerk")
        assert f"/records/{id_}" in await found(browser, str(id_))
        assert await found(browser, "13800138000") == ["/records?time=30d&phone=%2B8613800138000"]
        assert "13800138000" not in re.sub("href=\"[^\"]+\"", "", await browser.get("/palette?q=13800138000"))
        assert (await browser.get("/records?time=30d&phone=%2B8613800138000")).count('<tr data-href="/records/') == 1
        assert await found(browser, "hall") == [f"/records?time=7d&account={site.accounts['hall']}"]
        assert await found(browser, "clinic") == []
        assert not [path for path in await found(browser, "reviewer") if path.startswith("/staff")]
    async with Browser(site) as browser:
        await browser.login("other")
        assert await found(browser, str(id_)) == []
    async with Browser(site) as browser:
        await browser.login("reviewer")
        assert await found(browser, "13800138000") == []
        assert await found(browser, "hall") == []


async def test_people_are_found_by_who_may_see_them(site: Site) -> None:
    await site.add_staff("boss", "super")
    id_ = await site.add_staff("zhangsan", "operator")
    async with Browser(site) as browser:
        await browser.login("boss")
        assert f"/staff/{id_}" in await found(browser, "zhangs")


async def test_a_star_puts_a_page_on_top_of_the_menu(site: Site) -> None:
    await site.add_staff("boss", "super")
    await site.add_staff("else", "super")
    async with Browser(site) as browser:
        await browser.login("boss")
        page = await browser.get("/records")
        assert "side-favourites" not in page
        page = await browser.post("/favourites", {"key": "records.sent", "on": "1", "next": "/records"})
        assert browser.path == "/records"
        assert 'aria-pressed="true" aria-label="收藏"' in page
        top = page[page.index("side-favourites"):][:800]
        assert 'href="/records"' in top
        assert (await found(browser, ""))[0] == "/records"
        page = await browser.post("/favourites", {"key": "records.sent", "on": "", "next": "/records"})
        assert "side-favourites" not in page
        await browser.post("/favourites", {"key": "no.such", "on": "1", "next": "/"})
        assert browser.status == 404
        page = await browser.post("/favourites", {"key": "records.sent", "on": "1", "next": "//evil.example"})
        assert browser.path == "/"
    async with Browser(site) as browser:
        assert "side-favourites" not in await browser.login("else")


async def test_a_star_without_its_right_is_not_shown_and_there_is_an_end_to_them(site: Site) -> None:
    staff = await site.add_staff("clerk", "operator", "hall")
    keys = ["system.audit", "records.sent"]
    await site.db.execute(
        "INSERT INTO staff_preference VALUES ($1, 'favourites', jsonb_build_object('keys', $2::text[]))", staff, keys
    )
    async with Browser(site) as browser:
        page = await browser.login("clerk")
        top = page[page.index("side-favourites"):][:800]
        assert "/audit" not in top
        assert "/records" in top
        assert MOST <= 20
