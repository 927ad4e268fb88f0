"""下游协议接入: logins with the binds of all nodes, their limits, and ending binds with the effect in numbers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest_asyncio
from browsing import shows
from portal_site import SEALER, Site, by_test, with_keeper
from visits import signed_in

from smsgw.core.permissions import Permission as P
from smsgw.platform.partners import service as partners
from smsgw.runtime import clock
from smsgw.store.config.partners import BindRow, confirm_binds, load_partners

LIMITS = {"max_binds": "2", "window": "16", "rate": "100", "ip_allow": "", "type": "notice", "code": "10690001",
          "alphabet": "gsm7", "message_ids": "decimal", "long_mo": "udh"}  # fmt: skip


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with with_keeper(dsn, tmp_path, P.PARTNER_VIEW) as site:
        yield site


async def login(site: Site, username: str, account: str = "hall", **fields: object) -> int:
    return await partners.add(by_test(site.db), SEALER, site.accounts[account], "smpp", username, "secret12", fields)


async def bound(site: Site, node: int, partner_id: int, numbers: range, **more: object) -> None:
    """The node says which binds it has."""
    row = BindRow(0, partner_id, site.accounts["hall"], "transceiver", "192.0.2.7", clock.now(), version="smpp34")
    await confirm_binds(site.db, node, [replace(row, number=n, **more) for n in numbers])


async def test_binds_of_all_nodes_are_shown_and_ended_with_the_effect_in_numbers(site: Site) -> None:
    id_, other = await login(site, "crowd"), await login(site, "quiet")
    codes = json.dumps({"rate": 3, "NUMBER_BLOCKED": 1})
    await bound(site, 2, id_, range(2), submits=40, refused=4, slowed=3, unanswered=5, deliveries=2, rate=7.5,
                codes=codes, last_at=clock.now())  # fmt: skip
    await bound(site, 3, id_, range(1), submits=2, unanswered=1, ip="192.0.2.9")
    await bound(site, 4, other, range(1))
    await site.db.execute("UPDATE partner_bind SET seen_at = now() - interval '1 minute' WHERE node = 4")
    async with signed_in(site, "boss") as browser:
        page = unescape(await browser.get(f"/partners/{id_}"))
        shows(page, "节点 2", "节点 3", "192.0.2.9", "SMPP 3.4", "15.0", "超过登录名的速率", "NUMBER_BLOCKED")
        assert "data-again" in page
        assert "crowd" in await browser.get("/partners?partner_state=bound")
        idle = await browser.get("/partners?partner_state=idle")
        assert "quiet" in idle, "what its node no longer confirms is no bind"
        assert ">crowd<" not in idle
        asked = unescape(await browser.post("/partners/-/effect/kick", {"id": str(id_)}))
        shows(asked, "1 个登录名在 2 个节点上的 3 个连接", "11 个提交尚未应答", "4 个未确认的报告",
              "SMPP 和连到其他节点的")  # fmt: skip
        await browser.post("/partners/-/do/kick", {"id": str(id_), "reason": ""})
        assert browser.status == 422, "a reason is asked for"
        await browser.post("/partners/-/do/kick", {"id": str(id_), "reason": "客户要求换机房"})
        assert "正在断开" in await browser.get(f"/partners/{id_}")
        assert "没有连接" in unescape(await browser.post("/partners/-/effect/kick", {"id": str(other)}))
    ended, _ = await confirm_binds(site.db, 3, [BindRow(0, id_, 1, "transceiver", "192.0.2.9", clock.now())])
    assert ended == {0: "kicked"}, "the node that has it hears of it"
    after = await site.db.fetchval("SELECT after FROM audit WHERE action = 'partner.kick'")
    assert json.loads(after) == {"reason": "客户要求换机房", "binds": 3}


async def test_nodes_that_let_in_too_many_together_end_the_youngest(site: Site) -> None:
    id_, now = await login(site, "crowd", max_binds=3), clock.now()

    async def confirmed(node: int, *ages: int) -> dict[int, str]:
        rows = [BindRow(age, id_, site.accounts["hall"], "transceiver", "192.0.2.7", now - timedelta(seconds=age))
                for age in ages]  # fmt: skip
        return (await confirm_binds(site.db, node, rows))[0]

    assert await confirmed(2, 50, 10) == {}
    assert await confirmed(3, 40, 20) == {}, "its own are the older ones"
    assert await confirmed(2, 50, 10) == {10: "max_binds"}
    assert await confirmed(2, 50) == {}
    await partners.edit(by_test(site.db), SEALER, "crowd", "smpp", {"max_binds": 1})
    assert await confirmed(3, 40, 20) == {40: "max_binds", 20: "max_binds"}
    assert await confirmed(2, 50) == {}


async def test_a_login_is_made_limited_and_given_another_password(site: Site) -> None:
    async with signed_in(site, "boss") as browser:
        assert "还没有下游接入" in await browser.get("/partners")
        given = LIMITS | {"account": str(site.accounts["hall"]), "protocol": "cmpp", "user": "toolong"}
        await browser.refused("/partners/-/new", given, 'id="user-problem"')
        page = unescape(await browser.post("/partners/-/new", given | {"user": "900007"}))
        found = re.search(r'one-time">([A-Za-z0-9]{8})<', page)
        assert found, "a password that we made is shown once"
        (kept,) = await load_partners(site.db, SEALER)
        assert (kept.password, kept.window, kept.rate, kept.code) == (found[1], 16, 100, "10690001")
        assert found[1] not in await browser.get(f"/partners/{kept.id}")
        assert await browser.status_of("/partners/-/new", given | {"user": "900007"}) == 422, "it is there already"

        await bound(site, 2, kept.id, range(1))
        at = f"/partners/{kept.id}/edit"
        own = await browser.mark_of(at)
        narrowed = LIMITS | own | {"ip_allow": "198.51.100.0/24", "window": "8", "any_clock": "1"}
        assert "共 1 个会断开" in unescape(await browser.post(at, narrowed))
        await browser.post(at, narrowed | {"confirmed": "1"})
        (now,) = await load_partners(site.db, SEALER)
        assert (now.window, [str(n) for n in now.ip_allow], now.any_clock) == (8, ["198.51.100.0/24"], True)
        assert now.password == kept.password

        await browser.post(at, LIMITS | own | {"confirmed": "1"})
        assert browser.status == 422, "made of what somebody has changed since"
        own = await browser.mark_of(f"/partners/{kept.id}/password")
        page = await browser.post(f"/partners/{kept.id}/password", {"confirmed": "1"} | own)
        (renewed,) = await load_partners(site.db, SEALER)
        await browser.post(f"/partners/{kept.id}/password", {"confirmed": "1"} | own)
        assert browser.status == 422, "F5 does not take away what was just handed over"
        assert (await load_partners(site.db, SEALER))[0] == renewed
        assert renewed.password != kept.password
        assert renewed.password in page
        await browser.post("/partners/-/do/stop", {"id": str(kept.id)})
        assert (await load_partners(site.db, SEALER))[0].status == "stopped"
        await browser.post("/partners/-/do/start", {"id": str(kept.id)})
        await browser.post("/partners/-/do/remove", {"id": str(kept.id), "typed": "900007"})
    assert await load_partners(site.db, SEALER) == []
