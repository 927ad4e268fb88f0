"""Short links over the API and in what is sent: made, led elsewhere, stopped; which code goes to whom."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from api_server import DEFAULT_SCOPES, Api
from changes import by_test
from taskdesk import Desk, desk

from smsgw.core.actor import Actor, ActorKind, Scope
from smsgw.core.errors import SmsgwError
from smsgw.core.permissions import Permission
from smsgw.core.short_codes import Permutation
from smsgw.core.states import PartState
from smsgw.core.url_filings import Filing
from smsgw.pipeline.accept.spooling import weight_of
from smsgw.pipeline.events import EventHub
from smsgw.platform.accounts import service as accounts
from smsgw.platform.change import Change
from smsgw.platform.fallback.service import Fallback
from smsgw.platform.links import clicks, code_files, queries, service
from smsgw.platform.links.click_notifications import FirstClicks
from smsgw.platform.links.model import MOST_CODES, LinkKind, NewLink, Origin, ShortLink
from smsgw.platform.messages import resend
from smsgw.platform.url_filings import service as filings
from smsgw.runtime.fair_queue import FairQueue
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import message_links
from smsgw.store.messages.calls import LinkRow, NewCall
from smsgw.store.messages.replaying import from_bytes, to_bytes

TARGET = "https://www.example.cn/spring?from=sms"
PHONE = "Mozilla/5.0 (Linux; Android 13; V2241A Build/TP1A) AppleWebKit/537.36 Chrome/118.0 Mobile Safari/537.36"
SCOPES = (*DEFAULT_SCOPES, "link")


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
        (8, "crawler", "112.96.*.*", "广东"),
        (8, "human", "112.96.*.*", "广东"),
    ]
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
        "当前状态不允许此操作：该短码已被使用，请换一个",
        "参数格式不正确：target",
    )
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
    api.ctx.made = FairQueue(2, 1, patience=0.05)
    await api.ctx.made.take(api.account_id)
    items = {"items": [{"name": "a", "target": TARGET}]}
    assert (await api.post("/links/batch", items)).code == "BACKPRESSURE"
    assert (await api.get("/links")).data["items"] == []
    api.ctx.made.give(api.account_id)
    assert (await api.post("/links/batch", {"items": [{"name": "a", "target": "http://10.0.0.1/"}]})).status == 400
    assert (await api.post("/links/batch", items)).status == 201, "whoever is refused has given it back"


HOST = "s.example.cn"
TEXT = "本周活动请点 {link} 查看"


@pytest_asyncio.fixture
async def a_desk(dsn: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(dsn, tmp_path) as one:
        one.tasks.links.hosts = (HOST,)
        yield one


async def make(database: Any, sealer: Sealer, account_id: int, change: Change | None = None, **given: Any) -> ShortLink:
    given = {"kind": LinkKind.PERSONAL, "codes": 1000} | given
    wanted = NewLink(account_id, "春季", TARGET, **given)
    return await service.make(change or by_test(database), sealer, wanted, (HOST,), now=datetime.now(UTC))


def beginner(database: Any, account_id: int) -> Change:
    rights = frozenset({Permission.LINK_EDIT, Permission.LINK_VIEW})
    return Change(database, Actor(ActorKind.PERSON, "new", "new", rights, Scope(frozenset({account_id}))))


async def carried(database: Any) -> list[Any]:
    return await database.fetch(
        "SELECT k.*, m.number, m.content FROM message_link k JOIN message m USING (id) ORDER BY k.id"
    )


@contextlib.contextmanager
def refused(code: str, word: str = "") -> Iterator[None]:
    with pytest.raises(SmsgwError) as caught:
        yield
    assert (caught.value.code, word in str(caught.value)) == (code, True)


def code_in(content: str) -> str:
    return content.partition(f"{HOST}/")[2][:8]


async def whose(database: Any, sealer: Sealer, link: ShortLink, content: str) -> int:
    """Which of the link's codes stands in a text, as the edge would find it."""
    codes = await queries.permutation(database, sealer)
    serial = codes.serial(code_in(content))
    assert link.serial is not None
    return serial - link.serial


