"""Online debugging over a whole node: the real API answers a key of the moment, nothing leaves or stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from browsing import Browser, shows
from certificates import certified
from demo_site import PASSWORD, DemoSite, empty_site
from yarl import URL

from smsgw.admin.hashing import hash_password
from smsgw.core.actor import Actor, ActorKind, ActorLabel, Scope
from smsgw.core.addresses import within
from smsgw.core.keys import ApiKey
from smsgw.net.tls import Certificate
from smsgw.platform.accounts import service as accounts
from smsgw.platform.calls import queries as calls
from smsgw.platform.calls.log import Refusal
from smsgw.platform.calls.trying import LENT, MOST_KEPT, Door, Signing, Tried, Trying, door
from smsgw.platform.change import Change
from smsgw.platform.org import service as org
from smsgw.runtime import clock
from smsgw.web import own_calls


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[DemoSite]:
    async with empty_site(dsn, tmp_path / "node") as site:
        change = Change(site.database, Actor.system("test"))
        await accounts.add(change, "shop", default_sign="小店", ip_allow=["203.0.113.0/24"])
        await accounts.add(change, "other", default_sign="别家")
        yield site


async def account_of(site: DemoSite, name: str = "shop") -> str:
    return str(await site.database.fetchval("SELECT id FROM account WHERE name = $1", name))


def fields(account: str, body: str, **more: str) -> dict[str, str]:
    return {"account": account, "operation": "POST /messages", "path": "/api/v1/messages", "query": "", "body": body,
            **more}  # fmt: skip


@contextlib.asynccontextmanager
async def at_debug(site: DemoSite, login: str, account: str) -> AsyncIterator[Browser]:
    """The browser of somebody, once the node knows the account."""
    async with Browser(site) as browser:
        await browser.login(login, PASSWORD)
        for _ in range(600):
            if f'<option value="{account}"' in await browser.get("/debug"):
                break
            await asyncio.sleep(0.1)
        yield browser


async def test_a_call_runs_in_test_mode_and_shows_how_it_was_signed(site: DemoSite) -> None:
    account = await account_of(site)
    async with at_debug(site, "demo-super", account) as boss:
        body = '{"to": ["13800138000"], "content": "您好", "type": "notice"}'
        page = unescape(await boss.post("/debug", fields(account, body)))
        assert (boss.status, "/debug?tried=" in boss.path) == (200, True)
        shows(page, " OK<", hashlib.sha256(body.encode()).hexdigest(), "v2\nPOST\n/api/v1/messages\n")
        row = await site.database.fetchrow("SELECT test, price, submitter FROM message")
        assert (row["test"], row["price"], row["submitter"].startswith("ak_test_page_")) == (True, 0, True)
        assert await site.database.fetchval("SELECT count(*) FROM api_key") == 0
        for _ in range(600):  # the simulated carrier began with the key
            if await site.database.fetchval("SELECT bool_and(final_at IS NOT NULL) FROM part"):
                break
            await asyncio.sleep(0.1)
        assert await site.database.fetchval("SELECT state FROM part") == 40
        key = re.search(r"X-Sms-Key: (ak_test_page_\w+)", page)
        said = await site.database.fetchrow("SELECT actor, object, after FROM audit WHERE action = 'call.try'")
        assert tuple(said)[:2] == ("demo-super", f"account/{account}")
        assert json.loads(said["after"]) == {"call": "POST /messages", "path": "/api/v1/messages", "key": key[1]}
        headers = {"X-Sms-Key": key[1], "X-Sms-Timestamp": "1", "X-Sms-Nonce": "n" * 16, "X-Sms-Signature": "v2=0"}
        async with aiohttp.ClientSession(site.url) as stranger:
            async with stranger.get("/api/v1/balance", headers=headers) as answer:
                assert answer.status == 401


async def test_a_refused_call_is_filled_run_and_shown_beside_the_former(site: DemoSite) -> None:
    account = await account_of(site)
    refusal = Refusal(int(account), "ak_live_1", True, clock.now(), "r-1", "POST /messages", 400, "PARAM_INVALID",
                      "type 有误", "wrong type", 3, "203.0.113.9",
                      '{"to": ["139****0002"], "content": "<12>", "type": "no such"}')  # fmt: skip
    await calls.write(site.database, {}, [refusal])
    id_ = await site.database.fetchval("SELECT id FROM api_refused")
    async with at_debug(site, "demo-super", account) as boss:
        assert f"/debug?refused={id_}" in await boss.get(f"/calls/refused/{id_}")
        shows(unescape(await boss.get(f"/debug?refused={id_}")), "13800130002", no="139****")
        body = '{"to": ["13800130002"], "content": "测试内容请忽略测试内容请", "type": "no such"}'
        page = unescape(await boss.post("/debug", fields(account, body, refused=str(id_))))
        assert page.count("400 PARAM_INVALID") == 2 + 1, "beside the former one, and among the last calls"
        assert "r-1" in page


async def test_what_would_change_more_is_signed_alone_and_another_scope_is_out_of_reach(site: DemoSite) -> None:
    account, other = await account_of(site), await account_of(site, "other")
    change = Change(site.database, Actor.system("test"))

    await org.add_person(
        change, "dev", "开发", ["dev"], hash_password(PASSWORD), accounts=[int(account)], must_change=False
    )
    async with at_debug(site, "dev", account) as dev:
        blocking = {"account": account, "operation": "POST /blocklist", "path": "/api/v1/blocklist", "query": "",
                    "body": '{"numbers": ["13800138000"]}'}  # fmt: skip
        page = unescape(await dev.post("/debug", blocking))
        assert "example-secret" in page, (dev.status, dev.path, page[page.find("notes") :][:800])
        assert await site.database.fetchval("SELECT count(*) FROM block_list") == 0
        assert f'value="{other}"' not in page
        for wrong in (fields(other, "{}"), fields(account, "{"), fields(account, "{}") | {"path": "/api/v1/webhooks"},
                      fields(account, "{}") | {"path": "//203.0.113.1/x"},
                      fields(account, "{}") | {"operation": "PUT /x"}):  # fmt: skip
            assert await dev.status_of("/debug", wrong) == 422, wrong
        assert await dev.status_of("/debug?tried=999") == 200


async def test_what_was_tried_goes_with_its_key_and_the_right_to_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lend(_: ApiKey) -> None:
        pass

    trying = Trying(lend, lambda: Door("http://127.0.0.1:1"), tuple)
    now = clock.now()
    for id_, account, until in ((1, 1, now + LENT), (2, 2, now + LENT), (3, 1, now - timedelta(seconds=1))):
        trying.remember(ActorLabel("dev"), Tried(id_, now, account, "k", "GET /balance", "GET", "/", "", "", {},
                                                 Signing("", "", "", ""), 200, answer="您" * 10_000,
                                                 until=until))  # fmt: skip
    seen = Actor(ActorKind.PERSON, "dev", 7, frozenset(), Scope(accounts=(1,)))
    (one,) = trying.last(seen)
    assert (one.id, len(one.answer.encode()) <= MOST_KEPT + 3) == (1, True)
    monkeypatch.setattr(clock, "now", lambda: now + LENT)
    assert trying.last(seen) == ()


@pytest.mark.parametrize(("urls", "origin", "source"), [
    ({"http": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080", "127.0.0.1"),
    ({"http": "http://10.0.0.7:8080"}, "http://10.0.0.7:8080", "10.0.0.7"),
    ({"http": "http://0.0.0.0:8080"}, "http://127.0.0.1:8080", "127.0.0.1"),
    ({"http": "http://10.0.0.7:80", "https": "https://10.0.0.7:443"}, "https://10.0.0.7:443", "10.0.0.7"),
    ({"https": "https://[::]:443"}, "https://[::1]:443", "::1"),
    ({"http": "https://[2001:db8::7]:8443"}, "https://[2001:db8::7]:8443", "2001:db8::7"),
])  # fmt: skip
def test_a_node_finds_its_own_door(urls: dict[str, str], origin: str, source: str) -> None:
    found = door(urls, b"x" * 32)
    assert found.origin == str(URL(origin).origin())
    assert found.certificate == (b"x" * 32 if origin.startswith("https") else b"")
    assert within(source, found.sources)
    assert not within("203.0.113.9", found.sources)


async def test_over_tls_our_certificate_alone_is_taken_for_ours(tmp_path: Path) -> None:
    files = []
    for name in ("own.example", "other.example"):
        chain, key = certified(name)
        files.append(tmp_path / f"{name}.pem")
        files[-1].write_text(key + chain)
    ours, other = Certificate([str(files[0])], "test"), Certificate([str(files[1])], "test")
    await ours.start()
    await other.start()
    asked = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response({"code": "OK"})

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ours.context)
    await site.start()
    try:
        origin = f"https://127.0.0.1:{runner.addresses[0][1]}"
        for digest, status in ((ours.digest, 200), (other.digest, 0), (b"", 0)):
            found = await own_calls.call(origin, "GET", "/", "", {}, b"", certificate=digest)
            assert found.status == status, digest
        assert asked == 1
    finally:
        await runner.cleanup()
