"""推送地址: endpoints are made, tried, changed, given another secret and stopped on pages, within one's accounts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape

import pytest
import pytest_asyncio
from aiohttp import web
from browsing import Browser, shows
from portal_site import SEALER, Site, by_test
from receiver import Receiver, receiving
from test_pushes import told
from visits import actions, add_role, page_for, signed_in

from smsgw.core.ids import first_id
from smsgw.core.permissions import Permission as P
from smsgw.platform.accounts import service as accounts
from smsgw.platform.webhooks import queries
from smsgw.platform.webhooks.model import Counted
from smsgw.runtime import clock
from smsgw.store.config.webhooks import load

LOOKS = [P.WEBHOOK_VIEW, P.EVENT_VIEW]
DEVELOPS = [*LOOKS, P.WEBHOOK_EDIT, P.EVENT_REPEAT, P.INBOUND_VIEW]
FORM = {"max_items": "100", "linger_ms": "1000", "concurrency": "4", "format": "json", "times": "iso",
        "items_field": "items", "expect": "", "fields": ""}  # fmt: skip
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
    found = re.search(r"whsec_[A-Za-z0-9+/=]+", unescape(page))
    at = re.search(r'href="/webhooks/([0-9]+)"', page)
    return int(at[1]), found[0]


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
    assert call.headers["webhook-signature"] == own
    assert call.json["type"] == "webhook.test"

    receiver.reply = lambda _: web.Response(status=500, text="inner-words")
    refused = await dev.post(f"/webhooks/{id_}/test", {"confirmed": "1"})
    shows(refused, "没有收下样例", "500")
    assert "inner-words" not in refused, "an answer is for those alone who may push anywhere"
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
    assert re.search(r"whsec_[A-Za-z0-9+/=]+", page)[0] != first
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
        return re.findall(r"whsec_[A-Za-z0-9+/=]+", unescape(page))

    form_open, edit_open = await dev.mark_of(f"{at}/rotate"), await dev.mark_of(f"{at}/edit")
    assert await rotated(**form_open)
    assert not await rotated(**form_open)
    assert dev.status == 422, "the same again"
    assert not await rotated(**form_open, force="1"), "nor forced: it is another one by now"
    assert not await rotated(**await dev.mark_of(f"{at}/rotate"))
    assert dev.status == 422, "its receiver may use the former one still"
    (hook,) = (await load(site.db, SEALER)).endpoints.values()
    assert hook.secrets[1] == base64.b64decode(first.removeprefix("whsec_"))
    assert await rotated(**await dev.mark_of(f"{at}/rotate"), force="1")

    form_open = await dev.mark_of(f"{at}/edit")
    await dev.post("/webhooks/-/do/stop", {"id": str(id_)})
    for stale in (edit_open, form_open, {}):
        await dev.post(f"{at}/edit", [*form(site, receiver.origin + "/x", **stale), ("confirmed", "1")])
        assert dev.status == 422, stale
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
    asked = unescape(await dev.post(at, {"way": "webhook", "balance_below": "500"}))
    assert "0 个事件" in asked, "there is no endpoint: they are pulled as before"
    await dev.post(at, {"way": "webhook", "balance_below": "500", "confirmed": "1"})
    held = await queries.setting(site.db, site.accounts["hall"])
    assert (held.way, held.balance_below) == ("webhook", 500)
    await dev.post(at, {"way": "webhook", "balance_below": "", "confirmed": "1"})
    assert (await queries.setting(site.db, site.accounts["hall"])).balance_below is None


async def test_what_is_owed_is_counted_by_endpoint(site: Site, receiver: Receiver) -> None:
    """Reports have an endpoint of their own, the rest another one, a message's own address a third."""
    async with signed_in(site, "boss") as browser:
        receiver.reply = lambda _: web.Response(status=503)
        await added(browser, site, receiver.origin, "reports", events="message.report")
        await added(browser, site, receiver.origin, "rest")
        hosts = FORM | {"account": str(site.accounts["hall"]), "hosts": ".example.org\n", "confirmed": "1"}
        await browser.post("/webhooks/-/callback", list(hosts.items()))
        ids = await told(site, "hall", 6)
        now = clock.now()
        await site.db.execute("UPDATE customer_event SET dead_at = $2, acknowledged_at = $2 WHERE message_id = $1",
                              ids[0], now)  # fmt: skip
        await site.db.execute("UPDATE customer_event SET target = 'https://a.example.org/' WHERE message_id = ANY($1)",
                              ids[1:3])  # fmt: skip
        views = {one.name: one for one in await queries.endpoints(site.db)}
        owed = await queries.owed(site.db, list(views.values()), 100)
        counted = {name: (owed[view.id].waiting.n, owed[view.id].dead.n) for name, view in views.items()}
        assert counted == {"reports": (3, 1), "rest": (0, 0), "callback": (2, 0)}
        assert not any(one.waiting.cut or one.dead.cut for one in owed.values())
        few = await queries.owed(site.db, [views["reports"]], 2)
        assert few[views["reports"].id].waiting == Counted(0, cut=True), "the oldest go elsewhere; more may be behind"
        hall = site.accounts["hall"]
        assert (await queries.waiting_for(site.db, hall, "rest", ())).n == 0, "reports have an endpoint of their own"
        assert (await queries.waiting_for(site.db, hall, "reports", ("message.mo",))).n == 0
        assert (await queries.waiting_for(site.db, hall, "reports", ("message.report",))).n == 3
        assert (await queries.waiting_turned(site.db, hall, "pull")).n == 3
        page = unescape(await browser.get(f"/webhooks/{views['reports'].id}"))
        shows(page, "push_state=dead", "event=message.report")


async def test_the_course_of_calls_is_told_by_stretches_without_samples(site: Site, receiver: Receiver) -> None:
    async with signed_in(site, "boss") as browser:
        id_, _ = await added(browser, site, receiver.origin)
        now = clock.now()
        for n, (ago, calls, events, ms, error) in enumerate((
            (90, 5, 50, 120, ""), (90, 1, 10, 9000, "HTTP 503"), (5, 3, 30, 80, ""), (4, 1, 0, 7000, "test: HTTP 500"),
        )):  # fmt: skip
            at = now - timedelta(minutes=ago)
            await site.db.execute(
                "INSERT INTO webhook_attempt (id, webhook_id, at, calls, events, first_event, status, ms, error) "
                "VALUES ($1, $2, $3, $4, $5, 0, 200, $6, $7)", first_id(at) + n, id_, at, calls, events, ms, error,
            )  # fmt: skip
        found = await queries.stretches(site.db, id_, now - timedelta(days=1), timedelta(minutes=30))
        assert sum(one.good for one in found) == 8
        assert sum(one.failed for one in found) == 1
        assert max(one.slowest or 0 for one in found) == 120, "of calls that were answered well"
        shows(await browser.get(f"/webhooks/{id_}"), "88.89", "data-options")
        assert (await browser.get(f"/webhooks/{id_}?span=week")).count("data-chart-picture") == 2
        assert await browser.status_of(f"/webhooks/{id_}?span=nonsense") == 200