async def test_each_recipient_of_a_call_has_a_code_of_its_own(api: Api) -> None:
    link = await make(api.ctx.db, api.sealer, api.account_id)
    to = [f"138{n:08d}" for n in range(200)]
    sent = await api.post("/messages", {"to": to, "content": TEXT, "link": {"id": str(link.id)}})
    assert (sent.status, sent.data["accepted"]) == (202, 200), sent.body
    rows = await carried(api.ctx.db)
    assert [row["n"] for row in rows] == list(range(200))
    assert {row["clicked"] for row in rows} == {False}
    addresses = [item["link"] for item in sent.data["items"]]
    assert len(set(addresses)) == 200
    for row, address in zip(rows, addresses, strict=True):
        assert row["content"] == f"【测试】本周活动请点 {address} 查看"
        assert await whose(api.ctx.db, api.sealer, link, row["content"]) == row["n"]
    more = await api.post("/messages", {"to": ["13900000000"], "content": TEXT, "link": {"id": str(link.id)}})
    assert more.status == 202
    assert [row["n"] for row in await carried(api.ctx.db)][200:] == [200]


async def test_a_thousand_of_a_batch_have_a_thousand_codes(api: Api) -> None:
    items = [{"to": f"137{n:08d}", "content": f"{n}号 {{link}}"} for n in range(1000)]
    await pass_all(api)
    body = {"items": items, "link": {"target": TARGET}}
    first = await api.post("/messages/batch", body)
    assert (first.status, first.code) == (409, "LINK_NOT_ACTIVE"), first.body
    await pass_all(api)
    sent = await api.post("/messages/batch", body)
    assert sent.data["accepted"] == 1000, sent.body
    rows = await carried(api.ctx.db)
    assert len({code_in(row["content"]) for row in rows}) == len({row["n"] for row in rows}) == 1000
    assert {row["link_id"] for row in rows} == {await api.ctx.db.fetchval("SELECT max(id) FROM short_link")}
    # A later call to the same target goes on with the same link.
    await api.post("/messages", {"to": ["13700000000"], "content": TEXT, "link": {"target": TARGET}})
    assert await api.ctx.db.fetchval("SELECT count(*) FROM short_link") == 1
    assert (await carried(api.ctx.db))[-1]["n"] == 1000


async def pass_all(api: Api) -> None:
    for row in await api.ctx.db.fetch("SELECT id, version FROM short_link WHERE state = 'reviewing'"):
        await service.pass_(by_test(api.ctx.db), row["id"], row["version"])


