"""What customers connect to as pages: endpoints, deliveries to them, and logins of partners."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from browsing import Browser, shows
from databases import change
from portal_site import SEALER, Site, by_test
from receiver import Receiver, receiving
from visits import actions, add_role, boss, column, page_for, signed_in, submitted

from smsgw.core.ids import first_id
from smsgw.core.permissions import Permission as P
from smsgw.platform.accounts import service as accounts
from smsgw.platform.paging import Window
from smsgw.platform.partners import service as partners
from smsgw.platform.webhooks import queries
from smsgw.platform.webhooks.model import Counted, WantedDeliveries
from smsgw.runtime import clock
from smsgw.store.config.partners import BindRow, confirm_binds, load_partners
from smsgw.store.config.webhooks import load

LOOKS = [P.WEBHOOK_VIEW, P.EVENT_VIEW]
DEVELOPS = [*LOOKS, P.WEBHOOK_EDIT, P.EVENT_REPEAT, P.INBOUND_VIEW, P.MESSAGE_VIEW]
DEAD = """
UPDATE customer_event SET attempts = 9, problem = 'HTTP 503', dead_at = $2, acknowledged_at = $2
WHERE message_id = ANY($1::bigint[])
"""
LATER = "UPDATE customer_event SET attempts = 2, problem = 'HTTP 500', leased_until = $2 WHERE message_id = $1"
DONE = "UPDATE customer_event SET acknowledged_at = $2, done_by = 'webhook' WHERE message_id = $1"
PLENTY = 5000
MANY = """
INSERT INTO customer_event (id, account_id, kind, message_id, acknowledged_at)
SELECT e.id + n, e.account_id, e.kind, e.message_id, CASE WHEN n % 2 = 0 THEN now() END
FROM customer_event e, generate_series(1, $2::int) n WHERE e.message_id = ANY($1::bigint[])
"""
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")
FORM = {"max_items": "100", "linger_ms": "1000", "concurrency": "4", "format": "json", "times": "iso",
        "items_field": "items", "expect": "", "fields": ""}  # fmt: skip
__all__ = ["boss"]
pytestmark = [pytest.mark.site(networks=["127.0.0.0/8"]), pytest.mark.staff(boss="super")]


@pytest_asyncio.fixture
async def site(site: Site) -> AsyncIterator[Site]:
    for code, rights in (("seer", LOOKS), ("dev", DEVELOPS), ("op", [*DEVELOPS, P.WEBHOOK_INTERNAL])):
        await add_role(site, f"r-{code}", rights, people={code: "hall"})
    await accounts.edit(by_test(site.db), site.accounts["hall"], {"webhook_networks": ["127.0.0.0/8"]})
    await site.snapshots.follow()
    assert site.pusher is not None
    await site.pusher.start()
    yield site
    await site.pusher.stop()


@pytest_asyncio.fixture
async def dev(site: Site) -> AsyncIterator[Browser]:
    async with signed_in(site, "dev") as person:
        yield person


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


def form(site: Site, url: str, name: str = "main", **more: str) -> list[tuple[str, str]]:
    return list((FORM | {"account": str(site.accounts["hall"]), "name": name, "url": url} | more).items())


async def added(browser: Browser, site: Site, url: str, name: str = "main", **more: str) -> tuple[int, str]:
    """Through both steps of the form; its id and secret."""
    page = await browser.post("/webhooks/-/new", [*form(site, url, name, **more), ("confirmed", "1")])
    assert browser.status == 200, page
    return int(re.search(r'href="/webhooks/([0-9]+)"', page)[1]), SECRET.findall(unescape(page))[0]


async def told(site: Site, account: str, n: int) -> list[int]:
    """Messages whose reports wait for the customer."""
    ids = await submitted(site, account, *(f"138001380{at:02}" for at in range(n)))
    await site.carrier_takes()
    await site.carrier_reports([(id_, 1) for id_ in ids])
    return ids


async def test_one_is_made_with_its_effect_tried_and_its_secret_is_shown_once(
    site: Site, dev: Browser, receiver: Receiver
) -> None:
    await told(site, "hall", 3)
    assert "还没有推送地址" in await dev.get("/webhooks")
    asked = unescape(await dev.post("/webhooks/-/new", form(site, receiver.origin + "/token-7/in")))
    shows(asked, "现在由业务系统取走", "3 个事件")
    assert not await site.db.fetchval("SELECT count(*) FROM webhook"), "asked, not done"
    id_, secret = await added(dev, site, receiver.origin + "/token-7/in")
    assert secret not in await dev.get(f"/webhooks/{id_}")

    assert "业务系统收下了样例" in await dev.post(f"/webhooks/{id_}/test", {"confirmed": "1"})
    call = receiver.calls[-1]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
    own = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert (call.headers["webhook-signature"], call.json["type"]) == (own, "webhook.test")

    receiver.reply = lambda _: web.Response(status=500, text="inner-words")
    refused = await dev.post(f"/webhooks/{id_}/test", {"confirmed": "1"})
    shows(refused, "没有收下样例", "500", no="inner-words")  # an answer is for those alone who may push anywhere
    assert "样例" in await dev.get(f"/webhooks/{id_}")
    async with signed_in(site, "op") as op:
        assert "inner-words" in await op.post(f"/webhooks/{id_}/test", {"confirmed": "1"})
    for path in ("/webhooks", f"/webhooks/{id_}"):
        assert "token-7" not in await page_for(site, "seer", path), "the path of an address may hold a token"


async def test_what_cannot_be_stands_at_its_field(site: Site, dev: Browser, receiver: Receiver) -> None:
    await added(dev, site, receiver.origin, events="message.report")
    for wrong, field in (
        (form(site, "https://10.0.0.1/", "b"), "url"), (form(site, "ftp://example.org/", "b"), "url"),
        (form(site, receiver.origin, "b", format="get"), "url"), (form(site, receiver.origin), "name"),
        (form(site, receiver.origin, "callback"), "name"),
        (form(site, receiver.origin, "b", fields="mobile"), "fields"),
        (form(site, receiver.origin, "b", fields="mobile=no.such.path.here"), "fields"),
        (form(site, receiver.origin, "b", events="message.report"), "events"),
        (form(site, receiver.origin, "b", events="channel.state"), "events"),
    ):  # fmt: skip
        await dev.refused("/webhooks/-/new", [*wrong, ("confirmed", "1")], f'id="{field}-problem"')
    assert await site.db.fetchval("SELECT count(*) FROM webhook") == 1


async def test_it_is_changed_rotated_stopped_and_removed(site: Site, dev: Browser, receiver: Receiver) -> None:
    id_, first = await added(dev, site, receiver.origin)
    assert receiver.origin in await dev.get(f"/webhooks/{id_}/edit")
    own = await dev.mark_of(f"/webhooks/{id_}/edit")
    changed = [*form(site, receiver.origin + "/2", max_items="7", fields="mobile=to", **own), ("confirmed", "1")]
    assert await dev.led_to(f"/webhooks/{id_}/edit", changed) == f"/webhooks/{id_}"
    (view,) = await queries.endpoints(site.db, [site.accounts["hall"]])
    assert (view.url, view.options) == (receiver.origin + "/2", {"max_items": 7, "fields": {"mobile": "to"}})

    own = await dev.mark_of(f"/webhooks/{id_}/rotate")
    assert "再签名 2 小时" in await dev.post(f"/webhooks/{id_}/rotate", {"keep_old_hours": "2"})
    page = unescape(await dev.post(f"/webhooks/{id_}/rotate", {"keep_old_hours": "2", "confirmed": "1"} | own))
    assert SECRET.findall(page)[0] != first
    await dev.post(f"/webhooks/{id_}/test", {"confirmed": "1"})
    assert len(receiver.calls[-1].headers["webhook-signature"].split()) == 2, "both sign for a while"

    await dev.post("/webhooks/-/do/stop", {"id": str(id_)})
    assert "已停用" in await dev.get("/webhooks?endpoint_state=disabled")
    assert "保存后重新启用" in unescape(await dev.post(f"/webhooks/{id_}/edit", form(site, receiver.origin)))
    await dev.post("/webhooks/-/do/start", {"id": str(id_)})
    assert (await queries.endpoints(site.db, [site.accounts["hall"]]))[0].status == "active"
    await dev.refused("/webhooks/-/do/remove", {"id": str(id_), "typed": "wrong"})
    await dev.post("/webhooks/-/do/remove", {"id": str(id_), "typed": "main"})
    assert not await queries.endpoints(site.db)
    assert await actions(site, "webhook.") == ["webhook.add", "webhook.set", "webhook.rotate", "webhook.disable",
                                                "webhook.enable", "webhook.delete"]  # fmt: skip


async def test_what_was_made_of_an_older_one_is_refused(site: Site, dev: Browser, receiver: Receiver) -> None:
    """Sent again by F5, or by somebody else who has the form open: the secret that was handed over stays good."""
    id_, first = await added(dev, site, receiver.origin)
    at = f"/webhooks/{id_}"

    async def rotated(**more: str) -> list[str]:
        page = await dev.post(f"{at}/rotate", {"keep_old_hours": "24", "confirmed": "1"} | more)
        return SECRET.findall(unescape(page))

    form_open, edit_open = await dev.mark_of(f"{at}/rotate"), await dev.mark_of(f"{at}/edit")
    assert await rotated(**form_open)
    assert (await rotated(**form_open), dev.status) == ([], 422), "the same again"
    assert not await rotated(**form_open, force="1"), "nor forced: it is another one by now"
    again = await rotated(**await dev.mark_of(f"{at}/rotate"))
    assert (again, dev.status) == ([], 422), "its receiver may use the former one still"
    (hook,) = (await load(site.db, SEALER)).endpoints.values()
    assert hook.secrets[1] == base64.b64decode(first.removeprefix("whsec_"))
    assert await rotated(**await dev.mark_of(f"{at}/rotate"), force="1")

    form_open = await dev.mark_of(f"{at}/edit")
    await dev.post("/webhooks/-/do/stop", {"id": str(id_)})
    for stale in (edit_open, form_open, {}):
        await dev.refused(f"{at}/edit", [*form(site, receiver.origin + "/x", **stale), ("confirmed", "1")])
    (view,) = await queries.endpoints(site.db)
    assert (view.status, view.url) == ("disabled", receiver.origin), "nobody has begun again unawares"


async def test_what_one_may_not_see_stays_with_an_endpoint(site: Site, dev: Browser, receiver: Receiver) -> None:
    async with signed_in(site, "op") as op:
        states, _ = await added(op, site, receiver.origin, "states", events="channel.state")
    at = f"/webhooks/{states}/edit"
    both = {"events": "message.report"}, ("channel.state", "message.report")
    for chosen, events in (({}, ("channel.state",)), both):
        own = await dev.mark_of(at)
        assert await dev.status_of(at, [*form(site, receiver.origin, **own, **chosen), ("confirmed", "1")]) == 200
        assert (await queries.endpoints(site.db))[0].events == events


async def test_the_way_of_an_account_takes_along_what_waits(site: Site, dev: Browser) -> None:
    await told(site, "hall", 2)
    at = f"/webhooks/-/way/{site.accounts['hall']}"
    assert "2 个事件" in unescape(await dev.post(at, {"way": "bind", "balance_below": "500"}))
    # there is no endpoint: they are pulled as before
    await dev.confirms(at, {"way": "webhook", "balance_below": "500"}, "0 个事件")
    now = await queries.setting(site.db, site.accounts["hall"])
    assert (now.way, now.balance_below) == ("webhook", 500)
    await dev.post(at, {"way": "webhook", "balance_below": "", "confirmed": "1"})
    assert (await queries.setting(site.db, site.accounts["hall"])).balance_below is None


async def test_what_is_owed_is_counted_by_endpoint(site: Site, boss: Browser, receiver: Receiver) -> None:
    """Reports have an endpoint of their own, the rest another one, a message's own address a third."""
    receiver.reply = lambda _: web.Response(status=503)
    await added(boss, site, receiver.origin, "reports", events="message.report")
    await added(boss, site, receiver.origin, "rest")
    hosts = FORM | {"account": str(site.accounts["hall"]), "hosts": ".example.org\n", "confirmed": "1"}
    await boss.post("/webhooks/-/callback", list(hosts.items()))
    ids = await told(site, "hall", 6)
    await site.db.execute(DEAD, ids[:1], clock.now())
    theirs = "UPDATE customer_event SET target = 'https://a.example.org/' WHERE message_id = ANY($1)"
    await site.db.execute(theirs, ids[1:3])
    views = {one.name: one for one in await queries.endpoints(site.db)}
    owed = await queries.owed(site.db, list(views.values()), 100)
    counted = {name: (owed[view.id].waiting.n, owed[view.id].dead.n) for name, view in views.items()}
    assert counted == {"reports": (3, 1), "rest": (0, 0), "callback": (2, 0)}
    assert not any(one.waiting.cut or one.dead.cut for one in owed.values())
    few = await queries.owed(site.db, [views["reports"]], 2)
    assert few[views["reports"].id].waiting == Counted(0, cut=True), "the oldest go elsewhere; more may be behind"
    hall = site.accounts["hall"]
    for name, kinds, n in (("rest", (), 0), ("reports", ("message.mo",), 0), ("reports", ("message.report",), 3)):
        assert (await queries.waiting_for(site.db, hall, name, kinds)).n == n, "reports have an endpoint of their own"
    assert (await queries.waiting_turned(site.db, hall, "pull")).n == 3
    shows(unescape(await boss.get(f"/webhooks/{views['reports'].id}")), "push_state=dead", "event=message.report")


