"""Reports without a message on pages: why each is there, its PDU, and those that fit one message put to it as a job."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from browsing import Browser, send, shows
from portal_site import SEALER, Site, by_test
from visits import add_role, signed_in

from smsgw.core.actor import ScopeKind
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState as S
from smsgw.platform.channels import service as channels

OTHER = {"protocol": "cmpp30", "host": "127.0.0.1", "port": 7891, "username": "900002", "password": "secret",
         "access_code": "10690002", "carriers": ["CMCC"]}  # fmt: skip
NUMBER = "8613800138000"
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "watcher", [Permission.CHANNEL_VIEW], ScopeKind.ALL, people=["watch"])
    rights = [Permission.CHANNEL_VIEW, Permission.MESSAGE_RESOLVE]
    await add_role(site, "narrow", rights, people={"clinic-op": "clinic"})
    await channels.add(by_test(site.db), SEALER, "mobile-b", OTHER)
    return site


async def sent(site: Site, carrier_id: str, *, state: S = S.SENT, channel: str = "", to: str = "13800138000") -> int:
    """A message that the carrier has taken under an id."""
    id_ = await send(site, to=to)
    channel_id = site.channel_id
    if channel:
        channel_id = await site.db.fetchval("SELECT id FROM channel WHERE name = $1", channel)
    await site.db.execute(
        "UPDATE part SET state = $2, channel_id = $3, carrier_id = $4, claimed_at = now(), answered_at = now(),"
        " attempt = 1, next_at = now() + interval '1 day', final_at = $5 WHERE id = $1",
        id_, state, channel_id, carrier_id, datetime.now(UTC) if state is S.DELIVERED else None,
    )  # fmt: skip
    return id_


async def reported(site: Site, carrier_id: str, *, number: str = NUMBER, pdu: bytes = b"") -> int:
    """A report that has found no message."""
    id_: int = await site.db.fetchval(
        "INSERT INTO receipt_orphan (channel_id, carrier_id, state, code, class, number, received_at, pdu)"
        " VALUES ($1, $2, 40, 'DELIVRD', '', $3, $4, $5) RETURNING id",
        site.channel_id, carrier_id, number, datetime.now(UTC), pdu,
    )  # fmt: skip
    return id_


async def state(site: Site, id_: int) -> int:
    return int(await site.db.fetchval("SELECT state FROM part WHERE id = $1", id_))


async def left(site: Site) -> list[str]:
    return [row["carrier_id"] for row in await site.db.fetch("SELECT carrier_id FROM receipt_orphan ORDER BY id")]


async def test_each_says_why_it_is_there_and_its_octets_are_masked(site: Site) -> None:
    await sent(site, "4d2")
    one = await reported(site, "1234", pdu=b"DELIVRD " + NUMBER.encode())
    await reported(site, "99887766", number="8613900139000")
    async with Browser(site) as boss, Browser(site) as watch, Browser(site) as narrow:
        for browser, login in ((boss, "boss"), (watch, "watch"), (narrow, "clinic-op")):
            await browser.login(login)
        page = await boss.get("/unmatched")
        for text in ("按规则恰好对应一条", "应答十六进制、报告十进制", "没有发给该号码", "138****000"):
            assert text in page.replace("138****8000", "138****000"), text
        page = await boss.get(f"/unmatched/{one}")
        shows(page, "原始报文", no="13800138000")
        assert NUMBER.encode().hex(" ") not in page
        assert "原始报文" not in await watch.get(f"/unmatched/{one}"), "a right of its own"
        assert "138****" not in await narrow.get("/unmatched"), "what is nobody's is no department's"
        assert await narrow.status_of(f"/unmatched/{one}") == 404
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'unmatched.wire'") == 1


async def test_reports_that_fit_one_message_are_put_to_it_and_others_stay(site: Site) -> None:
    first = await sent(site, "4d2")
    twice = [await sent(site, "162e", to="13800138001") for _ in range(2)]
    settled = await sent(site, "aaaa1111", state=S.DELIVERED, to="13800138002")
    await reported(site, "1234")
    await reported(site, "5678", number="8613800138001")
    await reported(site, "aaaa1111", number="8613800138002")
    async with signed_in(site, "boss") as boss:
        rematch = "/unmatched/-/rematch"
        assert "没有可做的" in await boss.post(rematch, {"channel": "mobile-a", "rule": "dec-hex"})
        await boss.refused(rematch, {"channel": "mobile-a", "rule": "trimmed", "adopt": "1"}, "只有编号写法的规则")
        form = {"channel": "mobile-a", "rule": "hex-dec"}
        shows(await boss.post(rematch, form), "恰好对应一条短信的有 1 份", "1 份对应不止一条")
        assert await left(site) == ["1234", "5678", "aaaa1111"], "only asked"
        assert re.fullmatch(r"/jobs/\d+", await boss.led_to(rematch, form | {"confirmed": "1"}))
        assert "1 份已对应到短信，1 份对应不止一条" in await boss.job_done(boss.path)
    assert await state(site, first) == S.DELIVERED
    assert [await state(site, id_) for id_ in twice] == [S.SENT, S.SENT], "none of them on a guess"
    assert await state(site, settled) == S.DELIVERED
    assert await left(site) == ["5678", "aaaa1111"]
    assert "rematched" in {row["kind"] for row in await site.db.fetch("SELECT kind FROM event WHERE id = $1", first)}
    told = "SELECT count(*) FROM customer_event WHERE message_id = $1 AND kind = 'report'"
    assert await site.db.fetchval(told, first) == 1
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'report.rematch'") == 1


async def test_a_message_of_the_carrier_s_other_channel_and_a_spelling_that_is_kept(site: Site) -> None:
    there = await sent(site, "zz998877", channel="mobile-b")
    await reported(site, "zz998877")
    async with signed_in(site, "boss") as boss:
        rematch = "/unmatched/-/rematch"
        await boss.post(rematch, {"channel": "mobile-a", "rule": "other-channel", "confirmed": "1"})
        await boss.job_done(boss.path)
        assert (await state(site, there), await left(site)) == (S.DELIVERED, [])
        await boss.post(rematch, {"channel": "mobile-a", "rule": "hex-dec", "adopt": "1", "confirmed": "1"})
        await boss.job_done(boss.path)
    kept = "SELECT mode FROM channel_spelling WHERE channel_id = $1"
    assert await site.db.fetchval(kept, site.channel_id) == "hex-dec"