async def test_a_repeat_has_the_same_code_and_uses_no_further_one(api: Api) -> None:
    link = await make(api.ctx.db, api.sealer, api.account_id)
    body = {"to": ["13800000001"], "content": TEXT, "link": {"id": str(link.id)}}
    first = await api.post("/messages", body, Idempotency_Key="one")
    await service.stop(by_test(api.ctx.db), link.id)
    again = await api.post("/messages", body, Idempotency_Key="one")
    assert (again.status, again.data) == (202, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await api.ctx.db.fetchval("SELECT used FROM short_link WHERE id = $1", link.id) == 1
    other = await api.post("/messages", body | {"content": "别的 {link}"}, Idempotency_Key="one")
    assert other.status == 409


async def test_a_shared_link_is_one_address_for_all(api: Api) -> None:
    link = await make(api.ctx.db, api.sealer, api.account_id, kind=LinkKind.SHARED, codes=1, chosen="spring")
    body = {"to": ["13800000001", "13800000002"], "content": TEXT, "link": {"id": str(link.id)}}
    sent = await api.post("/messages", body)
    assert [item["link"] for item in sent.data["items"]] == [f"{HOST}/spring"] * 2
    assert [(row["n"], row["clicked"]) for row in await carried(api.ctx.db)] == [(0, None)] * 2


async def test_the_same_number_twice_is_the_same_whatever_its_code(api: Api) -> None:
    link = await make(api.ctx.db, api.sealer, api.account_id)
    body = {"to": ["13800000001"] * 2, "content": TEXT, "link": {"id": str(link.id)}, "dedupe": {"window_s": 600}}
    sent = await api.post("/messages", body)
    assert [item.get("code") for item in sent.data["items"]] == [None, "NUMBER_DUPLICATE"]
    again = await api.post("/messages", body | {"to": ["13800000001"]})
    assert (again.status, again.code) == (400, "CONTENT_DUPLICATE"), again.body
    assert len(await carried(api.ctx.db)) == 1


CONTRACT: dict[str, Any] = {
    "to": ["13800000000", "+8613900000000"], "kind": "sms", "sign": "某某单位",
    "content": "您的预约已确认,请于5月1日9点到场。{link} ", "template_id": None, "params": {}, "type": "notice",
    "client_ref": "ORD-20260501-1", "ext": "任意回传", "extend_code": "88", "send_at": None,
    "link": {"type": "individual", "target": TARGET, "placeholder": "{link}"}, "fallback": [], "report": True,
    "callback_url": None, "dedupe": {"window_s": 60, "by": "content"}, "channel_hint": None, "dry_run": False,
}  # fmt: skip
"""A call with every field that there is."""


async def test_a_call_with_every_field_is_accepted(api: Api) -> None:
    assert (await api.post("/messages", CONTRACT)).code == "LINK_NOT_ACTIVE"
    await pass_all(api)
    until = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    sent = await api.post("/messages", CONTRACT | {"expire_at": until})
    assert (sent.status, sent.data and sent.data["accepted"]) == (202, 2), sent.body
    assert [row["n"] for row in await carried(api.ctx.db)] == [0, 1]
    assert await api.ctx.db.fetchval("SELECT kind FROM short_link") == "personal"
    properties = (await api.get("/openapi.json")).body["components"]["schemas"]
    assert {"link", "dedupe"} <= set(properties["SendBody"]["properties"])
    assert not {"fallback", "channel_hint", "report"} & set(properties["SendBody"]["properties"])
    assert "fallback" in properties["TaskBody"]["properties"]


async def test_a_place_of_ones_own_is_where_the_address_stands(api: Api) -> None:
    link = await make(api.ctx.db, api.sealer, api.account_id)
    body = {"to": ["13800000001"], "content": "点 #url# 查看", "link": {"id": str(link.id), "placeholder": "#url#"}}
    tried = await api.post("/messages/explain", body)
    assert "#url#" not in tried.data["items"][0]["content"], tried.body
    sent = await api.post("/messages", body)
    assert sent.status == 202, sent.body
    (row,) = await carried(api.ctx.db)
    assert row["content"] == f"【测试】点 {sent.data['items'][0]['link']} 查看"
    missing = await api.post("/messages", body | {"content": "点这里"})
    assert (missing.code, "#url#" in missing.body["message"]) == ("LINK_PLACE_MISSING", True), missing.body
    for wrong in ("", "x", "a b", "x" * 33):
        refused = await api.post("/messages", body | {"link": {"id": str(link.id), "placeholder": wrong}})
        assert (refused.status, refused.code) == (400, "PARAM_INVALID"), wrong


@pytest.mark.api(scopes=DEFAULT_SCOPES)
async def test_what_cannot_be_sent_with_a_link(api: Api) -> None:
    link = await make(api.ctx.db, api.sealer, api.account_id, codes=1)
    held = await make(api.ctx.db, api.sealer, api.account_id, beginner(api.ctx.db, api.account_id))
    later = await make(api.ctx.db, api.sealer, api.account_id, valid_from=datetime.now(UTC) + timedelta(days=1))
    body: dict[str, Any] = {"to": ["13800000001"], "content": TEXT}

    async def refused(code: str, **how: Any) -> None:
        answer = await api.post("/messages", body | how)
        assert answer.code == code, answer.body

    await refused("LINK_NOT_ACTIVE", link={"id": str(held.id)})
    await refused("CONTENT_VARIABLE_UNRESOLVED", content=TEXT)
    await refused("PARAM_INVALID", link={"id": str(link.id), "target": TARGET})
    await refused("PARAM_INVALID", link={})
    await refused("PERMISSION_DENIED", link={"target": TARGET})  # a key that makes no links
    assert (await api.post("/messages", body | {"link": {"id": str(link.id)}})).status == 202
    await refused("LINK_CODES_USED_UP", link={"id": str(link.id)}, to=["13800000003"])
    assert (await api.post("/messages", body | {"link": {"id": str(later.id)}, "content": "稍后 {link}"})).status == 202
    other = await accounts.add(by_test(api.ctx.db), "other", default_sign="别家")
    of_another = await make(api.ctx.db, api.sealer, other)
    await refused("LINK_NOT_FOUND", link={"id": str(of_another.id)})


async def test_a_call_that_is_refused_uses_no_code(api: Api) -> None:
    link = await make(api.ctx.db, api.sealer, api.account_id, codes=3)
    body: dict[str, Any] = {"to": ["13800000001", "13800000002"], "content": TEXT, "link": {"id": str(link.id)}}
    late = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    for refused in (body | {"send_at": late}, body | {"to": ["12", "13"]}) * 2:
        assert (await api.post("/messages", refused)).status == 400
    assert (await api.post("/messages", body)).status == 202
    assert [row["n"] for row in await carried(api.ctx.db)] == [0, 1]


async def test_a_call_goes_on_with_no_link_that_is_otherwise(api: Api) -> None:
    sent, account = api.ctx.sent_links, api.ctx.snapshots.current.account(api.account_id)
    assert account is not None
    now = datetime.now(UTC)
    wanted = NewLink(api.account_id, "春季", TARGET, LinkKind.SHARED, Origin.API)
    for other in ({"visits_max": 5}, {"warn": True}, {"valid_from": now + timedelta(days=1)}, {"chosen": "spring"}):
        await service.make(by_test(api.ctx.db), api.sealer, replace(wanted, **other), (HOST,), now=now)
    first = (await sent.take_for_target(by_test(api.ctx.db), account, wanted, 1, now)).link
    assert (first.visits_max, first.warn, first.valid_from, first.chosen) == (0, False, None, "")
    assert (await sent.take_for_target(by_test(api.ctx.db), account, wanted, 1, now)).link.id == first.id


async def test_codes_that_were_read_go_into_no_message(api: Api) -> None:
    link = await make(api.ctx.db, api.sealer, api.account_id, codes=20)
    body = {"to": ["13800000001"], "content": TEXT, "link": {"id": str(link.id)}}
    assert (await api.post("/messages", body)).status == 202
    read = await api.get(f"/links/{link.id}/codes?first=2&limit=5")
    assert [row["n"] for row in read.data["items"]] == [2, 3, 4, 5, 6]
    assert (await api.get(f"/links/{link.id}")).data["used"] == 6
    assert (await api.post("/messages", body | {"content": "又 {link}"})).status == 202
    assert [row["n"] for row in await carried(api.ctx.db)] == [0, 6]


async def test_a_dry_run_knows_the_length_and_uses_no_code(api: Api) -> None:
    link = await make(api.ctx.db, api.sealer, api.account_id)
    body = {"to": ["13800000001"], "content": TEXT, "link": {"id": str(link.id)}}
    (tried,) = (await api.post("/messages/explain", body)).data["items"]
    sent = await api.post("/messages", body)
    content = (await carried(api.ctx.db))[0]["content"]
    assert len(tried["content"]) == len(content)
    assert sent.data["items"][0]["parts"] == tried["parts"]
    tried = await api.post("/messages", body | {"link": {"target": TARGET}, "dry_run": True})
    assert len(tried.data["items"][0]["content"]) == len(content)
    assert await api.ctx.db.fetchval("SELECT array_agg(used) FROM short_link") == [1]


def test_a_spooled_call_keeps_its_codes() -> None:
    call = NewCall(1, 1, [], [], 0, (), b"", links=(LinkRow(1, 2, 3, True),))
    assert from_bytes(to_bytes(call)).links == (LinkRow(1, 2, 3, True),)
    assert weight_of(call) == 1


async def test_each_row_of_a_task_has_its_own_code_whatever_becomes_of_the_task(a_desk: Desk) -> None:
    link = await make(a_desk.database, a_desk.sealer, a_desk.account_id, codes=600)
    task = await a_desk.make(600, TEXT, link_id=link.id)
    await a_desk.feed(2)
    await a_desk.tasks.pause(by_test(a_desk.database), task)
    await a_desk.feed(2)
    await a_desk.tasks.resume(by_test(a_desk.database), task)
    a_desk.feeder._begin_anew()  # another node goes on
    await a_desk.feed()
    rows = await carried(a_desk.database)
    assert [row["n"] for row in rows] == list(range(600))
    assert [int(row["number"][-3:]) for row in rows] == list(range(600))
    assert len({code_in(row["content"]) for row in rows}) == 600
    for row in rows[::97]:
        assert await whose(a_desk.database, a_desk.sealer, link, row["content"]) == row["n"]
    assert await a_desk.database.fetchval("SELECT used FROM short_link") == 600


async def test_each_run_of_a_task_that_comes_round_has_codes_of_its_own(a_desk: Desk) -> None:
    link = await make(a_desk.database, a_desk.sealer, a_desk.account_id, codes=25)
    await a_desk.make(10, TEXT, link_id=link.id, recurring={"every": "day", "at": ["09:00"]})
    for _ in range(3):
        a_desk.at("09:00")
        await a_desk.feed()
    rows = await carried(a_desk.database)
    assert len({code_in(row["content"]) for row in rows}) == len(rows) == 30
    assert [row["n"] for row in rows[:20]] == list(range(20))
    # The third found too few left: a link like the first goes on.
    assert {row["link_id"] for row in rows[20:]} == {link.id + 1}
    like = await queries.one(a_desk.database, link.id + 1, accounts=None)
    assert (like.target, like.kind, like.stored_state, like.used) == (TARGET, LinkKind.PERSONAL, "active", 10)
    # Whoever stops one of them stops both; and starts them.
    for one, held in ((link, False), (like, True)):
        by = by_test(a_desk.database) if held else beginner(a_desk.database, a_desk.account_id)
        await service.stop(by, one.id, reason="投诉")
        both = [await queries.one(a_desk.database, id_, accounts=None) for id_ in (link.id, like.id)]
        assert [(each.stored_state, each.held, each.reason) for each in both] == [("stopped", held, "投诉")] * 2
        await service.start(by, one.id)
        assert await a_desk.database.fetchval("SELECT array_agg(DISTINCT state) FROM short_link") == ["active"]


async def test_a_link_leads_elsewhere_with_those_that_tasks_have_made_like_it(a_desk: Desk) -> None:
    database = a_desk.database
    link = await make(database, a_desk.sealer, a_desk.account_id)
    async with database.transaction() as connection:
        like = await service.make_like(by_test(database), connection, a_desk.sealer, link, 5, a_desk.now())
    other = await make(database, a_desk.sealer, a_desk.account_id)

    async def stand() -> list[tuple[str, str]]:
        both = [await queries.one(database, one.id, accounts=None) for one in (link, like)]
        return [(one.target.rpartition("/")[2], one.stored_state.value) for one in both]

    led = await service.lead(by_test(database), link.id, "https://www.example.cn/mended", (HOST,))
    assert (led.id, led.version, await stand()) == (link.id, 2, [("mended", "active")] * 2)
    assert [one.target for one in await queries.targets(database, like)] == [led.target, TARGET]
    await database.execute("UPDATE short_link SET target = $2 WHERE id = $1", like.id, TARGET)  # as it was left before
    await service.lead(by_test(database), link.id, "https://www.example.cn/mended", (HOST,))
    assert await stand() == [("mended", "active")] * 2
    new = beginner(database, a_desk.account_id)
    led = await service.lead(new, like.id, "https://www.example.cn/next", (HOST,))
    assert (led.id, await stand()) == (like.id, [("next", "reviewing")] * 2)
    await service.reject(by_test(database), like.id, led.version, "不是本单位的")
    assert await stand() == [("next", "rejected")] * 2
    await service.lead(new, link.id, "https://www.example.cn/last", (HOST,))
    now = await queries.one(database, link.id, accounts=None)
    await service.pass_(by_test(database), link.id, now.version, warn=True)
    assert await stand() == [("last", "active")] * 2
    assert (await queries.one(database, like.id, accounts=None)).warn
    assert (await queries.one(database, other.id, accounts=None)).target == TARGET


async def test_no_link_is_made_like_one_that_was_stopped_meanwhile(a_desk: Desk) -> None:
    link = await make(a_desk.database, a_desk.sealer, a_desk.account_id)
    await service.stop(by_test(a_desk.database), link.id)
    with refused("LINK_NOT_ACTIVE"):
        async with a_desk.database.transaction() as connection:
            await service.make_like(by_test(a_desk.database), connection, a_desk.sealer, link, 5, a_desk.now())


async def test_a_run_that_was_begun_without_codes_gets_some(a_desk: Desk) -> None:
    link = await make(a_desk.database, a_desk.sealer, a_desk.account_id, codes=2000)
    await a_desk.make(600, TEXT, link_id=link.id)
    await a_desk.feed(2)
    begun = len(await carried(a_desk.database))
    assert 0 < begun < 600
    await a_desk.database.execute("UPDATE task_run SET link_id = NULL, link_first = NULL")
    a_desk.feeder._begin_anew()
    await a_desk.feed()
    assert [row["n"] for row in await carried(a_desk.database)] == [*range(begun), *range(600 + begun, 1200)]


async def test_a_task_does_not_begin_with_a_link_that_may_not_be_sent(a_desk: Desk) -> None:
    held = await make(a_desk.database, a_desk.sealer, a_desk.account_id, beginner(a_desk.database, a_desk.account_id))
    with refused("LINK_NOT_ACTIVE", "审核中"):
        await a_desk.make(3, TEXT, link_id=held.id)
    with refused("LINK_PLACE_MISSING"):
        await a_desk.make(3, "没有位置", link_id=held.id)
    # One that is stopped between the making and the time.
    link = await make(a_desk.database, a_desk.sealer, a_desk.account_id)
    task = await a_desk.make(3, TEXT, link_id=link.id, send_at=a_desk.now() + timedelta(hours=1))
    await service.stop(by_test(a_desk.database), link.id)
    a_desk.later(hours=2)
    await a_desk.feed()
    view = await a_desk.view(task)
    assert (view.task.state, view.task.reason) == ("paused", "LINK_NOT_ACTIVE")
    await service.start(by_test(a_desk.database), link.id)
    await a_desk.tasks.resume(by_test(a_desk.database), task)
    await a_desk.feed()
    assert len(await carried(a_desk.database)) == 3


async def test_what_follows_a_failed_message_carries_its_code(a_desk: Desk) -> None:
    link = await make(a_desk.database, a_desk.sealer, a_desk.account_id)
    chain = {"hops": [{"content": "再次通知 {link}"}], "minutes": 600}
    await a_desk.make(2, TEXT, link_id=link.id, fallback=chain)
    await a_desk.feed()
    first, second = await carried(a_desk.database)
    await a_desk.database.execute(
        "UPDATE part SET state = $1, code = 'MK:0001', final_at = now()", int(PartState.UNDELIVERABLE)
    )
    chain = Fallback(a_desk.database, a_desk.acceptor, a_desk.snapshots, now=a_desk.now)
    await service.stop(by_test(a_desk.database), link.id)
    a_desk.later(seconds=700)
    await chain.step()
    assert len(await carried(a_desk.database)) == 2, "a link that was stopped does not go out again"
    await service.start(by_test(a_desk.database), link.id)
    a_desk.later(seconds=700)
    await chain.step()
    hops = sorted((await carried(a_desk.database))[2:], key=lambda row: row["n"])
    assert [(row["link_id"], row["n"], row["clicked"]) for row in hops] == [(link.id, 0, False), (link.id, 1, False)]
    assert [code_in(row["content"]) for row in hops] == [code_in(row["content"]) for row in (first, second)]
    # And one that a person sends again, whose code was clicked meanwhile.
    await a_desk.database.execute("INSERT INTO link_visitor VALUES ($1, 1, 1, 1, now(), now())", link.id)
    await a_desk.database.execute("UPDATE part SET state = $1, code = 'MK:0001'", int(PartState.UNDELIVERABLE))
    await service.stop(by_test(a_desk.database), link.id)
    with refused("LINK_NOT_ACTIVE"):
        await resend.again(by_test(a_desk.database), a_desk.acceptor, a_desk.snapshots.current, hops[1]["id"])
    await service.start(by_test(a_desk.database), link.id)
    again = await resend.again(
        by_test(a_desk.database, a_desk.ids.next), a_desk.acceptor, a_desk.snapshots.current, hops[1]["id"]
    )
    row = (await carried(a_desk.database))[-1]
    assert (row["id"], row["n"], row["clicked"]) == (again, 1, True)
    # Whose code was judged in the very moment in which it was sent again has not seen it: it is looked at once more.
    await a_desk.database.execute("INSERT INTO link_visitor VALUES ($1, 0, 1, 1, now(), now())", link.id)
    async with a_desk.database.transaction() as connection:
        await message_links.look_again(connection, first["id"])
    assert [row["clicked"] for row in await carried(a_desk.database) if row["id"] == hops[0]["id"]] == [True]


@pytest.mark.shard("volume")
@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_a_hundred_thousand_rows_have_a_hundred_thousand_codes(a_desk: Desk) -> None:
    link = await make(a_desk.database, a_desk.sealer, a_desk.account_id, codes=MOST_CODES)
    task = await a_desk.make(1, TEXT, link_id=link.id)
    await a_desk.database.execute(
        "INSERT INTO task_row (task_id, n, line, number) SELECT $1, n, n, (8613800000000 + n)::text "
        "FROM generate_series(2, 100000) n",
        task,
    )
    await a_desk.database.execute("UPDATE task SET valid = 100000, total = 100000 WHERE id = $1", task)
    while (await a_desk.view(task)).task.state != "sent":  # a busy machine feeds less in a step
        await a_desk.feed(20)
        await a_desk.submit()
    rows = await a_desk.database.fetch("SELECT k.n, m.content, m.number FROM message_link k JOIN message m USING (id)")
    assert len(rows) == 100_000
    assert len({row["n"] for row in rows}) == len({code_in(row["content"]) for row in rows}) == 100_000
    codes = await queries.permutation(a_desk.database, a_desk.sealer)
    assert isinstance(codes, Permutation)
    for row in rows[::1009]:
        assert codes.serial(code_in(row["content"])) == link.serial + row["n"]
        assert row["n"] == (int(row["number"]) - 8613800000001 if row["n"] else 0)


async def test_codes_of_a_file_go_into_no_message(a_desk: Desk) -> None:
    link = await make(a_desk.database, a_desk.sealer, a_desk.account_id, codes=20)
    await code_files.again(by_test(a_desk.database), link, node=1)
    await a_desk.make(5, TEXT, link_id=link.id)
    await a_desk.feed()
    rows = await carried(a_desk.database)
    assert {row["link_id"] for row in rows} == {link.id + 1}, "of a link like it"
    assert [row["n"] for row in rows] == list(range(5))
    # And none of a message into a file: that has those behind it, also when it is made once more.
    like = await queries.one(a_desk.database, link.id + 1, accounts=None)
    for _ in range(2):
        change = by_test(a_desk.database)
        job = await code_files.again(change, like, node=1)
        task = await code_files.CODE_TASKS.get(a_desk.database, change.actor, job)
        assert task is not None
        assert task.codes == 15
        await a_desk.database.execute("UPDATE job SET state = 'done' WHERE id = $1", job)
    whole = await make(a_desk.database, a_desk.sealer, a_desk.account_id, codes=5)
    await a_desk.make(5, TEXT, link_id=whole.id)
    await a_desk.feed()
    with refused("LINK_CODES_USED_UP"):
        await code_files.again(by_test(a_desk.database), whole, node=1)