async def test_the_course_of_calls_is_told_by_stretches_without_samples(site: Site, receiver: Receiver) -> None:
    async with signed_in(site, "boss") as browser:
        id_, _ = await added(browser, site, receiver.origin)
        now = clock.now()
        for n, (ago, calls, events, ms, error) in enumerate(
            ((90, 5, 50, 120, ""), (90, 1, 10, 9000, "HTTP 503"), (5, 3, 30, 80, ""), (4, 1, 0, 7000, "test: HTTP 500"))
        ):
            at = now - timedelta(minutes=ago)
            await site.db.execute(
                "INSERT INTO webhook_attempt (id, webhook_id, at, calls, events, first_event, status, ms, error) "
                "VALUES ($1, $2, $3, $4, $5, 0, 200, $6, $7)", first_id(at) + n, id_, at, calls, events, ms, error,
            )  # fmt: skip
        found = await queries.stretches(site.db, id_, now - timedelta(days=1), timedelta(minutes=30))
        assert (sum(one.good for one in found), sum(one.failed for one in found)) == (8, 1)
        assert max(one.slowest or 0 for one in found) == 120, "of calls that were answered well"
        shows(await browser.get(f"/webhooks/{id_}"), "88.89", "data-options")
        assert (await browser.get(f"/webhooks/{id_}?span=week")).count("data-chart-picture") == 2
        assert await browser.status_of(f"/webhooks/{id_}?span=nonsense") == 200


