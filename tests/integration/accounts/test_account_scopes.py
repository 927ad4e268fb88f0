"""Whose messages and figures are whose in the portal (in the API: ``api/test_foreign_ids.py``)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from browsing import Browser, send as submit
from portal_site import Site

from smsgw.core.states import PartState
from smsgw.platform.messages import queries

FIGURES = re.compile(r'data-metric="(\w+)">(\d+)<')


@pytest.mark.parametrize("role", ["dept", "operator"])
async def test_home_counts_the_accounts_of_the_one_who_looks(site: Site, role: str) -> None:
    await _traffic(site)
    for accounts, figures in {
        ("hall",): (3, 0, 2, 1), ("clinic",): (2, 0, 2, 0), ("hall", "clinic"): (5, 0, 4, 1), (): (0, 0, 0, 0),
    }.items():  # fmt: skip
        login = "-".join(("li", *accounts))
        await site.add_staff(login, role, *accounts)
        async with Browser(site) as browser:
            page = await browser.login(login)
            assert FIGURES.findall(await browser.get("/home/live")) == FIGURES.findall(page)
        found = dict(FIGURES.findall(page))
        told = tuple(int(found.get(m, 0)) for m in ("accepted", "submitted", "delivered", "failed"))
        assert told == figures, accounts


async def _traffic(site: Site) -> None:
    for account, count in (("hall", 3), ("clinic", 2)):
        for n in range(count):
            await submit(site, account, to=f"1380013800{n}")
        taken = await site.carrier_takes()
        await site.carrier_reports(taken[:2])
        if taken[2:]:
            await site.carrier_reports(taken[2:], PartState.UNDELIVERABLE, "MK:0001")


async def test_what_is_read_for_accounts_is_theirs_in_sql(site: Site) -> None:
    """No account at all is none, not all."""
    ids = {name: await submit(site, name) for name in ("hall", "clinic")}
    since = min(v.accepted_at for v in await queries.several(site.db, [*ids.values()], accounts=None))
    for seen in (["hall"], ["hall", "clinic"], [], None):
        given = None if seen is None else tuple(site.accounts[name] for name in seen)
        seen = list(ids) if seen is None else seen
        several = await queries.several(site.db, list(ids.values()), accounts=given)
        assert sorted(v.account_name for v in several) == sorted(seen)
        searched = await queries.search(
            site.db, accounts=given, from_time=since - timedelta(days=1), now=since + timedelta(days=1)
        )
        assert sorted(v.account_name for v in searched) == sorted(seen)
        for name, id_ in ids.items():
            assert (await queries.get(site.db, id_, accounts=given) is not None) == (name in seen)
            assert (await queries.trace(site.db, id_, accounts=given) is not None) == (name in seen)
