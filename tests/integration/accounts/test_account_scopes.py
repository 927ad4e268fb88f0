"""Whose messages and figures are whose: at every door that takes an id or shows a sum, others' do not exist."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from api_server import running as api_running
from browsing import Browser
from browsing import send as submit
from changes import by_test
from portal_site import Site
from portal_site import running as portal_running

from smsgw.core.states import PartState
from smsgw.platform.accounts import service as accounts
from smsgw.platform.messages import queries
from smsgw.platform.statistics import queries as statistics


async def test_messages_of_another_account_are_neither_found_nor_cancelled(dsn: str, tmp_path: Path) -> None:
    async with api_running(dsn, tmp_path) as api:
        other = await accounts.add(by_test(api.ctx.db), "other", default_sign="别家")
        theirs = await api.add_key(other, scopes=("send", "query"))
        mine = (await api.post("/messages", {"to": ["13800138000"], "content": "您好"})).data
        id_ = mine["items"][0]["message_id"]

        async def found(**how: Any) -> list[list[str]]:
            answers = [
                await api.post("/messages/query", {"ids": [id_]}, **how),
                await api.get(f"/messages?batch_id={mine['batch_id']}", **how),
                await api.get("/messages?to=13800138000", **how),
                await api.get("/messages?limit=500", **how),
            ]
            return [[item["message_id"] for item in answer.data["items"]] for answer in answers]

        assert await found() == [[id_]] * 4
        assert await found(key=theirs) == [[]] * 4
        for method, path in (("GET", ""), ("GET", "/trace"), ("POST", "/cancel")):
            answer = await api.call(method, f"/messages/{id_}{path}", key=theirs)
            assert (answer.status, answer.code) == (404, "NOT_FOUND"), path
        assert (await api.get(f"/messages/{id_}")).data["status"] == "queued"
        test_key = await api.add_key(test=True, scopes=("send", "query"))
        assert await found(key=test_key) == [[]] * 4, "a test key sees test messages"
        assert (await api.post(f"/messages/{id_}/cancel")).data["status"] == "cancelled"


FIGURES = re.compile(r'data-metric="(\w+)">(\d+)<')


@pytest.mark.parametrize("role", ["dept", "operator"])
async def test_home_counts_the_accounts_of_the_one_who_looks(dsn: str, tmp_path: Path, role: str) -> None:
    async with portal_running(dsn, tmp_path) as site:
        await _traffic(site)
        await site.add_staff("hall", role, "hall")
        await site.add_staff("clinic", role, "clinic")
        await site.add_staff("both", role, "hall", "clinic")
        await site.add_staff("none", role)
        told = {}
        for login in ("hall", "clinic", "both", "none"):
            async with Browser(site) as browser:
                page = await browser.login(login)
                live = await browser.get("/home/live")
                assert FIGURES.findall(live) == FIGURES.findall(page)
                figures = dict(FIGURES.findall(page))
                told[login] = tuple(
                    int(figures.get(m, 0)) for m in ("accepted", "submitted", "delivered", "failed")
                )
        assert told == {
            "hall": (3, 0, 2, 1),
            "clinic": (2, 0, 2, 0),
            "both": (5, 0, 4, 1),
            "none": (0, 0, 0, 0),
        }
        chart = await statistics.per_minute(site.db, accounts=(site.accounts["clinic"],))
        assert sum(n for _, metric, n in chart if metric == "accepted") == 2
        assert await statistics.per_minute(site.db, accounts=()) == []


async def _traffic(site: Site) -> None:
    for account, count in (("hall", 3), ("clinic", 2)):
        for n in range(count):
            await submit(site, account, to=f"1380013800{n}")
        taken = await site.carrier_takes()
        await site.carrier_reports(taken[:2])
        if taken[2:]:
            await site.carrier_reports(taken[2:], PartState.UNDELIVERABLE, "MK:0001")


async def test_what_is_read_for_accounts_is_theirs_in_sql(dsn: str, tmp_path: Path) -> None:
    """No account at all is none, not all."""
    async with portal_running(dsn, tmp_path) as site:
        ids = {name: await submit(site, name) for name in ("hall", "clinic")}
        for seen in (["hall"], ["hall", "clinic"], [], None):
            given = None if seen is None else tuple(site.accounts[name] for name in seen)
            seen = list(ids) if seen is None else seen
            several = await queries.several(site.db, list(ids.values()), accounts=given)
            assert sorted(v.account_name for v in several) == sorted(seen)
            since = min(
                v.accepted_at for v in await queries.several(site.db, [*ids.values()], accounts=None)
            )
            searched = await queries.search(
                site.db, accounts=given, from_time=since - timedelta(days=1), now=since + timedelta(days=1)
            )
            assert sorted(v.account_name for v in searched) == sorted(seen)
            for name, id_ in ids.items():
                assert (await queries.get(site.db, id_, accounts=given) is not None) == (name in seen)
                assert (await queries.trace(site.db, id_, accounts=given) is not None) == (name in seen)
