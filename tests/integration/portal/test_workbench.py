"""The first page: each number is that of its rows, the order is the role's, and without news nothing is sent."""

from __future__ import annotations

import html
import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from browsing import Browser, send
from page_costs import watched
from portal_site import Site, running
from visits import signed_in

from smsgw.admin.pages.home import workbench
from smsgw.core.ids import CHINA
from smsgw.core.states import PartState
from smsgw.platform.accounts import queries as accounts
from smsgw.runtime import clock

pytestmark = pytest.mark.staff(boss="super")


async def traffic(site: Site) -> None:
    """Three that arrive, two to nobody's number, one that is switched off, one on its way."""
    for n in range(7):
        await send(site, to=f"1380013800{n}")
    taken = await site.carrier_takes()
    await site.carrier_reports(taken[:3])
    await site.carrier_reports(taken[3:5], PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    await site.carrier_reports(taken[5:6], PartState.UNDELIVERABLE, "MK:0005", "POWERED_OFF")


def told(page: str) -> list[tuple[str, int]]:
    """Addresses of records and people with the number that leads there."""
    link = r'<a[^>]* href="(/(?:records|staff)\?[^"]*)">'
    found = re.findall(link + r"(?:(?!</a>).)*?<(?:b|strong)[^>]*>([\d,]+)", page, re.S)
    found += re.findall(link + r"[^<]*</a><b[^>]*>([\d,]+)", page)
    return [(html.unescape(address), int(number.replace(",", ""))) for address, number in found]


async def test_every_number_is_that_of_its_rows(site: Site) -> None:
    await site.add_staff("gone", "operator")
    await site.db.execute("UPDATE staff SET status = 'stopped' WHERE login = 'gone'")
    await traffic(site)
    async with Browser(site) as browser:
        page = await browser.login("boss")
        numbers = told(page)
        for address, number in numbers:
            rows = await browser.get(address)
            shown = len(re.findall(r'<tr[^>]* data-(?:href|open)=', rows))
            assert shown == number, address
    assert {address: n for address, n in numbers if "reason" in address} == {
        "/records?time=today&status=failed&reason=EMPTY_NUMBER": 2,
        "/records?time=today&status=failed&reason=POWERED_OFF": 1,
    }
    by_address = dict(numbers)
    assert by_address["/records?time=today"] == 7
    assert by_address["/records?time=today&status=failed"] == 3
    assert by_address["/staff?status=stopped"] == 1


@pytest.mark.parametrize(
    ("role", "first"),
    [("operator", "traffic"), ("ops", "channels"), ("auditor", "audit"), ("secadmin", "security"),
     ("sysadmin", "people"), ("finance", "runway"), ("reviewer", "review")],
)  # fmt: skip
async def test_the_first_card_is_what_the_role_is_there_for(site: Site, role: str, first: str) -> None:
    await site.add_staff("one", role, "hall")
    async with Browser(site) as browser:
        page = await browser.login("one")
        cards = re.findall(r'id="(\w+)-title"', page)
        assert cards[0] == first
        assert len(cards) == len(set(cards))


async def test_nothing_new_is_nothing_sent_and_what_is_new_comes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbench, "EVERY", 0.0)
    await traffic(site)
    async with signed_in(site, "boss") as browser:
        await browser.get("/home/live")
        for _ in range(3):
            known = {"X-Have": browser.headers["X-Piece"]}
            if not await browser.get("/home/live", headers=known):
                break
        else:
            pytest.fail("it changes every time")
        assert browser.status == 204
        await send(site, to="13800138009")
        assert 'data-metric="accepted">8<' in await browser.get("/home/live", headers=known)


async def test_it_is_found_out_once_for_all_who_see_the_same(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbench, "EVERY", 60.0)
    with watched() as costs:
        async with running(dsn, tmp_path) as site:
            for login in ("one", "two"):
                await site.add_staff(login, "super")
            await site.add_staff("hall", "operator", "hall")
            await site.add_staff("clinic", "operator", "clinic")
            await traffic(site)
            async with Browser(site) as one, Browser(site) as two, Browser(site) as hall, Browser(site) as clinic:
                for browser, login in ((one, "one"), (two, "two"), (hall, "hall"), (clinic, "clinic")):
                    await browser.login(login)
                first = await one.get("/home/live")
                costs.clear()
                assert await two.get("/home/live") == first
                assert await one.status_of("/home/live", headers={"X-Have": two.headers["X-Piece"]}) == 204
                assert sum(cost.statements for cost in costs) <= 4, "those of their sessions"
                assert 'data-metric="accepted">7<' in await hall.get("/home/live")
                assert 'data-metric="accepted">0<' in await clinic.get("/home/live")


async def test_what_could_not_be_found_out_anew_is_called_old(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with signed_in(site, "boss") as browser:
        assert "数据库应答慢" not in await browser.get("/home/live")
        now = clock.now() + timedelta(seconds=workbench.OLD + 1)
        monkeypatch.setattr(clock, "now", lambda: now)
        assert "数据库应答慢" in await browser.get("/home/live")


async def test_the_piece_does_not_change_by_the_clock(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour that goes by with nothing in it changes what is compared, not a minute that goes by."""
    await traffic(site)
    start = clock.now().astimezone(CHINA).replace(minute=10, second=0)
    async with signed_in(site, "boss") as browser:
        monkeypatch.setattr(clock, "now", lambda: start)
        monkeypatch.setattr(workbench, "EVERY", 0.0)
        first = await browser.get("/home/live")
        monkeypatch.setattr(clock, "now", lambda: start + timedelta(minutes=7))
        later = await browser.get("/home/live")

        def without(text: str) -> str:  # the log of what was read goes on
            return re.sub(r'data-audit="\w+">\d+', "", text)

        assert without(first) == without(later)


async def test_a_balance_lasts_as_long_as_it_was_used_lately(site: Site) -> None:
    today = date(2026, 3, 10)
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    await site.db.execute("UPDATE account SET created_at = '2026-01-01', balance = 1000, credit_floor = 0 WHERE id > 0")
    for day, units, refunded in ((today, 500, 0), (today - timedelta(1), 80, 10), (today - timedelta(7), 70, 0),
                                 (today - timedelta(8), 900, 0)):  # fmt: skip
        await site.db.execute("INSERT INTO usage_day VALUES ($1, $2, 'x', 'notice', 1, 1, $3, $4)", hall, day, units,
                              refunded)  # fmt: skip
    found = {one.id: one for one in await accounts.runways(site.db, seen=None, today=today)}
    assert (found[hall].used, found[hall].days) == (140, 50)
    assert found[clinic].days is None
    seen = await accounts.runways(site.db, seen=(clinic,), today=today)
    assert [one.id for one in seen] == [clinic]
    await site.add_staff("money", "finance")
    async with Browser(site) as browser:
        assert "无法估计" in await browser.login("money")


async def test_a_reason_is_a_filter_of_the_records(site: Site) -> None:
    await traffic(site)
    async with signed_in(site, "boss") as browser:
        for query, n in (("reason=EMPTY_NUMBER", 2), ("reason=EMPTY_NUMBER&status=delivered", 0), ("reason=x", 0),
                         ("reason=TIMEOUT", 0)):  # fmt: skip
            assert (await browser.get(f"/records?{query}")).count('<tr data-href="/records/') == n, query