def shown(page: str) -> list[int]:
    return [int(id_) for id_ in re.findall(r'data-open="/pushes/([0-9]+)"', page)]


async def test_they_are_found_and_delivered_again_with_the_effect_in_numbers(site: Site, dev: Browser) -> None:
    now = clock.now()
    hall, clinic = await told(site, "hall", 5), await told(site, "clinic", 2)
    await site.db.execute(DEAD, [*hall[:2], clinic[0]], now)
    await site.db.execute(LATER, hall[2], now + timedelta(minutes=7))
    await site.db.execute(DONE, hall[3], now)
    page = await dev.get("/pushes")
    assert len(shown(page)) == 5
    shows(page, "HTTP 503", no="clinic")
    for query, n in (("push_state=dead", 2), ("push_state=waiting", 2), ("push_state=delivered", 1),
                     ("event=message.mo", 0), ("event=message.report", 5), (f"message={hall[0]}", 1),
                     (f"message={clinic[0]}", 0)):  # fmt: skip
        assert len(shown(await dev.get(f"/pushes?{query}"))) == n, query
        assert f"共 {n} 条" in await dev.get(f"/pushes/-/total?{query}"), query
    (waits,) = shown(await dev.get(f"/pushes?message={hall[2]}"))
    shows(await dev.get(f"/pushes/{waits}"), "待送达", f"/records/{hall[2]}")
    events = shown(page)
    asked = unescape(await dev.post("/pushes/-/effect/again", [("id", str(e)) for e in events]))
    shows(asked, "5 个事件", "已放弃 2 个", "等待中 2 个", "已送达 1 个", "再收到一次")
    dead = shown(await dev.get("/pushes?push_state=dead"))
    await dev.post("/pushes/-/do/again", [("pick", "own"), *(("id", str(e)) for e in dead)])
    assert not shown(await dev.get("/pushes?push_state=dead"))
    ours = "SELECT attempts, problem, dead_at FROM customer_event WHERE message_id = ANY($1)"
    assert list(map(tuple, await site.db.fetch(ours, hall[:2]))) == [(0, "", None)] * 2
    theirs = "SELECT dead_at IS NOT NULL FROM customer_event WHERE message_id = $1"
    assert await site.db.fetchval(theirs, clinic[0]), "of an account out of the scope"
    assert await column(site, "SELECT actor FROM audit WHERE action = 'events.redeliver'") == ["dev"]


