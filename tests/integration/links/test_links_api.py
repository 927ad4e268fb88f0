"""Short links over the API: made, found, led elsewhere, stopped; who opened them; the event of a first click."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from api_server import Api
from changes import by_test

from smsgw.core.url_filings import Filing
from smsgw.pipeline.events import EventHub
from smsgw.platform.links import clicks, queries, service
from smsgw.platform.links.telling import FirstClicks
from smsgw.platform.url_filings import service as filings
from smsgw.runtime.shares import Shares

TARGET = "https://www.example.cn/spring?from=sms"
PHONE = "Mozilla/5.0 (Linux; Android 13; V2241A Build/TP1A) AppleWebKit/537.36 Chrome/118.0 Mobile Safari/537.36"
SCOPES = ("link", "webhook", "report")


pytestmark = pytest.mark.api(scopes=SCOPES)


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


async def test_a_batch_makes_what_can_be_made_and_says_of_each(api: Api) -> None:
    filed = await filings.file(by_test(api.ctx.db), api.account_id, "example.cn")
    await filings.set_state(by_test(api.ctx.db), filed.id, Filing.REGISTERED, ["CMCC"])
    other = "https://elsewhere.example.com/"
    items = [
        {"name": "a", "target": TARGET}, {"name": "b", "target": other},
        {"name": "c", "target": TARGET, "code": "spring"}, {"name": "d", "target": TARGET, "code": "spring"},
        {"name": "e", "target": "http://10.0.0.1/"}, {"name": "f", "target": TARGET, "kind": "personal", "codes": 40},
        {"name": "g", "target": TARGET},
    ]  # fmt: skip
    made = await api.post("/links/batch", {"items": items}, Idempotency_Key="batch-1")
    assert (made.status, made.data["accepted"], made.data["rejected"]) == (201, 5, 2)
    told = made.data["items"]
    assert [(one["name"], one.get("state"), one.get("code")) for one in told] == [
        ("a", "active", None), ("b", "reviewing", None), ("c", "active", None), ("d", None, "STATE_CONFLICT"),
        ("e", None, "PARAM_INVALID"), ("f", "active", None), ("g", "active", None),
    ]  # fmt: skip
    assert (told[3]["message"], told[4]["message"].partition("，")[0]) == (
        "当前状态不允许此操作：该短码已被使用，请换一个", "参数格式不正确：target",
    )  # fmt: skip
    assert told[2]["address"] == "https://s.example.cn/spring"
    listed = {one["link_id"]: one for one in (await api.get("/links")).data["items"]}
    assert len(listed) == 5
    for one in told:
        if "link_id" in one:
            stored = listed[one["link_id"]]
            assert all(stored[field] == one[field] for field in ("name", "address", "state")), one
    assert [listed[one["link_id"]]["target"] for one in told[:2]] == [TARGET, other]
    codes = (await api.get(f"/links/{told[5]['link_id']}/codes")).data["items"]
    addresses = {one["address"] for one in [*told, *codes] if one.get("address")}
    assert len(addresses) == 4 + 40, "no code is another's"
    versions = await api.ctx.db.fetch("SELECT link_id, version FROM short_link_target ORDER BY link_id")
    assert [(str(id_), version) for id_, version in versions] == [(id_, 1) for id_ in sorted(listed, key=int)]
    again = await api.post("/links/batch", {"items": items}, Idempotency_Key="batch-1")
    assert (again.status, again.data) == (201, made.data)
    assert len((await api.get("/links")).data["items"]) == 5


async def test_a_batch_of_which_nothing_can_be_made_is_refused(api: Api) -> None:
    items = [{"name": "a", "target": "http://10.0.0.1/"}, {"name": "b", "target": TARGET, "codes": 5}]
    refused = await api.post("/links/batch", {"items": items}, Accept_Language="en")
    assert (refused.status, refused.code) == (400, "PARAM_INVALID")
    assert (refused.data["accepted"], [one["code"] for one in refused.data["items"]]) == (0, ["PARAM_INVALID"] * 2)
    assert refused.body["message"] == refused.data["items"][0]["message"]
    assert "target" in refused.body["message"]
    assert "codes" in refused.data["items"][1]["message"]
    assert (await api.get("/links")).data["items"] == []
    for none in ({"items": []}, {"items": [{"name": "a", "target": TARGET}] * 1001}, {"items": [{"name": "a"}]}):
        answer = await api.post("/links/batch", none)
        assert (answer.status, answer.code in ("PARAM_INVALID", "PARAM_MISSING")) == (400, True)
    assert (await api.get("/links")).data["items"] == []


async def test_of_a_batch_as_many_are_made_as_there_is_room_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_OF_ACCOUNT", 3)
    await api.post("/links", {"name": "first", "target": TARGET})
    items = [{"name": str(n), "target": TARGET} for n in range(4)]
    made = (await api.post("/links/batch", {"items": items})).data
    assert [one.get("code") for one in made["items"]] == [None, None, "STATE_CONFLICT", "STATE_CONFLICT"]
    assert "上限 3 个" in made["items"][2]["message"]
    assert (await api.post("/links/batch", {"items": items})).status == 409
    assert len((await api.get("/links")).data["items"]) == 3


async def test_a_batch_makes_no_more_codes_than_one_link_may_have(api: Api) -> None:
    """Codes are counted up: one call must not use up those of hours."""
    items = [{"name": str(n), "target": TARGET, "kind": "personal", "codes": 400_000} for n in range(3)]
    made = (await api.post("/links/batch", {"items": [*items, {"name": "one", "target": TARGET}]})).data
    assert [one.get("code") for one in made["items"]] == [None, None, "PARAM_INVALID", None]
    assert "1000000" in made["items"][2]["message"].replace(",", "")


async def test_an_account_makes_one_batch_at_a_time(api: Api) -> None:
    api.ctx.made = Shares(2, 1, patience=0.05)
    await api.ctx.made.take(api.account_id)
    items = {"items": [{"name": "a", "target": TARGET}]}
    assert (await api.post("/links/batch", items)).code == "BACKPRESSURE"
    assert (await api.get("/links")).data["items"] == []
    api.ctx.made.give(api.account_id)
    assert (await api.post("/links/batch", {"items": [{"name": "a", "target": "http://10.0.0.1/"}]})).status == 400
    assert (await api.post("/links/batch", items)).status == 201, "whoever is refused has given it back"
