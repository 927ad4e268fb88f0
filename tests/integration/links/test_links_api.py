"""Short links over the API: made, found, led elsewhere, stopped; who opened them; the event of a first click."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio
from api_server import Api, running
from changes import by_test

from smsgw.core.url_filings import Filing
from smsgw.pipeline.events import EventHub
from smsgw.platform.links import clicks, queries
from smsgw.platform.links.telling import FirstClicks
from smsgw.platform.url_filings import service as filings

TARGET = "https://www.example.cn/spring?from=sms"
PHONE = "Mozilla/5.0 (Linux; Android 13; V2241A Build/TP1A) AppleWebKit/537.36 Chrome/118.0 Mobile Safari/537.36"
SCOPES = ("link", "webhook", "report")


@pytest_asyncio.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running(dsn, tmp_path) as made:
        made.key = await made.add_key(scopes=SCOPES)
        yield made


async def opened(api: Api, link: str, n: int, agent: str = PHONE, *, first: FirstClicks | None = None) -> None:
    await api.ctx.db.execute(
        "INSERT INTO link_click (id, link_id, n, version, at, address, method, agent, referer, purpose, language,"
        " accept) VALUES ($1, $2, $3, 1, now(), '112.96.33.1', 'GET', $4, '', '', 'zh-CN', 'text/html')",
        api.ctx.ids(), int(link), n, agent,
    )  # fmt: skip
    await clicks.judge(api.ctx.db, datetime.now(UTC) + timedelta(seconds=5), 100, first)


async def test_a_link_waits_unless_its_target_is_on_file(api: Api) -> None:
    made = await api.post("/links", {"name": "春季", "target": TARGET})
    assert (made.status, made.data["state"], made.data["state_name"]) == (201, "reviewing", "审核中")
    filed = await filings.file(by_test(api.ctx.db), api.account_id, "example.cn")
    await filings.set_state(by_test(api.ctx.db), filed.id, Filing.REGISTERED, ["CMCC"])
    given = {"name": "夏季", "target": TARGET, "code": "summer", "valid_until": "2080-01-01T00:00:00+08:00"}
    made = await api.post("/links", given)
    assert (made.data["state"], made.data["address"]) == ("active", "https://s.example.cn/summer")
    one = made.data["link_id"]
    led = await api.post(f"/links/{one}/target", {"target": "https://elsewhere.example.com/"})
    assert (led.data["state"], led.data["version"]) == ("reviewing", 2), "that is on nobody's file"
    led = await api.post(f"/links/{one}/target", {"target": "https://m.example.cn/"})
    assert (led.data["state"], led.data["version"]) == ("active", 3)
    stopped = await api.post(f"/links/{one}/stop", {"reason": "误发"})
    assert (stopped.data["state"], stopped.data["reason"]) == ("stopped", "误发")
    assert (await api.post(f"/links/{one}/stop", {})).code == "STATE_CONFLICT"
    assert (await api.post(f"/links/{one}/start")).data["state"] == "active"
    assert [row["name"] for row in (await api.get("/links")).data["items"]] == ["夏季", "春季"]
    assert [row["name"] for row in (await api.get("/links?state=reviewing")).data["items"]] == ["春季"]
    assert [row["name"] for row in (await api.get("/links?text=s.example.cn/summer")).data["items"]] == ["夏季"]
    page = (await api.get("/links?limit=1")).data
    assert [row["name"] for row in (await api.get(f"/links?cursor={page['next_cursor']}")).data["items"]] == ["春季"]
    for wrong, field in ((given | {"target": "http://10.0.0.1/"}, "target"), (given | {"codes": 5}, "codes"),
                         (given | {"domain": "x.example.com"}, "domain")):  # fmt: skip
        refused = await api.post("/links", wrong)
        assert (refused.status, refused.code) == (400, "PARAM_INVALID"), field
    assert (await api.post("/links", given)).code == "STATE_CONFLICT", "the code is taken"


async def test_codes_and_visits_of_a_personal_link(api: Api) -> None:
    link = (await api.post("/links", {"name": "x", "target": TARGET, "kind": "personal", "codes": 1200})).data
    assert (link["address"], link["codes"]) == ("", 1200)
    one = link["link_id"]
    first = (await api.get(f"/links/{one}/codes?limit=1000")).data
    rest = (await api.get(f"/links/{one}/codes?limit=1000&first={first['next_first']}")).data
    codes = [*first["items"], *rest["items"]]
    assert (rest["next_first"], len({row["address"] for row in codes})) == (None, 1200)
    assert [row["n"] for row in codes] == list(range(1, 1201))
    await opened(api, one, 7)
    await opened(api, one, 7, "python-requests/2.31")
    seen = (await api.get(f"/links/{one}/clicks")).data["items"]
    assert [(row["n"], row["verdict"], row["address"], row["province"]) for row in seen] == [
        (8, "crawler", "112.96.*.*", "广东"), (8, "human", "112.96.*.*", "广东"),
    ]  # fmt: skip
    people = (await api.get(f"/links/{one}/clicks?verdict=human&limit=1")).data
    assert (len(people["items"]), people["next_cursor"]) == (1, None)
    told = (await api.get(f"/links/{one}")).data
    assert (told["visits"], told["hits"]) == (1, 2)
    shared = (await api.post("/links", {"name": "x", "target": TARGET})).data["link_id"]
    assert (await api.get(f"/links/{shared}/codes")).code == "PARAM_INVALID"


async def test_a_first_click_is_told_once_to_who_has_asked_for_it(api: Api) -> None:
    first = FirstClicks(api.ctx.snapshots, EventHub(), api.ctx.ids)
    given = {"name": "春季", "target": TARGET, "kind": "personal", "codes": 9}
    link = (await api.post("/links", given)).data["link_id"]
    await opened(api, link, 0, first=first)
    assert await api.ctx.db.fetch("SELECT 1 FROM customer_event") == [], "nobody has asked for it"
    put = await api.call("PUT", "/webhooks/clicks", {"url": "https://hooks.example.com/", "events": ["link.click"]})
    assert put.status in (200, 201)
    await api.ctx.snapshots.follow()
    await opened(api, link, 1, "python-requests/2.31", first=first)
    for _ in range(2):
        await opened(api, link, 1, first=first)
    rows = await api.ctx.db.fetch("SELECT kind, account_id, detail FROM customer_event")
    assert [(row["kind"], row["account_id"]) for row in rows] == [("link.click", api.account_id)]
    said = json.loads(rows[0]["detail"])
    assert (said["link_id"], said["n"], said["name"], said["target"]) == (link, 2, "春季", TARGET)
    assert (await queries.one(api.ctx.db, int(link), accounts=None)).humans == 3