async def test_pages_go_on_and_back_without_a_gap(site: Site) -> None:
    ids = sorted([*await told(site, "hall", 7), *await told(site, "clinic", 6)])
    every = await column(site, "SELECT id FROM customer_event WHERE message_id = ANY($1) ORDER BY id DESC", ids)
    wanted = WantedDeliveries(clock.now() - timedelta(days=1), clock.now() + timedelta(days=1))
    seen, after = list[int](), None
    while True:
        got = await queries.search(site.db, wanted, Window("time", after=after, limit=5), accounts=None)
        seen += [row.id for row in got.rows]
        if not got.more:
            break
        after = got.keys[-1]
    assert seen == every
    before = Window("time", after=(str(every[8]), every[8]), backwards=True, limit=5)
    back = await queries.search(site.db, wanted, before, accounts=None)
    assert [row.id for row in back.rows] == every[3:8]
    assert await queries.how_many(site.db, wanted, 4, accounts=None) == 4


async def test_they_are_counted_no_further_than_it_takes(site: Site) -> None:
    """Each account has far more than are counted, whether they wait or are delivered."""
    await site.db.execute(MANY, [*await told(site, "hall", 1), *await told(site, "clinic", 1)], PLENTY)
    await change(site.db.dsn, "ANALYZE customer_event")
    wanted = WantedDeliveries(clock.now() - timedelta(days=1), clock.now() + timedelta(days=1))
    assert await queries.how_many(site.db, wanted, 100, accounts=None) == 100
    assert await queries.how_many(site.db, wanted, 10 * PLENTY, accounts=None) == 2 * PLENTY + 2
    statement = queries._COUNTS[None].format(most=100)
    told_ = await site.db.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *queries._asked(wanted, None))
    assert sum(rows_read(json.loads(told_)[0]["Plan"])) <= 100


