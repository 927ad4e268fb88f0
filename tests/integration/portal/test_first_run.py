"""The first run from an empty database: nobody gets in without the code, one administrator is made, then it is gone."""

from __future__ import annotations

import asyncio

import pytest
from portal_site import Site
from test_brand_pages import Visitor, visiting

from smsgw.platform.org import setup_code
from smsgw.store.engine.secrets import Sealer

SEALER = Sealer(b"k" * 32)
WHO = {"login": "chief", "name": "Chief", "password": "Right-Horse-7", "again": "Right-Horse-7"}


async def shown(visitor: Visitor, site: Site) -> None:
    code = await setup_code.waiting(site.db, SEALER)
    assert (await visitor.post("/setup", "/setup", code=code.lower().replace("-", " ")))[0] == 303


@pytest.mark.usefixtures("standing")
async def test_nobody_enters_without_the_code(site: Site) -> None:
    async with visiting(site) as stranger:
        assert (await stranger.get("/login"))[2].headers["Location"] == "/setup"
        for page in ("/setup/brand", "/setup/administrator"):
            assert (await stranger.get(page))[2].headers["Location"] == "/setup"
        assert (await stranger.post("/setup/administrator", "/setup", **WHO))[2] == "/setup"
        assert (await stranger.post("/setup/brand", "/setup", name="x", colour="#000000"))[2] == "/setup"
        answers = [(await stranger.post("/setup", "/setup", code="AAAA-BBBB-CCCC-DDDD"))[0] for _ in range(8)]
        assert answers[0] == 401
        assert answers[-1] == 429, "few tries"
    assert await site.db.fetchval("SELECT count(*) FROM staff") == 0
    assert await site.db.fetchval("SELECT count(*) FROM brand") == 0


@pytest.mark.usefixtures("standing")
async def test_who_sends_wrong_codes_keeps_nobody_out_who_has_the_right_one(site: Site) -> None:
    async with visiting(site) as stranger, visiting(site) as chief:  # from the same address, as behind a proxy
        answers = [(await stranger.post("/setup", "/setup", code="AAAA-BBBB-CCCC-DDDD"))[0] for _ in range(8)]
        assert answers[-1] == 429
        await shown(chief, site)
        assert (await chief.get("/setup/administrator"))[0] == 200
        assert (await stranger.get("/setup/administrator"))[2].headers["Location"] == "/setup"


async def test_the_first_run_ends_with_the_administrator(site: Site) -> None:
    async with visiting(site) as chief:
        await shown(chief, site)
        brand = {"name": "城市短信", "purchaser": "某市", "colour": "#aa0000"}
        for _ in range(2):  # back, and on again
            assert (await chief.post("/setup/brand", "/setup/brand", **brand))[2] == "/setup/administrator"
        weak = WHO | {"password": "chief12345", "again": "chief12345"}
        assert (await chief.post("/setup/administrator", "/setup/administrator", **weak))[0] == 422
        assert (await chief.post("/setup/administrator", "/setup/administrator", **WHO))[2] == "/setup/channel"
        assert (await chief.get("/staff"))[0] == 200
        for page in ("/setup", "/setup/brand", "/setup/administrator"):
            assert (await chief.get(page))[0] == 404
    await site.snapshots.follow()
    async with visiting(site) as other:
        assert "城市短信" in (await other.get("/login"))[1]
        assert (await other.get("/setup"))[0] == 404
    assert await setup_code.waiting(site.db, SEALER) == ""
    await site.db.execute("UPDATE staff SET status = 'removed'")
    assert await setup_code.waiting(site.db, SEALER) == "", "it is gone for good"


async def test_two_browsers_make_one_administrator(site: Site) -> None:
    async with visiting(site) as one, visiting(site) as other:
        await shown(one, site)
        await shown(other, site)
        page = "/setup/administrator"
        answers = await asyncio.gather(one.post(page, page, **WHO), other.post(page, page, **WHO | {"login": "second"}))
    assert sorted(status for status, _, _ in answers) == [303, 404]
    assert await site.db.fetchval("SELECT count(*) FROM staff") == 1