def rows_read(plan: dict[str, Any]) -> Iterator[int]:
    if plan.get("Relation Name", "").startswith("customer_event"):
        yield (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    for below in plan.get("Plans", ()):
        yield from rows_read(below)


LIMITS = {"max_binds": "2", "window": "16", "rate": "100", "ip_allow": "", "type": "notice", "code": "10690001",
          "alphabet": "gsm7", "message_ids": "decimal", "long_mo": "udh"}  # fmt: skip


async def login(site: Site, username: str, account: str = "hall", **fields: object) -> int:
    return await partners.add(by_test(site.db), SEALER, site.accounts[account], "smpp", username, "secret12", fields)


async def bound(site: Site, node: int, partner_id: int, numbers: range, **more: object) -> None:
    """The node says which binds it has."""
    row = BindRow(0, partner_id, site.accounts["hall"], "transceiver", "192.0.2.7", clock.now(), version="smpp34")
    await confirm_binds(site.db, node, [replace(row, number=n, **more) for n in numbers])


async def test_binds_of_all_nodes_are_shown_and_ended_with_the_effect_in_numbers(site: Site, boss: Browser) -> None:
    id_, other = await login(site, "crowd"), await login(site, "quiet")
    codes = json.dumps({"rate": 3, "NUMBER_BLOCKED": 1})
    await bound(site, 2, id_, range(2), submits=40, refused=4, slowed=3, unanswered=5, deliveries=2, rate=7.5,
                codes=codes, last_at=clock.now())  # fmt: skip
    await bound(site, 3, id_, range(1), submits=2, unanswered=1, ip="192.0.2.9")
    await bound(site, 4, other, range(1))
    await site.db.execute("UPDATE partner_bind SET seen_at = now() - interval '1 minute' WHERE node = 4")
    page = unescape(await boss.get(f"/partners/{id_}"))
    shows(page, "节点 2", "节点 3", "192.0.2.9", "SMPP 3.4", "15.0", "超过登录名的速率", "NUMBER_BLOCKED", "data-again")
    assert "crowd" in await boss.get("/partners?partner_state=bound")
    shows(await boss.get("/partners?partner_state=idle"), "quiet", no=">crowd<")  # it is confirmed no more
    asked = unescape(await boss.post("/partners/-/effect/kick", {"id": str(id_)}))
    shows(asked, "1 个登录名在 2 个节点上的 3 个连接", "11 个提交尚未应答", "4 个未确认的报告", "SMPP 和连到其他节点的")
    assert await boss.status_of("/partners/-/do/kick", {"id": str(id_), "reason": ""}) == 422, "a reason is asked for"
    await boss.post("/partners/-/do/kick", {"id": str(id_), "reason": "客户要求换机房"})
    assert "正在断开" in await boss.get(f"/partners/{id_}")
    assert "没有连接" in unescape(await boss.post("/partners/-/effect/kick", {"id": str(other)}))
    ended, _ = await confirm_binds(site.db, 3, [BindRow(0, id_, 1, "transceiver", "192.0.2.9", clock.now())])
    assert ended == {0: "kicked"}, "the node that has it hears of it"
    told = await site.db.fetchval("SELECT after FROM audit WHERE action = 'partner.kick'")
    assert json.loads(told) == {"reason": "客户要求换机房", "binds": 3}


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


async def test_a_login_is_made_limited_and_given_another_password(site: Site, boss: Browser) -> None:
    assert "还没有下游接入" in await boss.get("/partners")
    given = LIMITS | {"account": str(site.accounts["hall"]), "protocol": "cmpp", "user": "toolong"}
    await boss.refused("/partners/-/new", given, 'id="user-problem"')
    page = unescape(await boss.post("/partners/-/new", given | {"user": "900007"}))
    (once,) = re.findall(r'one-time">([A-Za-z0-9]{8})<', page)
    (kept,) = await load_partners(site.db, SEALER)
    assert (kept.password, kept.window, kept.rate, kept.code) == (once, 16, 100, "10690001")
    assert once not in await boss.get(f"/partners/{kept.id}")
    assert await boss.status_of("/partners/-/new", given | {"user": "900007"}) == 422, "it is there already"

    await bound(site, 2, kept.id, range(1))
    at = f"/partners/{kept.id}/edit"
    own = await boss.mark_of(at)
    narrowed = LIMITS | own | {"ip_allow": "198.51.100.0/24", "window": "8", "any_clock": "1"}
    await boss.confirms(at, narrowed, "共 1 个会断开")
    (now,) = await load_partners(site.db, SEALER)
    assert (now.window, [str(n) for n in now.ip_allow], now.any_clock) == (8, ["198.51.100.0/24"], True)
    assert now.password == kept.password
    assert await boss.status_of(at, LIMITS | own | {"confirmed": "1"}) == 422, "made of what somebody has changed since"
    at = f"/partners/{kept.id}/password"
    form = {"confirmed": "1"} | await boss.mark_of(at)
    page = await boss.post(at, form)
    (renewed,) = await load_partners(site.db, SEALER)
    await boss.refused(at, form)  # F5 does not take away what was just handed over
    assert await load_partners(site.db, SEALER) == [renewed]
    assert (renewed.password != kept.password, renewed.password in page) == (True, True)
    await boss.post("/partners/-/do/stop", {"id": str(kept.id)})
    assert (await load_partners(site.db, SEALER))[0].status == "stopped"
    await boss.post("/partners/-/do/start", {"id": str(kept.id)})
    await boss.post("/partners/-/do/remove", {"id": str(kept.id), "typed": "900007"})
    assert await load_partners(site.db, SEALER) == []
